"""Shared fixtures. ZenML and MLflow get folders of their own, on tmpfs where there is one."""

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import settings

_BASE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
_SESSION = Path(tempfile.mkdtemp(prefix="siamese-tests-", dir=_BASE))
# Before anything imports ZenML: the user's own configuration is not touched.
os.environ["ZENML_CONFIG_PATH"] = str(_SESSION / "zenml")
os.environ["ZENML_LOGGING_COLORS_DISABLED"] = "true"
# Training gives the same bits only with the same number of threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("MLFLOW_TRACKING_URI", None)
if "PYTEST_XDIST_WORKER" in os.environ and os.environ.get("COVERAGE") != "all":
    # Tracing the imports of ZenML would take child processes half as long again; `make coverage` measures them.
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)

import siamese_integrations.quiet_libraries  # noqa: E402, F401
from siamese_core.config import ImageConfig, SplitConfig  # noqa: E402
from siamese_core.data.dataset import Dataset  # noqa: E402
from siamese_core.data.glyphs import make_glyphs  # noqa: E402
from siamese_core.data.ingest import ingest  # noqa: E402
from siamese_core.data.manifest import Manifest  # noqa: E402
from siamese_core.data.split import make_split  # noqa: E402
from siamese_core.data.store import ImageStore  # noqa: E402

# An example may take long on a busy machine; that is no failure.
settings.register_profile("busy", deadline=None)
settings.load_profile("busy")

REPOSITORY = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
# The folders that a run needs.
APPLICATION = (*PYPROJECT["tool"]["importlinter"]["root_packages"], "configs")


def copy_checkout(folder: Path) -> None:
    """Copy the folders that a run needs into an empty folder, without caches."""
    for name in APPLICATION:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that run whole pipelines come first, so that no worker is left alone with the last of them."""
    order = {name: place for place, name in enumerate(("pipelines", "infra", "siamese_cli", "siamese_integrations"))}
    items.sort(key=lambda item: order.get(item.path.parent.name, len(order)))


def pytest_sessionfinish() -> None:
    shutil.rmtree(_SESSION, ignore_errors=True)


@pytest.fixture(scope="session")
def session_folder() -> Path:
    return _SESSION


@pytest.fixture(scope="session")
def glyphs(session_folder: Path) -> Path:
    """60 characters in up to 16 typefaces."""
    folder = session_folder / "glyphs"
    make_glyphs(folder, characters=60, seed=1)
    return folder


@pytest.fixture(scope="session")
def ingested(glyphs: Path, session_folder: Path) -> tuple[Manifest, ImageStore]:
    folder = session_folder / "store"
    folder.mkdir()
    result = ingest(glyphs, folder, ImageConfig(size=16, color="grey", invert=True))
    return result.manifest, result.store


@pytest.fixture(scope="session")
def dataset(ingested: tuple[Manifest, ImageStore]) -> Dataset:
    """The 60 characters, split."""
    manifest, store = ingested
    return Dataset(manifest, store, make_split(manifest, SplitConfig(salt="a")))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Project:
    """A copy of this checkout that tests may change and run, as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, folder: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a console command of the environment, in the copy or in another folder."""
        binary = Path(sys.executable).parent / command[0]
        return subprocess.run(
            [str(binary), *command[1:]],
            cwd=folder or self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), **environment},
            capture_output=True,
            text=True,
            timeout=500,
        )

    def write_config(self, name: str, **parameters: object) -> Path:
        path = self.folder / "configs" / name
        path.write_text(yaml.safe_dump({"parameters": parameters}))
        return path

    def pipeline(self, config: Path) -> subprocess.CompletedProcess[str]:
        return self.run("zenml", "pipeline", "run", "pipelines.training.training_pipeline", "-c", str(config))


# A model in seconds: few steps of a narrow network on small images.
QUICK = {
    "seed": 3,
    "images": {"size": 24, "color": "grey", "invert": True},
    "encoder": {"width": 16, "embedding_dim": 16},
    "training": {"steps": 120, "evaluate_every": 60, "identities_per_batch": 12},
    "triplets": {"max_triplets": 500},
    "calibration": {"bootstrap": 100, "operating_point": "fmr_1e-1"},  # as much as 12 identities support
}


@pytest.fixture(scope="session")
def project(session_folder: Path) -> Iterator[Project]:
    """The copy, with its stack."""
    folder = session_folder / "project"
    folder.mkdir()
    copy_checkout(folder)
    made = Project(folder)
    done = made.run("python", "-m", "infra.bootstrap_stack")
    assert done.returncode == 0, done.stderr
    before = Path.cwd()
    os.chdir(folder)  # ZenML finds the stack of this folder
    yield made
    os.chdir(before)


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[[dict[str, int]], Path]:
    """A maker of folders of noise images, by the number of images of each identity."""

    def make(sizes: dict[str, int]) -> Path:
        from PIL import Image

        generator = np.random.default_rng(5)
        for identity, count in sizes.items():
            (tmp_path / "images" / identity).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                pixels = generator.integers(0, 256, (24, 24), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "images" / identity / f"{number}.png")
        return tmp_path / "images"

    return make

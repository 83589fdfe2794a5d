"""The package as others install it: the wheel alone in an environment of its own, and the sdist."""

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import siamese_core
from tests.conftest import PYPROJECT, REPOSITORY
from tests.packaging.distributions import closure, link, uv

PACKAGES = ("siamese_cli", "siamese_core", "siamese_integrations")
BASE = PYPROJECT["project"]["dependencies"]
# The environment has the wheel, nothing of the extras, and nothing of the application.
CHECK = """
import importlib, importlib.util, pkgutil, siamese_core
assert "site-packages" in siamese_core.__file__
for absent in ("zenml", "mlflow", "great_expectations", "pipelines", "steps", "infra", "configs"):
    assert importlib.util.find_spec(absent) is None, absent
for module in pkgutil.walk_packages(siamese_core.__path__, "siamese_core."):
    importlib.import_module(module.name)
"""


def files(folder: Path) -> set[str]:
    """Relative paths of the files that belong to the source below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder.parent).as_posix() for path in paths}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that was made of it."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--offline", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, REPOSITORY)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    """The sdist, unpacked."""
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        archive.extractall(built / "sdist", filter="data")
    (folder,) = (built / "sdist").iterdir()
    return folder


class Environment:
    """A virtual environment with the wheel and its base dependencies in it, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        uv("venv", "--offline", "--python", sys.executable, folder)
        self.python = folder / "bin" / "python"

    def run(self, command: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in a folder that is no checkout."""
        return subprocess.run(
            [str(self.folder / "bin" / command), *map(str, arguments)],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=500,
        )


@pytest.fixture(scope="module", params=["linked", pytest.param("from the registry", marks=pytest.mark.slow)])
def environment(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Dependencies are links to the packages of this environment or, in the slow variant, installed by uv."""
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv")
    if request.param == "linked":
        link(closure(BASE), environment.folder)
        uv("pip", "install", "--offline", "--no-deps", "--python", environment.python, wheel)
    else:
        pins = REPOSITORY / "constraints.txt"
        uv("pip", "install", "--constraint", pins, "--python", environment.python, wheel)
    return environment


@pytest.fixture(scope="module")
def model(environment: Environment, glyphs: Path) -> Path:
    """A model that was trained in the environment."""
    folder = environment.folder.parent / "model"
    done = environment.run("python", "-I", REPOSITORY / "examples" / "train_without_zenml.py", folder, glyphs)
    assert done.returncode == 0, done.stderr
    assert re.match(r"EER [\d.]+% on \d+ test identities", done.stdout)
    return folder


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A path with another project's packages of our names; none of them may be imported."""
    for name in ("pipelines", "steps", "infra", "configs", "tests"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"open({str(tmp_path / 'touched')!r}, 'a').write({name!r})\n")
    yield {"PYTHONPATH": str(tmp_path)}
    assert not (tmp_path / "touched").exists()


def test_the_wheel_holds_the_three_packages_with_their_data_files(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert packed == set().union(*(files(REPOSITORY / package) for package in PACKAGES))
    assert {"siamese_core/py.typed", "siamese_core/report/assets/report.css"} <= packed


def test_there_is_one_version(wheel: Path) -> None:
    assert wheel.name.split("-")[1] == siamese_core.__version__
    assert (
        re.search(r"^version: (\S+)$", (REPOSITORY / "CITATION.cff").read_text(), re.M)[1] == siamese_core.__version__
    )


def test_the_sdist_holds_what_git_tracks(unpacked: Path) -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("this is no clone")
    done = subprocess.run(["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    tracked = {name for name in done.stdout.splitlines() if (REPOSITORY / name).exists()}
    packed = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert tracked - packed == set()


def test_tests_run_from_the_sdist(unpacked: Path) -> None:
    tests = ("siamese_core/test_artifact.py", "packaging/test_declarations.py", "infra/test_images_and_manifests.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in tests)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=unpacked, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_editable_install_puts_only_the_three_packages_on_the_path(unpacked: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "venv")
    link({"setuptools"}, environment.folder)
    options = ("--offline", "--no-deps", "--no-build-isolation", "--python", environment.python)
    uv("pip", "install", *options, "--editable", unpacked)
    everything = sorted(path.name for path in unpacked.iterdir() if path.is_dir() and path.name.isidentifier())
    code = f"import importlib.util as u; print([name for name in {everything} if u.find_spec(name)])"
    done = environment.run("python", "-c", code)
    assert done.stdout.strip() == str(sorted(PACKAGES)), done.stderr


def test_every_module_of_the_core_imports_without_zenml_and_mlflow(environment: Environment) -> None:
    done = environment.run("python", "-I", "-c", CHECK)
    assert done.returncode == 0, done.stderr


def test_a_model_trained_there_verifies_beside_other_peoples_packages(
    environment: Environment, model: Path, glyphs: Path, foreign: dict[str, str]
) -> None:
    first, second = sorted(glyphs.glob("*/*.png"))[:2]
    done = environment.run("siamese", "verify", "--model", model, first, second, **foreign)
    assert done.returncode in (0, 1), done.stderr
    assert re.match(r"(same|different): distance \d", done.stdout)
    assert environment.run("siamese", "--version", **foreign).stdout == f"{siamese_core.__version__}\n"


@pytest.mark.parametrize(
    "command",
    [("retrain", "-c", "FILE"), ("schedule", "install", "-c", "FILE"), ("check-config", "FILE")],
    ids=lambda command: command[0],
)
def test_what_needs_a_checkout_says_so(
    environment: Environment, command: tuple[str, ...], foreign: dict[str, str]
) -> None:
    config = str(REPOSITORY / "configs" / "retraining.yaml")
    done = environment.run("siamese", *(config if word == "FILE" else word for word in command), **foreign)
    assert done.returncode == 2, done.stdout
    assert "needs a checkout of siamese pipelines" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_needs_an_extra_says_so(environment: Environment, foreign: dict[str, str]) -> None:
    done = environment.run("siamese", "show", "--model", "glyphs", **foreign)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stderr
    assert re.search(r"siamese-pipelines\[\w+\]", done.stderr), done.stderr


def test_the_metadata_are_complete(wheel: Path) -> None:
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dynamic"] == ["version"]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        text = archive.read(name).decode()
    for field in ("Summary", "Keywords", "Classifier", "License-Expression", "Requires-Python", "License-File"):
        assert re.search(rf"^{field}: \S", text, re.M), field

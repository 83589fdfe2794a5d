"""The real data sets, where their zip files lie beside the checkout: short runs of the shipped configurations."""

import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPOSITORY, Project

DATASETS = REPOSITORY.parent / "shared" / "data"
pytestmark = pytest.mark.slow


def unpack(name: str, folder: Path) -> Path:
    path = DATASETS / f"{name}.zip"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    return folder / name


def shortened(project: Project, name: str, **parameters: Any) -> Path:
    found = yaml.safe_load((REPOSITORY / "configs" / f"{name}.yaml").read_text())["parameters"]
    found["training"] |= {"steps": 400, "evaluate_every": 200}
    return project.write_config(f"short-{name}.yaml", **{**found, "model_name": f"short-{name}", **parameters})


@pytest.mark.parametrize(("name", "archive"), [("omniglot", "omniglot_background"), ("faces", "lfw_view1")])
def test_a_short_run_is_far_better_than_raw_pixels(
    project: Project, session_folder: Path, name: str, archive: str
) -> None:
    data = unpack(archive, session_folder)
    parameters: dict[str, Any] = {"data_dir": str(data)}
    if name == "faces":
        people = sorted(path.name for path in (data / "test").iterdir())
        split_file = session_folder / "faces_split.csv"
        split_file.write_text("identity,split\n" + "".join(f"test/{person},test\n" for person in people))
        parameters["split_file"] = str(split_file)
    done = project.pipeline(shortened(project, name, **parameters))
    assert done.returncode == 0, done.stdout + done.stderr
    from zenml.client import Client

    run = Client().get_pipeline("training_pipeline").last_run
    evaluation = run.steps["evaluate"].outputs["evaluation"][0].load()
    assert evaluation.model.eer < 0.6 * evaluation.pixels.eer

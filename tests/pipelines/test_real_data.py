"""The real data sets, where their zip files lie beside the checkout: short runs of the shipped configurations."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
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
    return project.write_config(f"short-{name}.yaml", **{**found, **parameters})


def embedded(project: Project, model: str, data: Path, out: Path) -> tuple[np.ndarray, np.ndarray]:
    """The identity and embedding of every image, from what the registered model's users get."""
    uri = project.run("siamese", "tracking-uri").stdout.strip()
    done = project.run("siamese", "embed", "--model", model, str(data), "-o", str(out), MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 0, done.stderr
    found = np.load(out)
    identities = [Path(path).parent.relative_to(data).as_posix() for path in found["paths"].tolist()]
    return np.array(identities), found["embeddings"].astype(np.float64)


def by_hand(names: np.ndarray, x: np.ndarray, thresholds: dict[str, float]) -> dict[str, Any]:
    """The figures of all pairs, in a few lines of NumPy."""
    distance = ((x**2).sum(1)[:, None] + (x**2).sum(1) - 2 * x @ x.T)[np.triu_indices(len(x), 1)]
    same = (names[:, None] == names)[np.triu_indices(len(x), 1)]
    genuine, impostor = np.sort(distance[same]), np.sort(distance[~same])
    fmr = np.searchsorted(impostor, genuine) / len(impostor)  # at a threshold at each genuine distance
    fnmr = 1 - np.arange(len(genuine)) / len(genuine)
    crossing = np.abs(fmr - fnmr).argmin()
    return {
        "eer": (fmr[crossing] + fnmr[crossing]) / 2,
        "auc": 1 - fmr.mean(),
        "false matches": {name: int((impostor < t).sum()) for name, t in thresholds.items()},
        "false non-matches": {name: int((genuine >= t).sum()) for name, t in thresholds.items()},
        "pairs": (len(genuine), len(impostor)),
    }


def counts_in(report: str, kind: str) -> dict[str, tuple[int, int]]:
    """Errors and pairs of each operating point, as the page shows them."""
    rows = re.findall(r'<td data-label="operating point"><b>([^<]+)</b>.*?</tr>', report)
    found = re.findall(rf'data-label="{kind} on test">.*?<small>([0-9,]+) of ([0-9,]+) pairs', report, re.S)
    return {
        name: (int(wrong.replace(",", "")), int(pairs.replace(",", "")))
        for name, (wrong, pairs) in zip(rows, found, strict=True)
    }


@pytest.mark.parametrize(("name", "archive"), [("omniglot", "omniglot_background"), ("faces", "lfw_view1")])
def test_a_short_run_beats_raw_pixels_and_its_report_is_what_numpy_finds(
    project: Project, session_folder: Path, name: str, archive: str
) -> None:
    data = unpack(archive, session_folder)
    # All pairs there are, so that no sample stands between the report and the count by hand.
    every_pair = {"max_genuine_pairs": 10**7, "max_impostor_pairs": 10**8, "bootstrap": 100}
    parameters: dict[str, Any] = {"data_dir": str(data), "model_name": f"short-{name}", "calibration": every_pair}
    parameters |= {"evaluation": {"robustness": False}, "split": {"calibration": 0.1, "test": 0.1}}
    if name == "faces":
        people = sorted(path.name for path in (data / "test").iterdir())[::3]
        split_file = session_folder / "faces_split.csv"
        split_file.write_text("identity,split\n" + "".join(f"test/{person},test\n" for person in people))
        parameters["split_file"] = str(split_file)
    done = project.pipeline(shortened(project, name, **parameters))
    assert done.returncode == 0, done.stdout + done.stderr
    from zenml.client import Client

    steps = Client().get_pipeline("training_pipeline").last_run.steps
    evaluation = steps["evaluate"].outputs["evaluation"][0].load()
    assert evaluation.model.eer < 0.6 * evaluation.pixels.eer

    tested = set(steps["split"].outputs["split"][0].load().identities("test"))
    identities, embeddings = embedded(project, f"models:/short-{name}@champion", data, session_folder / f"{name}.npz")
    chosen = np.isin(identities, list(tested))
    points = evaluation.model.points
    thresholds = {key: point.threshold for key, point in points.items()}
    found = by_hand(identities[chosen], embeddings[chosen], thresholds)
    assert evaluation.model.eer == pytest.approx(found["eer"], abs=1e-4)
    assert evaluation.model.auc == pytest.approx(found["auc"], abs=1e-5)
    page = str(steps["evaluate"].outputs["evaluation_report"][0].load())
    genuine_pairs, impostor_pairs = found["pairs"]
    for kind, wrong, pairs in (
        ("FMR", found["false matches"], impostor_pairs),
        ("FNMR", found["false non-matches"], genuine_pairs),
    ):
        shown = counts_in(page, kind)
        assert shown.keys() == points.keys()
        for key, (errors, of) in shown.items():
            assert of == pairs
            assert errors == pytest.approx(wrong[key], abs=2 + 2e-4 * wrong[key])  # distances differ by rounding
            rate = points[key].fmr if kind == "FMR" else points[key].fnmr
            assert rate.value == pytest.approx(errors / pairs, abs=1e-9)

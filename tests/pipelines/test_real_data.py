"""The real data sets, where their zip files lie beside the checkout: short runs of the shipped configurations."""

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from siamese_core.evaluation.evaluate import Evaluation
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
    """The path and embedding of every image, from what the registered model's users get."""
    uri = project.run("siamese", "tracking-uri").stdout.strip()
    done = project.run("siamese", "embed", "--model", model, str(data), "-o", str(out), MLFLOW_TRACKING_URI=uri)
    assert done.returncode == 0, done.stderr
    found = np.load(out)
    paths = [Path(path).relative_to(data).as_posix() for path in found["paths"].tolist()]
    return np.array(paths), found["embeddings"].astype(np.float64)


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


def rank_1_by_hand(names: np.ndarray, x: np.ndarray) -> float:
    """Every image but one of its identity searched for among one of each, which the run's seed 0 draws."""
    gallery: dict[str, int] = {}
    for row in np.random.default_rng(0).permutation(len(names)).tolist():
        gallery.setdefault(names[row], row)
    people, places = np.array(list(gallery)), list(gallery.values())
    searched = np.setdiff1d(np.arange(len(names)), places)
    nearest = (x[searched] @ x[places].T).argmax(1)
    return float((people[nearest] == names[searched]).mean())


def figure_in(report: str, before: str) -> float:
    """The first number that the page shows after some text, per cent as a share."""
    found = re.search(rf"{re.escape(before)}(?:<[^>]*>)*([0-9.]+)(%?)", report)
    assert found, before
    return float(found[1]) / (100 if found[2] else 1)


def rates_in(report: str, kind: str) -> dict[str, tuple[float, int, int]]:
    """The share, errors and pairs of each operating point, as the page shows them."""
    rows = re.findall(r'<td data-label="operating point"><b>([^<]+)</b>.*?</tr>', report, re.S)
    pattern = rf'data-label="{kind} on test"><b>([0-9.]+)%</b>.*?<small>([0-9,]+) of ([0-9,]+) pairs'
    found = re.findall(pattern, report, re.S)
    return {
        name: (float(share) / 100, int(wrong.replace(",", "")), int(pairs.replace(",", "")))
        for name, (share, wrong, pairs) in zip(rows, found, strict=True)
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

    # The test images in the store's order: a draw of the seed is by place.
    manifest = steps["ingest"].outputs["image_manifest"][0].load()
    split = steps["split"].outputs["split"][0].load()
    tested = manifest.ok["path"].iloc[split.rows(manifest, "test")].tolist()
    paths, embeddings = embedded(project, f"models:/short-{name}@champion", data, session_folder / f"{name}.npz")
    place = {path: row for row, path in enumerate(paths.tolist())}
    embeddings = embeddings[[place[path] for path in tested]]
    identities = np.array([Path(path).parent.as_posix() for path in tested])
    assert set(identities.tolist()) == set(split.identities("test"))
    check(evaluation, str(steps["evaluate"].outputs["evaluation_report"][0].load()), identities, embeddings)


def check(evaluation: Evaluation, page: str, identities: np.ndarray, embeddings: np.ndarray) -> None:
    """What was measured, and what the page says, against the figures by hand; distances differ by rounding."""
    points = evaluation.model.points
    found = by_hand(identities, embeddings, {key: point.threshold for key, point in points.items()})
    rank_1 = rank_1_by_hand(identities, embeddings)
    assert evaluation.figures is not None
    some = 2 / evaluation.figures.searches
    assert evaluation.model.eer == pytest.approx(found["eer"], abs=1e-4)
    assert evaluation.model.auc == pytest.approx(found["auc"], abs=1e-5)
    assert evaluation.figures.rank_1 == pytest.approx(rank_1, abs=some)
    # The page rounds to 0.01 % and to 0.0001.
    assert figure_in(page, "<span>equal error rate</span>") == pytest.approx(found["eer"], abs=1e-4 + 5e-5)
    assert figure_in(page, "<span>rank-1</span>") == pytest.approx(rank_1, abs=some + 5e-5)
    of_the_model = page[page.index("<b>this model</b>") :]
    assert figure_in(of_the_model, 'data-label="AUC">') == pytest.approx(found["auc"], abs=1e-5 + 5e-5)
    genuine_pairs, impostor_pairs = found["pairs"]
    for kind, wrong, pairs in (
        ("FMR", found["false matches"], impostor_pairs),
        ("FNMR", found["false non-matches"], genuine_pairs),
    ):
        shown = rates_in(page, kind)
        assert shown.keys() == points.keys()
        for key, (share, errors, of) in shown.items():
            assert of == pairs
            assert errors == pytest.approx(wrong[key], abs=2 + 2e-4 * wrong[key])
            assert share == pytest.approx(errors / pairs, abs=5.1e-5)
            rate = points[key].fmr if kind == "FMR" else points[key].fnmr
            assert rate.value == pytest.approx(errors / pairs, abs=1e-9)

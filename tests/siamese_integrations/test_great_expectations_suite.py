from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese_core.config import ImageConfig, ValidationConfig
from siamese_core.data.data_checks import Check, describe, failures, report_json
from siamese_core.data.ingest import ingest
from siamese_core.report.data_page import data_page
from siamese_integrations.great_expectations_suite import run_checks

MakeFolder = Callable[[dict[str, int]], Path]
PEOPLE = {f"p{i}": 3 for i in range(8)}


def check(folder: Path, config: ValidationConfig | None = None) -> list[Check]:
    store = folder.parent / "store"
    store.mkdir(exist_ok=True)
    manifest = ingest(folder, store, ImageConfig(size=16, color="grey")).manifest
    return run_checks(manifest, config or ValidationConfig())[0]


def test_good_data_pass_everything(image_folder: MakeFolder) -> None:
    checks = check(image_folder(PEOPLE))
    assert [outcome.title for outcome in checks if not outcome.passed] == []
    assert len(checks) >= 14


def test_an_image_under_two_identities_stops_and_names_both(image_folder: MakeFolder) -> None:
    folder = image_folder(PEOPLE)
    (folder / "p1" / "copy.png").write_bytes((folder / "p0" / "0.png").read_bytes())
    checks = check(folder)
    (error,) = failures(checks, "error")
    assert error.examples == ["p0/0.png = p1/copy.png"]
    assert "validation.cross_identity_duplicates" in describe(error)
    checks = check(folder, ValidationConfig(cross_identity_duplicates="warning"))
    assert not failures(checks, "error")
    assert failures(checks, "warning")
    checks = check(folder, ValidationConfig(cross_identity_duplicates="off"))
    assert not failures(checks, "warning")


def test_a_copy_within_an_identity_only_warns(image_folder: MakeFolder) -> None:
    folder = image_folder(PEOPLE)
    (folder / "p1" / "copy.png").write_bytes((folder / "p1" / "0.png").read_bytes())
    checks = check(folder)
    assert not failures(checks, "error")
    (warning,) = failures(checks, "warning")
    assert warning.examples == ["p1/0.png = p1/copy.png"]


def test_unreadable_files_warn_first_and_stop_when_they_are_many(image_folder: MakeFolder) -> None:
    folder = image_folder(PEOPLE)
    (folder / "p0" / "bad.png").touch()
    checks = check(folder)
    assert not failures(checks, "error")
    assert failures(checks, "warning")[0].examples == ["p0/bad.png: empty file (0 bytes)"]
    for i in range(30):
        (folder / "p0" / f"bad{i}.png").touch()
    checks = check(folder)
    assert "at least 50% of the files" in failures(checks, "error")[0].title


def test_near_empty_images_warn_first_and_stop_when_they_are_many(image_folder: MakeFolder) -> None:
    folder = image_folder(PEOPLE)
    for i in range(1):
        Image.fromarray(np.full((20, 20), 200 + i, np.uint8)).save(folder / "p0" / f"blank{i}.png")
    checks = check(folder)
    assert not failures(checks, "error")
    assert failures(checks, "warning")[0].examples == ["p0/blank0.png"]
    for i in range(1, 8):
        Image.fromarray(np.full((20, 20), 200 + i, np.uint8)).save(folder / "p0" / f"blank{i}.png")
    checks = check(folder)
    assert [outcome.title for outcome in failures(checks, "error")] == [
        "at least 95% of the images are more than near-empty"
    ]


@pytest.mark.parametrize(
    ("sizes", "title"),
    [
        ({f"p{i}": 1 for i in range(20)}, "at least 6 identities have 2 images or more (20 identities in all)"),
        ({"p0": 20}, "at least 6 identities have 2 images or more (1 identities in all)"),
        ({f"p{i}": 2 for i in range(3)}, "there are at least 12 images"),
    ],
)
def test_too_little_data_stops(image_folder: MakeFolder, sizes: dict[str, int], title: str) -> None:
    checks = check(image_folder(sizes))
    assert title in [outcome.title for outcome in failures(checks, "error")]


def test_small_images_and_singletons_warn(image_folder: MakeFolder) -> None:
    folder = image_folder(PEOPLE)
    (folder / "lonely").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (10, 9), dtype=np.uint8)).save(
        folder / "lonely" / "a.png"
    )
    checks = check(folder)
    warned = {outcome.title: outcome.examples for outcome in failures(checks, "warning")}
    assert warned["width is at least 16 pixels"] == ["lonely/a.png"]
    assert warned["every identity has at least 2 images"] == ["lonely"]


def test_the_report_is_json_and_a_page_of_its_own(image_folder: MakeFolder, tmp_path: Path) -> None:
    import json

    folder = image_folder(PEOPLE)
    (folder / "p0" / "<b>.png").touch()
    (tmp_path / "store2").mkdir()
    result = ingest(folder, tmp_path / "store2", ImageConfig(size=16, color="grey"))
    manifest, store = result.manifest, result.store
    checks, raw = run_checks(manifest, ValidationConfig())
    report = json.loads(json.dumps(report_json(checks, manifest, raw)))
    assert report["success"]
    assert report["summary"]["quarantined"] == 1
    assert len(report["great_expectations"]) == len(report["checks"])
    page = data_page(checks, manifest, store)
    assert "p0/&lt;b&gt;.png" in page
    assert "//" not in page.replace("data:image", "").split("base64,")[0]
    assert "<script" not in page

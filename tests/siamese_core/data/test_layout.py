"""From folders to identities: the rule, the merge file, and the layouts that are suspicious."""

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from siamese_core.config import DataConfig, ImageConfig, ValidationConfig
from siamese_core.data.data_checks import Check, describe, failures
from siamese_core.data.ingest import ingest
from siamese_core.data.layout import Group, answer, by_word, nested, recurring
from siamese_core.data.manifest import Manifest
from siamese_core.errors import DataError
from siamese_integrations.great_expectations_suite import run_checks
from tests.conftest import REPOSITORY
from tests.siamese_core.data.test_ignored import image, write

NAMES = ("ann", "bob", "cy", "dee", "eve", "flo", "guy", "hal")
TWO = [("ann", "bob"), ("cy", "dee")]


def product(above: Sequence[str], below: Sequence[str]) -> list[str]:
    return [f"{a}/{b}" for a in above for b in below]


@pytest.mark.parametrize(
    "folders",
    [("train", "test"), ("Training", "Validation"), ("train_images", "test_images"), ("lfw-train", "lfw-test"),
     ("gallery", "probe"), ("session1", "session2"), ("2019", "2020"), ("day 1", "day 2"), ("Fold_0", "Fold_1"),
     ("cam_a", "cam_b"), ("indoor", "outdoors"), ("2021-03-04", "2021-03-05")],
)  # fmt: skip
@pytest.mark.parametrize("deeper", ["", "people/"])
def test_parts_and_sessions_above_or_below_the_person_are_suspected(folders: tuple[str, str], deeper: str) -> None:
    above = [deeper + name for name in product(folders, NAMES)]
    assert sorted(map(sorted, by_word(above))) == sorted(sorted(f"{deeper}{f}/{n}" for f in folders) for n in NAMES)
    assert answer(by_word(above)) == "data.identity: leaf"
    below = [deeper + name for name in product(NAMES, folders)]
    assert sorted(map(sorted, by_word(below))) == sorted(sorted(f"{deeper}{n}/{f}" for f in folders) for n in NAMES)
    assert answer(by_word(below)) == (
        "data.merge_file, a CSV identity,into" if deeper else "data.identity: first_level"
    )


def test_a_part_above_and_sessions_below_need_a_list() -> None:
    groups = by_word(product(("train", "test"), product(NAMES, ("s_session1", "s_session2"))))
    assert [len(group) for group in groups] == [4] * 8
    assert answer(groups) == "data.merge_file, a CSV identity,into"


@pytest.mark.parametrize("below", [("1", "2", "3"), ("a", "b"), ("s01", "s02")])
def test_the_same_few_names_below_many_folders_are_suspected(below: tuple[str, ...]) -> None:
    assert recurring(product(NAMES, below)) == [[f"{name}/{b}" for b in below] for name in NAMES]


def test_a_name_of_its_own_in_two_folders_is_suspected() -> None:
    assert recurring(["sales/Ann Lee", "it/Ann Lee", "it/Bob", "sales/Cy"]) == [["it/Ann Lee", "sales/Ann Lee"]]


def test_images_beside_a_folder_of_images_are_suspected() -> None:
    assert nested(["ann", "ann/holiday", "ann/holiday/sea", "bob", "annabel/x"]) == [
        ["ann", "ann/holiday", "ann/holiday/sea"]
    ]
    assert by_word(["ann", "ann/old photos", "bob"]) == [["ann", "ann/old photos"]]
    assert answer([["ann", "ann/old photos"]]) == "data.identity: first_level"


def suspicions(identities: list[str]) -> list[Group]:
    return by_word(identities) + nested(identities) + recurring(identities)


@pytest.mark.parametrize(
    "identities",
    [
        list(NAMES),
        product(("Greek", "Latin"), [f"character{i:02d}" for i in range(20)]),
        product((f"alphabet{i}" for i in range(5)), [str(i) for i in range(14)]),
        [f"train/{name}" for name in NAMES[:4]] + [f"test/{name}" for name in NAMES[4:]],
        [f"orl/s{i}" for i in range(1, 41)],
        [f"test_{i}" for i in range(9)],
        [f"train/{i}" for i in range(9)],
        [f"data/face{i}" for i in range(1, 10)],
        [*(f"data/set_{i}" for i in range(1, 10)), "data/more people"],
        ["front", "left", "session1", "2019"],
        [*product(("team-a", "team-b"), ("1", "2", "3")), "team-b/grace"],
        ["Ann Lee", "ann_lee"],
        [f"people/{name}" for name in ("Val Ackerman", "Val Kilmer", "Dev Patel", "Doris Day", "Cam Left")],
        ["shoes/web cam", "shoes/day_dream", "shoes/Test Rossa"],
    ],
)
def test_ordinary_layouts_are_not(identities: list[str]) -> None:
    assert suspicions(identities) == []


@pytest.mark.skipif(not (REPOSITORY.parent / "shared" / "data").is_dir(), reason="needs the project's own data")
@pytest.mark.parametrize("name", ["lfw_view1", "omniglot_background"])
def test_real_data_sets_are_not(name: str) -> None:
    files = zipfile.ZipFile(REPOSITORY.parent / "shared" / "data" / f"{name}.zip").namelist()
    assert suspicions(sorted({file.rpartition("/")[0] for file in files if file.endswith((".jpg", ".png"))})) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "images"


def manifest_of(folder: Path, data: DataConfig) -> Manifest:
    store = folder.parent / "store"
    store.mkdir(exist_ok=True)
    return ingest(folder, store, ImageConfig(size=16), data=data).manifest


def checks_of(folder: Path, data: DataConfig) -> list[Check]:
    return run_checks(manifest_of(folder, data), ValidationConfig(), data)[0]


def test_a_suspicion_stops_the_run_until_it_is_answered(folder: Path) -> None:
    paths = product(("train", "test"), product(NAMES, ("0.png", "1.png")))
    write(folder, {path: image(i) for i, path in enumerate(paths)})
    (error,) = failures(checks_of(folder, DataConfig()), "error")
    message = describe(error)
    assert "test/ann = train/ann" in message
    assert "set data.identity: leaf; if all are different, set data.identity: path" in message
    leaf = DataConfig(identity="leaf")
    assert manifest_of(folder, leaf).ok.groupby("identity").size().to_dict() == dict.fromkeys(NAMES, 4)
    for answered in (leaf, DataConfig(identity="path")):
        assert all(check.passed for check in checks_of(folder, answered))


def test_the_rule_names_the_identity_and_nothing_else(folder: Path) -> None:
    write(folder, {"a/b/c/0.png": image(0), "a/0.json": b"{}", "a/b/1.png": b"x", "0.png": image(1)})
    plain = manifest_of(folder, DataConfig()).table
    for rule, identity in (("first_level", "a"), ("leaf", "c"), ("path", "a/b/c")):
        table = manifest_of(folder, DataConfig(identity=rule)).table  # type: ignore[arg-type]
        assert table.loc[table["status"] == "ok", "identity"].tolist() == [identity]
        assert table.drop(columns="identity").equals(plain.drop(columns="identity"))


def merge(folder: Path, text: str) -> DataConfig:
    (folder.parent / "merge.csv").write_text(text, encoding="utf-8")
    return DataConfig(merge_file=str(folder.parent / "merge.csv"))


def test_a_list_merges_identities(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(
        folder, {f"{name}/{i}.png": image(i) for name in ("Ann Lee", "ann_lee", "Ann ", "José", "Bob") for i in (0, 1)}
    )
    data = merge(
        folder, "\ufeffidentity, into\r\nann_lee,Ann Lee\r\nJose\u0301 ,Joe\r\n\r\nAnn ,Ann Lee\r\ngone,Bob\r\n"
    )
    identities = manifest_of(folder, data).ok["identity"]
    assert identities.value_counts().to_dict() == {"Ann Lee": 6, "Joe": 2, "Bob": 2}
    assert "1 identities without a file: gone" in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has the columns \[\]; it needs identity,into"),
        ("from,to\nann,bob\n", "it needs identity,into"),
        ("identity,into\nann\n", "line 2: expected two names"),
        ("identity,into\nann, \n", "line 2: expected two names"),
        ("identity,into\nann,bob\nann,cy\n", "line 3: merges 'ann' into 'cy' and into 'bob'"),
        ("identity,into\nann,bob\nbob,cy\n", "'ann' into 'bob', and that into 'cy'"),
        ("identity,into\nann,bob\nbob,ann\n", "write the last in both rows"),
        ("identity,into\nnobody,bob\n", "None of the 1 identities.*'nobody'"),
    ],
)
def test_a_wrong_list_is_a_clear_error(folder: Path, text: str, message: str) -> None:
    write(folder, {f"{name}/0.png": image(0) for name in ("ann", "bob")})
    with pytest.raises(DataError, match=message):
        manifest_of(folder, merge(folder, text))
    with pytest.raises(DataError, match=r"data\.merge_file .* cannot be read: No such file"):
        manifest_of(folder, DataConfig(merge_file="nowhere.csv"))


def test_another_rule_needs_no_second_reading(folder: Path, tmp_path: Path) -> None:
    write(folder, {path: image(i) for i, path in enumerate(product(NAMES, product(("x", "y"), ("0.png",))))})
    for file in folder.rglob("*.png"):
        os.utime(file, (1_000_000, 1_000_000))
    for name in ("1", "2"):
        (tmp_path / name).mkdir()
    first = ingest(folder, tmp_path / "1", ImageConfig(size=16), data=DataConfig(identity="leaf"))
    second = ingest(
        folder, tmp_path / "2", ImageConfig(size=16), previous=first, data=DataConfig(identity="first_level")
    )
    assert second.reused == 16
    assert set(second.manifest.ok["identity"]) == set(NAMES)

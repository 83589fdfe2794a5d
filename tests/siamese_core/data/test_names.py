"""Names are compared in NFC, the exact one wins, and look-alikes are told from others."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.config import ImageConfig, SplitConfig, ValidationConfig
from siamese_core.data.data_checks import failures
from siamese_core.data.image_metadata import read_metadata
from siamese_core.data.ingest import ingest
from siamese_core.data.listed_test_pairs import read_held_out_pairs
from siamese_core.data.manifest import Manifest
from siamese_core.data.names import Names, look_alikes, nfc
from siamese_core.data.pair_lists import read_pairs
from siamese_core.data.split import hashed_part, make_split
from siamese_core.errors import DataError
from siamese_integrations.great_expectations_suite import run_checks
from tests.siamese_core.data.test_ignored import image, write

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cc", "Cs"]), min_size=1)


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


@given(WORDS)
def test_the_split_of_a_name_is_that_of_its_other_form(name: str) -> None:
    assert hashed_part(nfd(name), SplitConfig()) == hashed_part(nfc(name), SplitConfig())


def test_the_split_of_plain_names_is_what_it_was() -> None:
    parts = [hashed_part(name, SplitConfig())[:2] for name in ("Ann_Lee", "p0", "p1", "a/b", "Zoë", "U+0041", "x" * 99)]
    assert parts == ["tr", "tr", "tr", "ca", "tr", "tr", "ca"]


@given(st.lists(WORDS, unique_by=nfc, min_size=1), st.data())
def test_every_name_is_found_as_it_is_and_in_either_form(names: list[str], data: st.DataObject) -> None:
    places = Names(names)
    name = data.draw(st.sampled_from(names))
    assert places.find(name) == name
    assert places.find(nfd(name)) is not None
    assert nfc(places.find(nfd(name)) or "") == nfc(name) or nfd(name) in names


def test_a_trailing_blank_is_a_name_of_its_own_where_it_is_one() -> None:
    both = Names(["Ann", "Ann "])
    assert (both.find("Ann"), both.find("Ann "), both.find("/Ann/"), both.find(" Ann")) == ("Ann", "Ann ", "Ann", "Ann")
    assert Names(["Ann"]).find(" Ann ") == "Ann"
    assert Names(["Ann "]).find("Ann") == "Ann "
    assert Names(["a/b"]).find("./a//b/") == "a/b"
    assert both.find("ann") is None
    assert [Names(["", "Ann"]).find(text) for text in ("", " ", "/", "./")] == [None] * 4


@pytest.mark.parametrize(
    "group",
    [
        ["Ann Lee", "ann_lee"], ["ANN", "Ann", "ann "], ["Müller", "müller"], ["a/José", "a/JOSÉ"],
        ["St. John", "st john"],        ["O'Neil", "O’Neil"], ["Jean-Paul", "Jean Paul", "JeanPaul"],
        ["Ａnn", "Ann"], ["Ann\u00a0L", "Ann L"],
        ["Straße", "STRASSE"], ["p 1", "p1"],
    ],
)  # fmt: skip
def test_spellings_of_one_name_look_alike(group: list[str]) -> None:
    assert look_alikes([*group, "Bob", "zed/Ann"]) == [sorted(group)]


@pytest.mark.parametrize(
    "names",
    [
        ["A", "a"],
        ["p1_1", "p11"],
        ["1.1", "11", "1-1-1"],
        ["a/b", "ab"],
        ["Ann", "Anna"],
        ["José", "Jose"],
        ["s1", "s01"],
    ],
)
def test_other_names_do_not(names: list[str]) -> None:
    assert look_alikes(names) == []


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """Folders and files as a Mac writes them, and plain ones."""
    names = [nfd("José"), "Zoe ", nfd("Ünal"), "Ann Lee", "ann_lee", "Bob", "Cy", "Dee"]
    files = {f"{name}/{nfd('ü')}{j}.png": image(10 * i + j) for i, name in enumerate(names) for j in range(2)}
    write(tmp_path / "images", files)
    return tmp_path / "images"


@pytest.fixture
def manifest(people: Path, tmp_path: Path) -> Manifest:
    (tmp_path / "store").mkdir()
    return ingest(people, tmp_path / "store", ImageConfig(size=16)).manifest


SPLIT = "José,test\nZoe ,test\nÜnal,train\nAnn Lee,train\nann_lee,calibration\nBob,calibration\n"


def test_files_written_in_nfc_find_folders_in_nfd(manifest: Manifest, people: Path, tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("identity,split\n" + SPLIT)
    split = make_split(manifest, SplitConfig(), tmp_path / "split.csv")
    assert split.identities("test") == ["José", "Zoe "]
    (tmp_path / "pairs.csv").write_text("path_a,path_b,same\nJosé/ü0.png,José/ü1.png,1\nJosé/ü0.png , Zoe /ü0.png,0\n")
    pairs = read_held_out_pairs(tmp_path / "pairs.csv", manifest, split)
    assert pairs.images == [nfd("José/ü0.png"), nfd("José/ü1.png"), nfd("Zoe /ü0.png")]
    assert read_pairs(tmp_path / "pairs.csv", people).images == pairs.images
    (tmp_path / "about.csv").write_text("path,age\nJosé/ü0.png,30\nZoe /ü1.png,40\n")
    rows = split.rows(manifest, "test")
    assert sorted(read_metadata(tmp_path / "about.csv", manifest, rows).columns["age"]) == ["", "", "30", "40"]
    (tmp_path / "about.csv").write_text("identity,age\nJosé,30\nZoe,40\n")
    assert read_metadata(tmp_path / "about.csv", manifest, rows).columns["age"] == ["30", "30", "40", "40"]


def test_one_identity_in_two_parts_is_refused_in_any_spelling(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "split.csv").write_text("identity,split\n" + SPLIT + nfd("José") + ",train\n")
    with pytest.raises(DataError, match="puts 'José' into test and train"):
        make_split(manifest, SplitConfig(), tmp_path / "split.csv")


def test_look_alikes_are_a_warning_that_names_them(manifest: Manifest) -> None:
    checks, _ = run_checks(manifest, ValidationConfig())
    assert not failures(checks, "error")
    (warning,) = failures(checks, "warning")
    assert warning.examples == ["Ann Lee = ann_lee"]


def test_two_forms_of_one_name_are_one_identity(people: Path, tmp_path: Path) -> None:
    write(people, {f"{nfc('José')}/1.png": image(99)})
    (tmp_path / "store").mkdir()
    manifest = ingest(people, tmp_path / "store", ImageConfig(size=16)).manifest
    assert (manifest.ok["identity"] == "José").sum() == 3

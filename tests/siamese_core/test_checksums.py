import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.checksums import CHECKSUMS, check_files, write_checksums
from siamese_core.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "charts").mkdir()
    for name in ("weights", "a card.md", "charts/é.svg"):
        (tmp_path / name).write_text(name)
    write_checksums(tmp_path)
    return tmp_path


def test_sha256sum_agrees(folder: Path) -> None:
    done = subprocess.run(["sha256sum", "--check", "--strict", CHECKSUMS], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == 3
    check_files(folder)


def test_writing_again_gives_the_same(folder: Path) -> None:
    first = (folder / CHECKSUMS).read_bytes()
    write_checksums(folder)
    assert (folder / CHECKSUMS).read_bytes() == first


@pytest.mark.parametrize("name", ["weights", "a card.md", "charts/é.svg"])
def test_a_changed_or_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).write_text("other")
    with pytest.raises(ModelError, match=f"{name} has changed"):
        check_files(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        check_files(folder)


def test_files_that_are_not_listed_are_left_alone(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    check_files(folder)


@given(
    st.one_of(st.text(max_size=100), st.sampled_from([f"{0:064x}  ../x\n", f"{0:064x}  /dev/zero\n", f"{0:064x}  \n"]))
)
def test_damaged_hashes_are_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / CHECKSUMS).write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(ModelError, match=f"{CHECKSUMS} is damaged"):
        check_files(folder)

import hashlib
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from siamese_core.input_file import InputFile


def test_a_file_is_its_path_and_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("a")
    before = InputFile.of(str(path))
    assert before == InputFile(str(path), hashlib.sha256(b"a").hexdigest())
    path.write_text("b")
    assert InputFile.of(str(path)) != before
    monkeypatch.setenv("HOME", str(tmp_path))
    assert InputFile.of("~/pairs.csv") == InputFile.of(str(path))


def test_no_file_is_none_and_a_missing_one_is_left_to_its_reader(tmp_path: Path) -> None:
    assert InputFile.of(None) is None
    assert InputFile.of(str(tmp_path / "nowhere.csv")) == InputFile(str(tmp_path / "nowhere.csv"), None)


def test_it_is_json_as_zenml_stores_parameters(tmp_path: Path) -> None:
    adapter = TypeAdapter(InputFile | None)
    for file in (InputFile.of(__file__), InputFile.of(str(tmp_path / "nowhere.csv")), None):
        assert adapter.validate_json(adapter.dump_json(file)) == file

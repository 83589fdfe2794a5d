"""The record of who trained a model."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.errors import ModelError
from siamese_core.network.trained_on import TrainedOn

NAMES = st.lists(
    st.text(min_size=1, max_size=20), min_size=1, max_size=12, unique_by=lambda name: unicodedata.normalize("NFC", name)
)


@given(NAMES, st.data())
def test_it_knows_exactly_those_of_all_generations(names: list[str], data: st.DataObject) -> None:
    generation = data.draw(st.lists(st.integers(0, 3), min_size=len(names), max_size=len(names)))
    record: TrainedOn | None = None
    for number in range(3):  # the fourth are strangers
        own = [name for name, of in zip(names, generation, strict=True) if of == number]
        record = TrainedOn.of(own, record) if record else TrainedOn.of(own)
    assert record
    assert record.among(names) == [name for name, of in zip(names, generation, strict=True) if of < 3]
    assert record.complete


def test_spellings_of_one_name_are_one() -> None:
    record = TrainedOn.of([unicodedata.normalize("NFD", "José")])
    assert record.among(["José", "Jose"]) == ["José"]


def test_names_are_not_in_the_file_and_it_comes_back(tmp_path: Path) -> None:
    record = replace(TrainedOn.of(["ada", "grace"]), parent="people/3")
    record.save(tmp_path)
    (file,) = tmp_path.iterdir()
    text = file.read_text()
    assert "ada" not in text
    assert "grace" not in text
    assert TrainedOn.find(tmp_path) == record
    TrainedOn.of(["ada", "grace"]).save(tmp_path)
    first = file.read_bytes()
    TrainedOn.of(["ada", "grace"]).save(tmp_path)
    assert file.read_bytes() == first


def test_of_two_data_sets_a_name_has_two_hashes() -> None:
    first, second = TrainedOn.of(["ada", "grace"]), TrainedOn.of(["ada", "edsger"])
    assert not set(first.identities) & set(second.identities)


def test_weights_without_a_record_leave_the_record_incomplete_for_ever() -> None:
    child = TrainedOn.of(["ada"], None)
    assert not child.complete
    assert not TrainedOn.of(["grace"], child).complete
    assert TrainedOn.of(["grace"], child).among(["ada", "grace"]) == ["ada", "grace"]


def test_an_older_model_has_none_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    assert TrainedOn.find(tmp_path) is None
    (tmp_path / "trained_on.json").write_text('{"format": 1, "salt": "x"}')
    with pytest.raises(ModelError, match=r"trained_on\.json"):
        TrainedOn.find(tmp_path)

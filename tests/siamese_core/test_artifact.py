"""Records come back from JSON as they were, and another format is refused."""

import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest

from siamese_core.artifact import put_in_place, read_json, read_record, whole_file, write_json, write_record
from siamese_core.errors import ModelError


@dataclass(frozen=True)
class Leaf:
    value: float
    name: str | None = None


@dataclass(frozen=True)
class Tree:
    leaf: Leaf
    leaves: list[Leaf]
    by_name: dict[str, Leaf]
    place: tuple[int, int, float]
    places: list[tuple[int, int, float]]
    maybe: Leaf | None = None
    free: dict[str, object] = field(default_factory=dict)


FULL = Tree(Leaf(1.5), [Leaf(2.0, "b")], {"c": Leaf(3.0)}, (1, 2, 0.5), [(3, 4, 1.0)], Leaf(4.0), {"any": [1, "x"]})
EMPTY = Tree(Leaf(0.0), [], {}, (0, 0, 0.0), [])


@pytest.mark.parametrize("tree", [FULL, EMPTY], ids=["full", "empty"])
def test_there_and_back(tree: Tree, tmp_path: Path) -> None:
    write_record(tmp_path / "tree.json", tree, 2)
    assert read_record(Tree, tmp_path / "tree.json", 2) == tree


def test_a_file_without_a_number_is_of_the_first_format(tmp_path: Path) -> None:
    write_json(tmp_path / "tree.json", asdict(FULL))
    assert read_record(Tree, tmp_path / "tree.json", 1) == FULL


def test_another_format_is_refused_in_words(tmp_path: Path) -> None:
    write_record(tmp_path / "tree.json", FULL, 3)
    with pytest.raises(ModelError, match=r"tree\.json has format 3; .* reads format 2"):
        read_record(Tree, tmp_path / "tree.json", 2)


def test_an_older_format_is_read_where_there_is_a_way(tmp_path: Path) -> None:
    write_record(tmp_path / "leaf.json", Leaf(2.0, "b"), 1)
    older = {1: lambda values: values | {"name": values["name"] * 2}}
    assert read_record(Leaf, tmp_path / "leaf.json", 2, older) == Leaf(2.0, "bb")
    write_record(tmp_path / "leaf.json", Leaf(2.0, "b"), 2)
    assert read_record(Leaf, tmp_path / "leaf.json", 2, older) == Leaf(2.0, "b")


def test_a_file_that_holds_something_else_is_refused_in_words(tmp_path: Path) -> None:
    write_json(tmp_path / "leaf.json", {"value": "red"})
    with pytest.raises(ModelError, match=r"leaf\.json does not hold"):
        read_record(Leaf, tmp_path / "leaf.json", 1)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(number: str, tmp_path: Path) -> None:
    (tmp_path / "tree.json").write_text(f'{{"value": {number}}}')
    with pytest.raises(ModelError, match=f"tree.json holds {number}, which is not a finite number"):
        read_json(tmp_path / "tree.json")


def test_a_folder_takes_the_place_of_an_empty_one_alone(tmp_path: Path) -> None:
    for name in ("new", "empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "file").write_text("new")
    (tmp_path / "full" / "file").write_text("old")
    with pytest.raises(OSError, match="not empty"):
        put_in_place(tmp_path / "new", tmp_path / "full")
    put_in_place(tmp_path / "new", tmp_path / "empty")
    assert (tmp_path / "empty" / "file").read_text() == "new"
    assert (tmp_path / "full" / "file").read_text() == "old"
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a [1].npz"
    for text in ("old", "new"):
        with whole_file(path) as partial:
            partial.write_text(text)

    def fail() -> None:
        with whole_file(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_half_of_a_killed_process_is_removed_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    code = f"""
import os
from pathlib import Path
from siamese_core.artifact import whole_file
with whole_file(Path({str(path)!r})) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), 9)
"""
    subprocess.run([sys.executable, "-c", code])
    (dead,) = tmp_path.iterdir()
    living = dead.with_name(dead.name.rpartition("-")[0] + f"-{os.getppid()}")
    living.touch()
    with whole_file(path) as partial:
        partial.touch()
    assert sorted(tmp_path.iterdir()) == [path, living]

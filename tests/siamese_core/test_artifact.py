"""Dataclasses come back from JSON as they were."""

import json
from dataclasses import asdict, dataclass, field

import pytest

from siamese_core.artifact import from_json


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
def test_there_and_back(tree: Tree) -> None:
    assert from_json(Tree, json.loads(json.dumps(asdict(tree)))) == tree


def test_a_file_from_before_a_field_takes_its_default() -> None:
    old = asdict(EMPTY)
    del old["maybe"], old["free"]
    assert from_json(Tree, old) == EMPTY


def test_a_field_that_is_not_known_is_an_error() -> None:
    with pytest.raises(KeyError, match="colour"):
        from_json(Leaf, {"value": 1.0, "colour": "red"})

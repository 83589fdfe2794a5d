import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.arrays import blocks, labels_of, positions_of_each


def test_labels_of_counts_from_zero_in_sorted_order() -> None:
    labels, names = labels_of(["b", "a", "b", "c"])
    assert labels.tolist() == [1, 0, 1, 2]
    assert names == ["a", "b", "c"]


def test_positions_of_each_are_ascending_and_a_label_without_any_has_none() -> None:
    positions = positions_of_each(np.array([3, 0, 3, 1]), count=6)
    assert [places.tolist() for places in positions] == [[1], [3], [], [0, 2], [], []]
    assert [len(places) for places in positions_of_each(np.empty(0, np.int64), count=2)] == [0, 0]


@given(st.integers(0, 50), st.integers(1, 60))
def test_blocks_cover_each_position_once(count: int, size: int) -> None:
    numbers = np.arange(count)
    parts = [numbers[block] for block in blocks(count, size)]
    assert np.array_equal(np.concatenate([numbers[:0], *parts]), numbers)
    assert all(len(part) == size for part in parts[:-1])

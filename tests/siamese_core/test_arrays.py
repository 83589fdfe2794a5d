from siamese_core.arrays import labels_of


def test_labels_of_counts_from_zero_in_sorted_order() -> None:
    labels, names = labels_of(["b", "a", "b", "c"])
    assert labels.tolist() == [1, 0, 1, 2]
    assert names == ["a", "b", "c"]

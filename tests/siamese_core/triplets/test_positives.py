import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from siamese_core.triplets.positives import Positives
from tests.siamese_core.brute_force import negatives_of, positives_of

LABELS = hnp.arrays(np.int64, st.integers(1, 12), elements=st.integers(-2, 4))


@given(LABELS)
def test_positives_are_brute_force(labels: np.ndarray) -> None:
    found = Positives.of(labels)
    everyone, plain = range(len(labels)), labels.tolist()
    anchors = [a for a in everyone if positives_of(a, plain) and negatives_of(a, plain)]
    assert found.anchor.tolist() == anchors
    for row, a in enumerate(anchors):
        assert found.member[row][found.is_positive[row]].tolist() == positives_of(a, plain)
        assert set(found.member[row].tolist()) == {a, *positives_of(a, plain)}
        assert found.negatives[row].tolist() == [len(negatives_of(a, plain))]


@given(LABELS)
def test_tensors_are_the_same_numbers(labels: np.ndarray) -> None:
    found = Positives.of(labels)
    on = found.on(torch.device("cpu"))
    for name in ("anchor", "member", "is_positive", "negatives"):
        np.testing.assert_array_equal(getattr(on, name).numpy(), getattr(found, name))


def test_labels_on_a_device_are_refused() -> None:
    with pytest.raises(TypeError):
        Positives.of(torch.zeros(4, dtype=torch.int64, device="meta"))  # type: ignore[arg-type]

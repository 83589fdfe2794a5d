import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.losses import triplet_loss

DISTANCES = st.lists(st.tuples(st.floats(0, 4), st.floats(0, 4)), min_size=1, max_size=30)


@given(DISTANCES, st.floats(0.01, 1))
def test_sum_is_the_definition(pairs: list[tuple[float, float]], margin: float) -> None:
    expected = sum(max(p - n + margin, 0.0) for p, n in pairs)
    positive, negative = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    assert triplet_loss(positive, negative, margin).item() == pytest.approx(expected, abs=1e-9)


@given(DISTANCES, st.floats(0.01, 1))
def test_mean_active_is_the_mean_of_the_positive_losses(pairs: list[tuple[float, float]], margin: float) -> None:
    active = [p - n + margin for p, n in pairs if p - n + margin > 0]
    positive, negative = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    found = triplet_loss(positive, negative, margin, "mean_active").item()
    assert found == pytest.approx(np.mean(active) if active else 0.0, abs=1e-9)


def test_the_gradient_pulls_the_positive_and_pushes_the_negative() -> None:
    positive = torch.tensor([0.5, 0.1], requires_grad=True)
    negative = torch.tensor([0.6, 0.9], requires_grad=True)  # the second triplet is beyond the margin
    triplet_loss(positive, negative, 0.2).backward()
    assert positive.grad is not None
    assert negative.grad is not None
    assert positive.grad.tolist() == [1, 0]
    assert negative.grad.tolist() == [-1, 0]


@pytest.mark.parametrize("reduction", ["sum", "mean_active"])
def test_no_triplets_give_zero_and_a_finite_gradient(reduction: str) -> None:
    nothing = torch.empty(0, requires_grad=True)
    loss = triplet_loss(nothing, nothing, 0.2, reduction)  # type: ignore[arg-type]
    loss.backward()
    assert loss.item() == 0


def test_collapsed_embeddings_lose_exactly_the_margin() -> None:
    zeros = torch.zeros(7)
    assert triplet_loss(zeros, zeros, 0.25, "mean_active").item() == pytest.approx(0.25)

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from siamese_core.triplets.distances import squared_distances
from siamese_core.triplets.losses import batch_all_loss, selectively_contrastive_loss, triplet_loss
from tests.siamese_core import brute_force

DISTANCES = st.lists(st.tuples(st.floats(0, 4), st.floats(0, 4)), min_size=1, max_size=30)
LOSSES = [triplet_loss, selectively_contrastive_loss]


@pytest.mark.parametrize("loss", LOSSES)
@given(pairs=DISTANCES, margin=st.floats(0.01, 1))
def test_sum_is_the_definition(loss: type[triplet_loss], pairs: list[tuple[float, float]], margin: float) -> None:
    expected = [max(p - n + margin, 0.0) for p, n in pairs]
    positive, negative = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    found = loss(positive, negative, margin)
    assert found.value.item() == pytest.approx(sum(expected), abs=1e-9)
    assert found.active.item() == sum(value > 0 for value in expected)
    assert found.triplets == len(pairs)


@given(DISTANCES, st.floats(0.01, 1))
def test_mean_active_is_the_mean_of_the_positive_losses(pairs: list[tuple[float, float]], margin: float) -> None:
    active = [p - n + margin for p, n in pairs if p - n + margin > 0]
    positive, negative = (torch.tensor(side, dtype=torch.float64) for side in zip(*pairs, strict=True))
    found = triplet_loss(positive, negative, margin, "mean_active").value.item()
    assert found == pytest.approx(np.mean(active) if active else 0.0, abs=1e-9)


def test_the_gradient_pulls_the_positive_and_pushes_the_negative() -> None:
    positive = torch.tensor([0.5, 0.1, 0.9], requires_grad=True)
    negative = torch.tensor([0.6, 0.9, 0.7], requires_grad=True)  # the second triplet is beyond the margin
    triplet_loss(positive, negative, 0.2).value.backward()
    assert positive.grad is not None
    assert negative.grad is not None
    assert positive.grad.tolist() == [1, 0, 1]
    assert negative.grad.tolist() == [-1, 0, -1]


def test_a_nearer_negative_is_pushed_and_the_positive_left_alone() -> None:
    positive = torch.tensor([0.5, 0.1, 0.9, 0.7], requires_grad=True)
    negative = torch.tensor([0.6, 0.9, 0.7, 0.7], requires_grad=True)  # nearer in the third only
    selectively_contrastive_loss(positive, negative, 0.2).value.backward()
    assert positive.grad is not None
    assert negative.grad is not None
    assert positive.grad.tolist() == [1, 0, 0, 1]
    assert negative.grad.tolist() == [-1, 0, -1, -1]


@pytest.mark.parametrize("reduction", ["sum", "mean_active"])
@pytest.mark.parametrize("loss", LOSSES)
def test_no_triplets_give_zero_and_a_finite_gradient(loss: type[triplet_loss], reduction: str) -> None:
    nothing = torch.empty(0, requires_grad=True)
    found = loss(nothing, nothing, 0.2, reduction)  # type: ignore[call-arg]
    found.value.backward()
    assert found.value.item() == 0
    assert (found.active.item(), found.triplets) == (0, 0)


def test_collapsed_embeddings_lose_exactly_the_margin() -> None:
    zeros = torch.zeros(7)
    assert triplet_loss(zeros, zeros, 0.25, "mean_active").value.item() == pytest.approx(0.25)


@st.composite
def points(draw: st.DrawFn) -> tuple[torch.Tensor, np.ndarray]:
    """Embeddings on a coarse grid, many of them equal, so that all distances are exact; with labels."""
    size = draw(st.integers(1, 9))
    grid = draw(hnp.arrays(np.int64, (size, 2), elements=st.integers(-2, 2)))
    return torch.from_numpy(grid / 4), draw(hnp.arrays(np.int64, size, elements=st.integers(0, 3)))


@given(points(), st.sampled_from([0.125, 0.25, 1.0]), st.sampled_from(["sum", "mean_active"]))
@settings(max_examples=80, deadline=None)
def test_batch_all_is_the_loss_and_gradient_of_all_triplets(
    batch: tuple[torch.Tensor, np.ndarray], margin: float, reduction: str
) -> None:
    grid, labels = batch
    exact = grid.clone().requires_grad_()
    losses = brute_force.triplet_losses(exact, brute_force.all_triplets(labels.tolist()), margin, contrastive=False)
    active = sum(loss.item() > 0 for loss in losses)
    expected = torch.stack([*losses, 0 * exact.sum()]).sum() / (1 if reduction == "sum" else max(1, active))
    expected.backward()
    ours = grid.float().requires_grad_()
    found = batch_all_loss(squared_distances(ours, ours), labels, margin, reduction)  # type: ignore[arg-type]
    found.value.backward()
    assert found.value.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
    assert (found.active.item(), found.triplets) == (active, len(losses))
    assert ours.grad is not None
    assert exact.grad is not None
    np.testing.assert_allclose(ours.grad.numpy(), exact.grad.numpy(), rtol=1e-5, atol=1e-5)


def test_batch_all_is_sound_in_float32_with_many_triplets() -> None:
    """Two million triplets, few of them active: the cumulated sums must not drown the small losses."""
    generator = torch.Generator().manual_seed(0)
    labels = np.repeat(np.arange(32), 8)
    centres = torch.nn.functional.normalize(torch.randn(32, 16, generator=generator, dtype=torch.float64))
    noise = 0.13 * torch.randn(256, 16, generator=generator, dtype=torch.float64)
    x = torch.nn.functional.normalize(centres[labels] + noise)
    distances = brute_force.squared_distances(x)
    same = torch.from_numpy(labels[:, None] == labels[None, :])
    gap = distances[:, :, None] - distances[:, None, :] + 0.05  # (A, P, N)
    is_triplet = (same & ~torch.eye(256, dtype=torch.bool))[:, :, None] & ~same[:, None, :]
    losses = gap.clamp_min(0)[is_triplet]
    found = batch_all_loss(squared_distances(x.float(), x.float()), labels, 0.05)
    assert 0 < found.active.item() < 0.01 * found.triplets
    assert found.triplets == len(losses)
    assert found.active.item() == pytest.approx((losses > 0).sum().item(), rel=1e-3)
    assert found.value.item() == pytest.approx(losses.sum().item(), rel=1e-4)

"""The miners against brute force over all triplets."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from siamese_core.distances import paired_squared_distances, squared_distances
from siamese_core.mining import MINERS, batch_hard, positive_pairs, semi_hard


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Distances, some of them equal, with labels of few identities."""
    size = draw(st.integers(1, 9))
    labels = draw(hnp.arrays(np.int64, size, elements=st.integers(0, 3)))
    values = draw(hnp.arrays(np.float32, (size, size), elements=st.sampled_from([0, 0.25, 0.5, 0.75, 1, 2, 4])))
    values = np.maximum(values, values.T)
    np.fill_diagonal(values, 0)
    return torch.from_numpy(values), torch.from_numpy(labels)


def brute_force_semi_hard(distances: Tensor, labels: Tensor) -> dict[tuple[int, int], float]:
    """(anchor, positive) → the distance of the negative that must be chosen."""
    chosen = {}
    for a, p in itertools.permutations(range(len(labels)), 2):
        negatives = [distances[a, n].item() for n in range(len(labels)) if labels[n] != labels[a]]
        if labels[a] == labels[p] and negatives:
            beyond = [d for d in negatives if d > distances[a, p]]
            chosen[a, p] = min(beyond) if beyond else max(negatives)
    return chosen


@given(batches())
@settings(max_examples=300)
def test_semi_hard_is_brute_force(batch: tuple[Tensor, Tensor]) -> None:
    distances, labels = batch
    anchor, positive, negative = semi_hard(distances, labels)
    found = {(a, p): distances[a, n].item() for a, p, n in torch.stack([anchor, positive, negative], 1).tolist()}
    assert len(found) == len(anchor)
    assert found == brute_force_semi_hard(distances, labels)
    assert (labels[anchor] == labels[positive]).all()
    assert (labels[anchor] != labels[negative]).all()


@given(batches())
@settings(max_examples=300)
def test_batch_hard_is_brute_force(batch: tuple[Tensor, Tensor]) -> None:
    distances, labels = batch
    everyone = range(len(labels))
    expected = {}
    for a in everyone:
        positives = [distances[a, p].item() for p in everyone if p != a and labels[p] == labels[a]]
        negatives = [distances[a, n].item() for n in everyone if labels[n] != labels[a]]
        if positives and negatives:
            expected[a] = (max(positives), min(negatives))
    anchor, positive, negative = batch_hard(distances, labels)
    found = {
        a: (distances[a, p].item(), distances[a, n].item())
        for a, p, n in torch.stack([anchor, positive, negative], 1).tolist()
    }
    assert found == expected
    assert (anchor != positive).all()


@given(batches(), st.randoms(use_true_random=False))
def test_the_order_of_the_batch_does_not_matter(batch: tuple[Tensor, Tensor], random: object) -> None:
    distances, labels = batch
    order = torch.tensor(random.sample(range(len(labels)), len(labels)))  # type: ignore[attr-defined]
    for mine in MINERS.values():
        a, p, n = mine(distances, labels)
        b, q, m = mine(distances[order][:, order], labels[order])
        straight = sorted(zip(distances[a, p].tolist(), distances[a, n].tolist(), strict=True))
        turned = sorted(
            zip(distances[order[b], order[q]].tolist(), distances[order[b], order[m]].tolist(), strict=True)
        )
        assert straight == turned


@pytest.mark.parametrize("mine", MINERS.values(), ids=MINERS)
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0]])
def test_one_identity_or_only_singletons_give_no_triplets(mine: object, labels: list[int]) -> None:
    distances = torch.rand(len(labels), len(labels))
    assert len(mine(distances, torch.tensor(labels)).anchor) == 0  # type: ignore[operator]


@pytest.mark.parametrize("mine", MINERS.values(), ids=MINERS)
def test_identical_embeddings_give_finite_gradients(mine: object) -> None:
    embeddings = torch.ones(6, 4, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    a, p, n = mine(squared_distances(embeddings.detach(), embeddings.detach()), labels)  # type: ignore[operator]
    gap = paired_squared_distances(embeddings[a], embeddings[p]) - paired_squared_distances(
        embeddings[a], embeddings[n]
    )
    torch.relu(gap + 0.2).sum().backward()
    assert embeddings.grad is not None
    assert torch.isfinite(embeddings.grad).all()


def test_positive_pairs_are_ordered_and_leave_out_the_image_itself() -> None:
    anchor, positive = positive_pairs(torch.tensor([0, 1, 0, 0]))
    assert list(zip(anchor.tolist(), positive.tolist(), strict=True)) == [
        (0, 2),
        (0, 3),
        (2, 0),
        (2, 3),
        (3, 0),
        (3, 2),
    ]


@given(hnp.arrays(np.float32, (5, 3), elements=st.floats(-2, 2, width=32)))
def test_squared_distances_are_the_definition(x: np.ndarray) -> None:
    points = torch.from_numpy(x)
    found = squared_distances(points, points[:2])
    expected = ((x[:, None, :].astype(np.float64) - x[None, :2, :]) ** 2).sum(-1)
    assert found.shape == (5, 2)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_distances_stay_in_float32_under_autocast() -> None:
    x = torch.randn(4, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert squared_distances(x, x).dtype == torch.float32
        assert torch.equal(squared_distances(x, x), squared_distances(x.clone(), x.clone()))
        assert paired_squared_distances(x.bfloat16(), x.bfloat16()).dtype == torch.float32

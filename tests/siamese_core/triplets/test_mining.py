"""The miners against brute force over all triplets."""

from collections import Counter
from functools import partial
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from siamese_core.arrays import Labels
from siamese_core.config import TrainingConfig
from siamese_core.triplets import mining
from siamese_core.triplets.mining import (
    TripletIndices,
    batch_hard,
    distance_weighted,
    easy_positive,
    make_miner,
    semi_hard,
)
from tests.siamese_core import brute_force

RANKS = st.tuples(st.integers(1, 4), st.integers(0, 3)).map(lambda rank: (rank[0], rank[0] + rank[1]))
BY_DISTANCE = {
    "semi_hard": semi_hard,
    "batch_hard": batch_hard,
    "second_to_third_hardest": partial(batch_hard, positives=(2, 3), negatives=(2, 3)),
    "easy_positive": easy_positive,
}


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Labels]:
    """Distances, many of them equal, with labels of few identities."""
    size = draw(st.integers(1, 9))
    labels = draw(hnp.arrays(np.int64, size, elements=st.integers(0, 3)))
    values = draw(hnp.arrays(np.float32, (size, size), elements=st.sampled_from([0, 0.25, 0.5, 0.75, 1, 2, 4])))
    values = np.maximum(values, values.T)
    np.fill_diagonal(values, 0)
    return torch.from_numpy(values), labels


def weighted(distances: Tensor, labels: Labels, seed: int = 0, dimension: int = 4) -> TripletIndices:
    return distance_weighted(distances, labels, dimension, torch.Generator().manual_seed(seed))


def rows_of(triplets: TripletIndices) -> list[tuple[int, int, int]]:
    assert all(side.dtype == torch.int64 for side in triplets)
    return [(a, p, n) for a, p, n in torch.stack(list(triplets), 1).tolist()]


def assert_valid(triplets: TripletIndices, labels: Labels) -> None:
    anchor, positive, negative = (side.numpy() for side in triplets)
    assert (anchor != positive).all()
    assert (labels[anchor] == labels[positive]).all()
    assert (labels[anchor] != labels[negative]).all()
    assert len(set(rows_of(triplets))) == len(anchor)


def in_distances(triplets: list[tuple[int, int, int]], distances: Tensor) -> Counter[tuple[int, float, float]]:
    """What must agree where distances are equal: which image is chosen of equals is free."""
    return Counter((a, distances[a, p].item(), distances[a, n].item()) for a, p, n in triplets)


@given(batches())
@settings(max_examples=100)
def test_semi_hard_is_brute_force(batch: tuple[Tensor, Labels]) -> None:
    distances, labels = batch
    found = semi_hard(distances, labels)
    expected = brute_force.semi_hard(distances, labels.tolist())
    assert_valid(found, labels)
    assert [(a, p) for a, p, _ in rows_of(found)] == [(a, p) for a, p, _ in expected]
    assert in_distances(rows_of(found), distances) == in_distances(expected, distances)


@given(batches())
@settings(max_examples=100)
def test_easy_positive_is_brute_force(batch: tuple[Tensor, Labels]) -> None:
    distances, labels = batch
    found = easy_positive(distances, labels)
    assert_valid(found, labels)
    expected = brute_force.easy_positive(distances, labels.tolist())
    assert in_distances(rows_of(found), distances) == in_distances(expected, distances)


@given(batches(), RANKS, RANKS)
@settings(max_examples=100)
def test_batch_hard_of_any_ranks_is_brute_force(
    batch: tuple[Tensor, Labels], positives: tuple[int, int], negatives: tuple[int, int]
) -> None:
    distances, labels = batch
    found = batch_hard(distances, labels, positives, negatives)
    assert_valid(found, labels)
    expected = brute_force.batch_hard(distances, labels.tolist(), positives, negatives)
    assert in_distances(rows_of(found), distances) == in_distances(expected, distances)


@given(batches())
def test_batch_hard_takes_one_triplet_for_each_anchor(batch: tuple[Tensor, Labels]) -> None:
    distances, labels = batch
    found = batch_hard(distances, labels)
    assert in_distances(rows_of(found), distances) == in_distances(
        brute_force.batch_hard(distances, labels.tolist()), distances
    )
    assert len(set(found.anchor.tolist())) == len(found.anchor)


@given(batches(), st.integers(0, 99))
def test_distance_weighted_draws_one_valid_negative_for_each_pair(batch: tuple[Tensor, Labels], seed: int) -> None:
    distances, labels = batch
    found = weighted(distances, labels, seed)
    assert_valid(found, labels)
    expected = brute_force.semi_hard(distances, labels.tolist())
    assert [(a, p) for a, p, _ in rows_of(found)] == [(a, p) for a, p, _ in expected]


@pytest.mark.parametrize("mine", BY_DISTANCE.values(), ids=BY_DISTANCE)
@settings(max_examples=50)
@given(batch=batches(), random=st.randoms(use_true_random=False))
def test_the_order_of_the_batch_does_not_matter(
    mine: mining.Miner, batch: tuple[Tensor, Labels], random: Random
) -> None:
    distances, labels = batch
    order = random.sample(range(len(labels)), len(labels))
    turned = mine(distances[order][:, order], labels[order])
    back = [(order[a], order[p], order[n]) for a, p, n in rows_of(turned)]
    assert in_distances(back, distances) == in_distances(rows_of(mine(distances, labels)), distances)


@pytest.mark.parametrize("mine", [*BY_DISTANCE.values(), weighted], ids=[*BY_DISTANCE, "distance_weighted"])
@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [0]])
def test_one_identity_or_only_singletons_give_no_triplets(mine: mining.Miner, labels: list[int]) -> None:
    found = mine(torch.rand(len(labels), len(labels)), np.array(labels))
    assert [side.shape for side in found] == [(0,)] * 3


@pytest.mark.parametrize("mine", [semi_hard, easy_positive, weighted])
def test_blocks_of_any_size_give_the_same_triplets(mine: mining.Miner, monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    distances, labels = brute_force.squared_distances(points), np.arange(40) % 7
    whole = mine(distances, labels)
    for numbers in (1, 40 * 7, 40 * 39):
        monkeypatch.setattr(mining, "_BLOCK_NUMBERS", numbers)
        assert rows_of(mine(distances, labels)) == rows_of(whole)


def negatives_drawn(squared: list[float], dimension: int, images: int = 200) -> list[int]:
    """How often each of the negatives at these squared distances is drawn, in images · (images − 1) draws."""
    count = images + len(squared)
    distances = torch.ones(count, count)
    distances[:images, images:] = torch.tensor(squared)
    labels = np.concatenate([np.zeros(images, np.int64), 1 + np.arange(len(squared))])
    found = weighted(distances, labels, seed=1, dimension=dimension)
    return torch.bincount(found.negative - images, minlength=len(squared)).tolist()


def inverse_density(distance: float, dimension: int) -> float:
    """Wu et al. 2017, section 4, in plain distances; beyond 1.4 nothing, below 0.5 no more."""
    if distance >= 1.4:
        return 0.0
    d = max(distance, 0.5)
    return 1 / (d ** (dimension - 2) * (1 - d * d / 4) ** ((dimension - 3) / 2))


@pytest.mark.parametrize("dimension", [2, 3, 4, 8])
def test_negatives_are_drawn_as_often_as_their_weights_say(dimension: int) -> None:
    squared = [1.2, 0.09, 0.25, 2.5, 0.64, 1.9]
    counts = np.array(negatives_drawn(squared, dimension))
    weights = np.array([inverse_density(d**0.5, dimension) for d in squared])
    expected = weights / weights.sum() * counts.sum()
    assert counts.sum() == 200 * 199
    assert (counts[expected == 0] == 0).all()
    possible = expected > 0
    chi_squared = ((counts - expected)[possible] ** 2 / expected[possible]).sum()
    assert chi_squared < 23.5  # 99.99 % of a chi-squared variable with 4 degrees of freedom lie below


def test_negatives_that_are_all_far_are_drawn_evenly() -> None:
    counts = np.array(negatives_drawn([2.0, 3.0, 3.9, 4.0], dimension=128))
    assert ((counts - 9950) ** 2 / 9950).sum() < 21.2  # 99.99 %, 3 degrees of freedom


def test_the_seed_decides_what_is_drawn() -> None:
    points = torch.nn.functional.normalize(torch.randn(40, 8, generator=torch.Generator().manual_seed(0)))
    distances, labels = brute_force.squared_distances(points), np.arange(40) % 10
    first, again, other = (rows_of(weighted(distances, labels, seed, dimension=8)) for seed in (3, 3, 4))
    assert first == again
    assert first != other


@given(
    hnp.arrays(np.float32, (3, 6), elements=st.floats(0, 4, width=32) | st.sampled_from([0, 2**-149, 1, 2])),
    hnp.arrays(np.float32, (3, 2), elements=st.floats(0, 4, width=32) | st.sampled_from([0, 2**-149, 1, 2])),
)
def test_the_first_value_beyond_is_exact_to_the_last_bit(values: np.ndarray, threshold: np.ndarray) -> None:
    values = np.abs(np.concatenate([values, np.full((3, 1), np.inf, np.float32)], axis=1))
    columns = mining._first_beyond(torch.from_numpy(values), torch.from_numpy(np.abs(threshold))).numpy()
    for row in range(3):
        for place in range(2):
            expected = min(value for value in values[row] if value > abs(threshold[row, place]))
            assert values[row, columns[row, place]] == expected


def test_a_draw_never_leaves_the_weights() -> None:
    """The largest number below 1, and weights of zero at both ends."""
    weights = torch.tensor([[0.0, 0.0, 0.1, 0.3, 0.6, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0, 0.0]])
    uniform = torch.tensor([[0.0, 1 - 2**-24]] * 2)
    assert mining._draw(weights, uniform).tolist() == [[2, 4], [0, 0]]


def test_the_configuration_names_the_miner_and_its_options() -> None:
    points = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    distances, labels = brute_force.squared_distances(points), np.arange(30) % 5
    ranged = TrainingConfig(mining="batch_hard", hardest_positives=(2, 2), hardest_negatives=(2, 3))
    expected = {
        TrainingConfig(): semi_hard(distances, labels),
        TrainingConfig(mining="batch_hard"): batch_hard(distances, labels),
        ranged: batch_hard(distances, labels, (2, 2), (2, 3)),
        TrainingConfig(mining="easy_positive"): easy_positive(distances, labels),
        TrainingConfig(mining="distance_weighted"): weighted(distances, labels, seed=5, dimension=7),
    }
    for config, triplets in expected.items():
        miner = make_miner(config, 7, torch.Generator().manual_seed(5))
        assert rows_of(miner(distances, labels)) == rows_of(triplets)
    assert len({tuple(rows_of(triplets)) for triplets in expected.values()}) == len(expected)

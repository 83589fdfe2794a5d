"""Reliability against loops."""

import numpy as np
import pytest

from siamese_core.calibration.operating_points import Calibration
from siamese_core.evaluation.reliability import reliability
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import PairDistances, Pairs, pair_distances

SEED = 3


def distances_of(separation: float, identities: int = 12, images: int = 4) -> PairDistances:
    rng = np.random.default_rng(SEED)
    labels = np.repeat(np.arange(identities), images)
    embeddings = rng.normal(size=(len(labels), 6)) + separation * rng.normal(size=(identities, 6))[labels]
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    every = np.stack(np.triu_indices(len(labels), 1), axis=1)
    same = labels[every[:, 0]] == labels[every[:, 1]]
    genuine, impostor = every[same], every[~same]
    return pair_distances(embeddings, Pairs(genuine, impostor, labels, len(genuine), len(impostor)))


def calibration(slope: float, intercept: float) -> Calibration:
    return Calibration({}, "eer", "eer", {}, slope, intercept, 0.1, 12, 48, 0.95, False, "")


def test_every_pair_is_in_one_group_and_shares_are_balanced_counts() -> None:
    distances, given = distances_of(1.5), calibration(3.0, 4.0)
    bins = reliability(IdentityBootstrap.of(distances, 0.9, 100, SEED), given)
    assert sum(group.pairs for group in bins) == len(distances.genuine) + len(distances.impostor)
    middles = [group.probability for group in bins]
    assert middles == sorted(middles)
    assert 8 <= len(bins) <= 10
    seen = 0.0
    genuine, impostor = given.probability(distances.genuine), given.probability(distances.impostor)
    rest = [sorted(genuine), sorted(impostor)]
    for group in bins:  # the groups are ranges of probability: take them off from below
        taken = [0, 0]
        while sum(taken) < group.pairs:
            kind = 0 if rest[1] == [] or (rest[0] and rest[0][0] <= rest[1][0]) else 1
            rest[kind].pop(0)
            taken[kind] += 1
        ours, theirs = taken[0] / len(genuine), taken[1] / len(impostor)
        assert group.genuine == pytest.approx(ours / (ours + theirs))
        assert group.low <= group.genuine <= group.high
        assert (ours + theirs) / 2 < 0.2
        seen += (ours + theirs) / 2
    assert seen == pytest.approx(1)


def test_probabilities_that_mean_nothing_show_it() -> None:
    distances = distances_of(0.0, identities=40)
    bins = reliability(IdentityBootstrap.of(distances, 0.95, 200, SEED), calibration(8.0, 16.0))
    assert abs(bins[0].genuine - 0.5) < 0.2
    assert not any(group.low <= group.probability <= group.high for group in (bins[0], bins[-1]))


def test_equal_distances_are_one_group() -> None:
    equal = PairDistances(np.ones(3), np.ones(6), np.array([0, 1, 2]), np.array([[0, 1], [0, 2], [1, 2]] * 2), 3)
    (group,) = reliability(IdentityBootstrap.of(equal, 0.95, 20, SEED), calibration(1.0, 1.0))
    assert (group.probability, group.genuine, group.pairs) == (pytest.approx(0.5), pytest.approx(0.5), 9)

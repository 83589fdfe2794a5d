"""The bootstrap over identities against a recount of copied pairs."""

from dataclasses import replace

import numpy as np
import pytest

from siamese_core.errors import DataError
from siamese_core.metrics.bootstrap import IdentityBootstrap, Resamples
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances
from siamese_core.metrics.rates import fnmr_at


def test_the_bootstrap_of_ties_perfect_separation_and_one_pair() -> None:
    apart = PairDistances(
        np.full(3, 0.1), np.full(3, 0.9), np.arange(3), np.array([[0, 1], [0, 2], [1, 2]]), identities=3
    )
    bootstrap = IdentityBootstrap.of(apart, 0.9, 50, seed=0)
    between = [(rate.value, rate.errors, rate.pairs, rate.high) for rate in bootstrap.rates(0.5)]
    assert between == [(0, 0, 3, 1), (0, 0, 3, 1)]  # 3 / 3 by the rule of three
    at_the_tie = [rate.value for rate in bootstrap.rates(0.9)]
    assert at_the_tie == [0, 0]  # impostors at the threshold do not match
    assert [rate.value for rate in bootstrap.rates(0.1)] == [0, 1]  # nor do genuine pairs
    single = PairDistances(np.array([0.1]), np.array([0.9]), np.array([0]), np.array([[0, 1]]), identities=2)
    fmr, fnmr = IdentityBootstrap.of(single, 0.9, 50, seed=0).rates(1.0)
    assert (fmr.value, fmr.errors, fmr.high) == (1, 1, 1)
    assert (fnmr.value, fnmr.errors, fnmr.high) == (0, 0, 1)


@pytest.fixture
def distances(rng: np.random.Generator) -> PairDistances:
    labels = np.repeat(np.arange(12), 4)
    embeddings = rng.normal(size=(12, 3))[labels] + 0.5 * rng.normal(size=(48, 3))
    return pair_distances(embeddings, make_pairs(labels, 10**6, 10**6, 0))


def test_the_bootstrap_is_a_recount_over_drawn_identities(distances: PairDistances) -> None:
    """Draws identities the slow way: a copy of each pair for each time that its identities are drawn."""
    bootstrap = IdentityBootstrap.of(distances, 0.9, 300, seed=4)
    rates = bootstrap.rates(2.0)
    draws = np.random.default_rng(4).multinomial(12, np.full(12, 1 / 12), size=300)
    fmrs, fnmrs = [], []
    for weights in draws:
        a, b = distances.impostor_identities.T
        times = weights[a] * weights[b]
        fmrs.append((times * (distances.impostor < 2.0)).sum() / times.sum())
        times = weights[distances.genuine_identity]
        fnmrs.append((times * (distances.genuine >= 2.0)).sum() / times.sum())
    for rate, values in zip(rates, (fmrs, fnmrs), strict=True):
        assert (rate.low, rate.high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
        assert rate.value == rate.errors / rate.pairs
        assert rate.low <= rate.value <= rate.high


def test_no_errors_give_the_rule_of_three(distances: PairDistances) -> None:
    fmr, fnmr = IdentityBootstrap.of(distances, 0.95, 50, seed=0).rates(0.0)
    assert (fmr.errors, fmr.value, fmr.low) == (0, 0, 0)
    assert fmr.high == pytest.approx(3 / 66)  # 12 · 11 / 2 pairs of identities
    assert (fnmr.value, fnmr.errors) == (1, fnmr.pairs)


def test_the_band_is_the_interval_of_each_threshold_alone(distances: PairDistances) -> None:
    bootstrap = IdentityBootstrap.of(distances, 0.9, 200, seed=3)
    thresholds = np.unique(np.concatenate([[0.0], distances.genuine[::7], distances.impostor[::50], [99.0]]))
    low, high = bootstrap.fnmr_band(thresholds)
    for place, threshold in enumerate(thresholds.tolist()):
        rate = bootstrap.rates(threshold)[1]
        assert rate.value == fnmr_at(distances.genuine, threshold)
        assert min(low[place], rate.value) == pytest.approx(rate.low)
        if rate.errors:
            assert max(high[place], rate.value) == pytest.approx(rate.high)


def test_systems_share_the_resamples_of_their_pairs(distances: PairDistances) -> None:
    other = replace(distances, genuine=distances.genuine * 1.1, impostor=distances.impostor * 0.9)
    identities = distances.genuine_identity, distances.impostor_identities, distances.identities
    shared = Resamples(*identities, count=60, seed=4)
    for system in (distances, other):
        ours, alone = IdentityBootstrap(system, shared, 0.9), IdentityBootstrap.of(system, 0.9, 60, seed=4)
        assert ours.rates(1.5) == alone.rates(1.5)


@pytest.mark.parametrize("bad", [np.array([]), np.array([0.1, np.nan]), np.array([np.inf])])
def test_missing_and_broken_distances_are_refused(bad: np.ndarray) -> None:
    good = np.array([0.5])
    for genuine, impostor in ((bad, good), (good, bad)):
        identities = np.zeros(len(genuine), np.int64), np.tile([0, 1], (len(impostor), 1))
        with pytest.raises(DataError):
            IdentityBootstrap.of(PairDistances(genuine, impostor, *identities, identities=2), 0.9, 10, seed=0)

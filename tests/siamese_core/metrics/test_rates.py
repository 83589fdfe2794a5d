import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import roc_auc_score

from siamese_core.arrays import labels_of
from siamese_core.errors import DataError
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances
from siamese_core.metrics.rates import (
    area_under_roc,
    best_accuracy,
    equal_error_rate,
    fmr_at,
    fnmr_at,
    roc,
    sensitivity_index,
    threshold_at_fmr,
)

# Few distinct values, so that ties are common.
DISTANCES = hnp.arrays(np.float64, st.integers(1, 40), elements=st.sampled_from(np.linspace(0, 4, 9).tolist()))


@given(DISTANCES, st.floats(0.001, 0.999))
def test_the_threshold_is_the_largest_whose_fmr_is_at_most_the_target(impostor: np.ndarray, target: float) -> None:
    threshold = threshold_at_fmr(impostor, target)
    assert fmr_at(impostor, threshold) <= target + 1e-12
    larger = np.nextafter(threshold, np.inf)
    assert fmr_at(impostor, larger) > target - 1e-12


@given(DISTANCES, DISTANCES)
def test_the_curve_is_the_two_rates_at_every_threshold(genuine: np.ndarray, impostor: np.ndarray) -> None:
    curve = roc(genuine, impostor)
    for threshold, fmr, fnmr in zip(curve.thresholds, curve.fmr, curve.fnmr, strict=True):
        assert fmr == pytest.approx(fmr_at(impostor, threshold), abs=1e-12)
        assert fnmr == pytest.approx(fnmr_at(genuine, threshold), abs=1e-12)
    assert (curve.fmr[0], curve.fnmr[0]) == (0, 1)
    assert (curve.fmr[-1], curve.fnmr[-1]) == (1, 0)


@given(DISTANCES, DISTANCES)
def test_auc_agrees_with_scikit_learn(genuine: np.ndarray, impostor: np.ndarray) -> None:
    truth = np.r_[np.ones(len(genuine)), np.zeros(len(impostor))]
    expected = roc_auc_score(truth, -np.r_[genuine, impostor])
    assert area_under_roc(genuine, impostor) == pytest.approx(expected, abs=1e-9)


@given(DISTANCES, DISTANCES)
def test_eer_and_accuracy_are_the_best_of_all_thresholds(genuine: np.ndarray, impostor: np.ndarray) -> None:
    curve = roc(genuine, impostor)
    eer, at = equal_error_rate(curve)
    gaps = np.abs(curve.fmr - curve.fnmr)
    assert abs(fmr_at(impostor, at) - fnmr_at(genuine, at)) == pytest.approx(gaps.min(), abs=1e-12)
    assert eer == pytest.approx((fmr_at(impostor, at) + fnmr_at(genuine, at)) / 2, abs=1e-12)
    accuracy, at = best_accuracy(curve)
    assert accuracy == pytest.approx(1 - (fmr_at(impostor, at) + fnmr_at(genuine, at)) / 2, abs=1e-12)
    assert accuracy == pytest.approx(max(1 - (curve.fmr + curve.fnmr) / 2), abs=1e-12)


@given(DISTANCES, DISTANCES, st.floats(0.001, 0.999))
def test_fnmr_at_an_fmr_is_the_best_of_all_thresholds_that_keep_the_fmr(
    genuine: np.ndarray, impostor: np.ndarray, target: float
) -> None:
    curve = roc(genuine, impostor)
    kept = curve.fmr <= target + 1e-12
    found = fnmr_at(genuine, threshold_at_fmr(impostor, target))
    assert found == pytest.approx(curve.fnmr[kept].min(), abs=1e-12)


def test_d_prime_of_a_toy_example_and_without_spread() -> None:
    assert sensitivity_index(np.array([0.0, 2.0]), np.array([4.0, 6.0])) == pytest.approx(4)
    assert sensitivity_index(np.array([0.0, 2.0]), np.array([5.0])) == pytest.approx(4 / np.sqrt(0.5))
    assert sensitivity_index(np.array([1.0]), np.array([2.0])) is None
    with pytest.raises(DataError):
        sensitivity_index(np.array([np.nan]), np.array([2.0]))


def test_perfect_separation_and_no_separation() -> None:
    apart = roc(np.array([0.1, 0.2]), np.array([0.8, 0.9]))
    assert equal_error_rate(apart)[0] == 0
    assert best_accuracy(apart)[0] == 1
    assert area_under_roc(np.array([0.1, 0.2]), np.array([0.8, 0.9])) == 1
    same = np.full(5, 0.5)
    assert area_under_roc(same, same) == 0.5
    assert equal_error_rate(roc(same, same))[0] == 0.5


@pytest.mark.parametrize("bad", [np.array([]), np.array([0.1, np.nan]), np.array([np.inf])])
def test_missing_and_broken_distances_are_refused(bad: np.ndarray) -> None:
    good = np.array([0.5])
    for genuine, impostor in ((bad, good), (good, bad)):
        with pytest.raises(DataError):
            roc(genuine, impostor)
        with pytest.raises(DataError):
            area_under_roc(genuine, impostor)
        with pytest.raises(DataError):
            sensitivity_index(genuine, impostor)
        compared = PairDistances(
            genuine, impostor, np.zeros(len(genuine), np.int64), np.tile([0, 1], (len(impostor), 1)), identities=2
        )
        with pytest.raises(DataError):
            IdentityBootstrap(compared, 10, seed=0)
    for rate in (threshold_at_fmr, fmr_at, fnmr_at):
        with pytest.raises(DataError):
            rate(bad, 0.1)


@given(DISTANCES, DISTANCES)
def test_figures_do_not_depend_on_the_order_of_the_pairs(genuine: np.ndarray, impostor: np.ndarray) -> None:
    turned = genuine[::-1], impostor[::-1]
    assert equal_error_rate(roc(*turned)) == equal_error_rate(roc(genuine, impostor))
    assert best_accuracy(roc(*turned)) == best_accuracy(roc(genuine, impostor))
    assert area_under_roc(*turned) == pytest.approx(area_under_roc(genuine, impostor), abs=1e-12)


@pytest.mark.parametrize(
    ("genuine", "impostor", "eer", "area", "accuracy"),
    [(0.2, 0.7, 0, 1, 1), (0.7, 0.2, 1, 0, 0.5), (0.4, 0.4, 0.5, 0.5, 0.5)],
)
def test_one_pair_of_each_kind(genuine: float, impostor: float, eer: float, area: float, accuracy: float) -> None:
    pair = np.array([genuine]), np.array([impostor])
    assert equal_error_rate(roc(*pair))[0] == eer
    assert area_under_roc(*pair) == area
    assert best_accuracy(roc(*pair))[0] == accuracy
    assert sensitivity_index(*pair) is None
    for target in (0, 0.5, 1):  # one impostor pair supports no threshold above it
        assert threshold_at_fmr(pair[1], target) == impostor


def test_distances_that_are_all_equal_promise_nothing() -> None:
    same = np.full(6, 0.5)
    curve = roc(same, same)
    assert curve.fmr.tolist() == [0, 1]
    assert curve.fnmr.tolist() == [1, 0]
    assert best_accuracy(curve)[0] == 0.5
    assert sensitivity_index(same, same) is None
    for target in (0, 0.1, 0.9, 1):
        assert threshold_at_fmr(same, target) == 0.5  # strictly below it there is none
        assert fmr_at(same, threshold_at_fmr(same, target)) == 0


def test_the_bootstrap_of_ties_perfect_separation_and_one_pair() -> None:
    apart = PairDistances(
        np.full(3, 0.1), np.full(3, 0.9), np.arange(3), np.array([[0, 1], [0, 2], [1, 2]]), identities=3
    )
    bootstrap = IdentityBootstrap(apart, 50, seed=0)
    between = [(rate.value, rate.errors, rate.pairs, rate.high) for rate in bootstrap.rates(0.5, 0.9)]
    assert between == [(0, 0, 3, 1), (0, 0, 3, 1)]  # 3 / 3 by the rule of three
    at_the_tie = [rate.value for rate in bootstrap.rates(0.9, 0.9)]
    assert at_the_tie == [0, 0]  # impostors at the threshold do not match
    assert [rate.value for rate in bootstrap.rates(0.1, 0.9)] == [0, 1]  # nor do genuine pairs
    single = PairDistances(np.array([0.1]), np.array([0.9]), np.array([0]), np.array([[0, 1]]), identities=2)
    fmr, fnmr = IdentityBootstrap(single, 50, seed=0).rates(1.0, 0.9)
    assert (fmr.value, fmr.errors, fmr.high) == (1, 1, 1)
    assert (fnmr.value, fnmr.errors, fnmr.high) == (0, 0, 1)


@pytest.fixture
def distances(rng: np.random.Generator) -> PairDistances:
    labels = np.repeat(np.arange(12), 4)
    embeddings = rng.normal(size=(12, 3))[labels] + 0.5 * rng.normal(size=(48, 3))
    return pair_distances(embeddings, make_pairs(labels, 10**6, 10**6, 0))


def test_the_bootstrap_is_a_recount_over_drawn_identities(distances: PairDistances) -> None:
    """Draws identities the slow way: a copy of each pair for each time that its identities are drawn."""
    bootstrap = IdentityBootstrap(distances, 300, seed=4)
    found = bootstrap.rates(2.0, 0.9)
    draws = np.random.default_rng(4).multinomial(12, np.full(12, 1 / 12), size=300)
    fmrs, fnmrs = [], []
    for weights in draws:
        a, b = distances.impostor_identities.T
        times = weights[a] * weights[b]
        fmrs.append((times * (distances.impostor < 2.0)).sum() / times.sum())
        times = weights[distances.genuine_identity]
        fnmrs.append((times * (distances.genuine >= 2.0)).sum() / times.sum())
    for rate, values in zip(found, (fmrs, fnmrs), strict=True):
        assert (rate.low, rate.high) == pytest.approx(tuple(np.quantile(values, [0.05, 0.95])))
        assert rate.value == rate.errors / rate.pairs
        assert rate.low <= rate.value <= rate.high


def test_no_errors_give_the_rule_of_three(distances: PairDistances) -> None:
    fmr, fnmr = IdentityBootstrap(distances, 50, seed=0).rates(0.0, 0.95)
    assert (fmr.errors, fmr.value, fmr.low) == (0, 0, 0)
    assert fmr.high == pytest.approx(3 / 66)  # 12 · 11 / 2 pairs of identities
    assert (fnmr.value, fnmr.errors) == (1, fnmr.pairs)


def test_pairs_are_all_pairs_once_and_a_sample_is_distinct(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 6, size=40)
    every = make_pairs(labels, 10**6, 10**6, 0)
    assert len(every.genuine) + len(every.impostor) == 40 * 39 // 2
    assert (labels[every.genuine[:, 0]] == labels[every.genuine[:, 1]]).all()
    assert (labels[every.impostor[:, 0]] != labels[every.impostor[:, 1]]).all()
    some = make_pairs(labels, 20, 300, 0)
    assert (len(some.genuine), len(some.impostor)) == (20, 300)
    assert len(np.unique(some.impostor, axis=0)) == 300
    assert (some.impostor[:, 0] < some.impostor[:, 1]).all()
    assert (labels[some.impostor[:, 0]] != labels[some.impostor[:, 1]]).all()
    assert (some.genuine_total, some.impostor_total) == (len(every.genuine), len(every.impostor))


def test_genuine_pairs_are_in_order_of_identity_and_image(rng: np.random.Generator) -> None:
    labels = np.array([5, 2, 2, 0, 5, 2, 3, 5, 2])  # identities 1 and 4 have no image, 0 and 3 have one
    images = [np.flatnonzero(labels == identity) for identity in range(6)]
    expected = [[a, b] for group in images for a, b in itertools.combinations(group, 2)]
    assert make_pairs(labels, 100, 100, 0).genuine.tolist() == expected
    some = make_pairs(labels, 4, 100, 0).genuine.tolist()
    assert [pair for pair in expected if pair in some] == some
    assert len(some) == 4


def test_genuine_pairs_are_sampled_evenly() -> None:
    labels = np.repeat([0, 1, 2], [9, 2, 5])
    counts = np.zeros((16, 16))
    for seed in range(600):
        sample = make_pairs(labels, 12, 5, seed).genuine
        assert len(np.unique(sample, axis=0)) == 12
        np.add.at(counts, tuple(sample.T), 1)
    drawn = counts[counts > 0]
    assert len(drawn) == 36 + 1 + 10
    assert abs(drawn - 600 * 12 / 47).max() < 5 * np.sqrt(600 * 12 / 47)


def test_a_huge_identity_needs_no_memory_for_all_its_pairs() -> None:
    """50,000 images of one identity have 1.25 G genuine pairs, 20 GB."""
    labels = np.r_[np.zeros(50_000, np.int64), np.arange(10_000) % 5 + 1]
    tracemalloc.start()
    pairs = make_pairs(labels, 1_000, 1_000, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs.genuine_total == 50_000 * 49_999 // 2 + 5 * 2_000 * 1_999 // 2
    assert len(np.unique(pairs.genuine, axis=0)) == 1_000
    assert peak < 50e6


def test_impostor_pairs_are_sampled_evenly() -> None:
    labels = np.arange(30)
    counts = np.zeros((30, 30))
    for seed in range(300):
        sample = make_pairs(np.r_[labels, 0], 1, 60, seed).impostor
        np.add.at(counts, (sample[:, 0].clip(max=29), sample[:, 1].clip(max=29)), 1)
    inner = counts[np.triu_indices(29, 1)]
    assert inner.mean() == pytest.approx(300 * 60 / 464, rel=0.1)
    assert inner.std() < 2.5 * np.sqrt(inner.mean())


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]])
def test_one_kind_of_pairs_is_refused(labels: list[int]) -> None:
    with pytest.raises(DataError, match="both kinds are needed"):
        make_pairs(np.array(labels), 10, 10, 0)


def test_labels_of_counts_from_zero_in_sorted_order() -> None:
    labels, names = labels_of(["b", "a", "b", "c"])
    assert labels.tolist() == [1, 0, 1, 2]
    assert names == ["a", "b", "c"]

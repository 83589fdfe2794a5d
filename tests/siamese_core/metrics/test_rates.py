"""The rates against scikit-learn on data full of ties, and against examples whose answers were published."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import balanced_accuracy_score, det_curve, roc_auc_score, roc_curve

from siamese_core.errors import DataError
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

# Few distinct values, so that ties within and between the kinds are common; all equal and one pair among them.
DISTANCES = hnp.arrays(np.float64, st.integers(1, 40), elements=st.sampled_from(np.linspace(0, 4, 9).tolist()))

# Fawcett 2006, "An introduction to ROC analysis", figure 3: 20 instances by falling score.
FAWCETT_CLASSES = "ppnpppnnpnpnpnnnpnpn"
FAWCETT_SCORES = [0.9, 0.8, 0.7, 0.6, 0.55, 0.54, 0.53, 0.52, 0.51, 0.505]
FAWCETT_SCORES += [0.4, 0.39, 0.38, 0.37, 0.36, 0.35, 0.34, 0.33, 0.3, 0.1]


def labelled(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes and scores as scikit-learn wants them: a higher score is more genuine."""
    return np.repeat([1, 0], [len(genuine), len(impostor)]), -np.concatenate([genuine, impostor])


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
def test_the_roc_is_scikit_learns(genuine: np.ndarray, impostor: np.ndarray) -> None:
    false_positive, true_positive, thresholds = roc_curve(*labelled(genuine, impostor), drop_intermediate=False)
    curve = roc(genuine, impostor)
    np.testing.assert_allclose(np.unique(curve.fmr), np.unique(false_positive), atol=1e-9)
    np.testing.assert_allclose(np.unique(1 - curve.fnmr), np.unique(true_positive), atol=1e-9)
    for rate, hits, score in zip(false_positive[1:], true_positive[1:], thresholds[1:], strict=True):
        just_above = np.nextafter(-score, np.inf)  # theirs accepts at the threshold, ours below it
        assert fmr_at(impostor, just_above) == pytest.approx(rate, abs=1e-9)
        assert 1 - fnmr_at(genuine, just_above) == pytest.approx(hits, abs=1e-9)


@given(DISTANCES, DISTANCES)
def test_the_det_curve_holds_scikit_learns_points(genuine: np.ndarray, impostor: np.ndarray) -> None:
    curve = roc(genuine, impostor)
    ours = np.stack([curve.fmr, curve.fnmr], axis=1)
    for false_positive, false_negative, _ in zip(*det_curve(*labelled(genuine, impostor)), strict=True):
        assert np.abs(ours - [false_positive, false_negative]).sum(axis=1).min() < 1e-9


@given(DISTANCES, DISTANCES)
def test_the_area_is_scikit_learns(genuine: np.ndarray, impostor: np.ndarray) -> None:
    assert area_under_roc(genuine, impostor) == pytest.approx(roc_auc_score(*labelled(genuine, impostor)), abs=1e-9)


@given(DISTANCES, DISTANCES)
def test_the_equal_error_rate_is_where_scikit_learns_rates_are_closest(
    genuine: np.ndarray, impostor: np.ndarray
) -> None:
    false_positive, true_positive, _ = roc_curve(*labelled(genuine, impostor), drop_intermediate=False)
    closest = np.abs(false_positive - (1 - true_positive)).argmin()
    expected = (false_positive[closest] + 1 - true_positive[closest]) / 2
    assert equal_error_rate(roc(genuine, impostor))[0] == pytest.approx(expected, abs=1e-9)


@given(DISTANCES, DISTANCES, st.one_of(st.integers(0, 19).map(lambda n: n / 20), st.floats(0.001, 0.999)))
def test_tar_at_an_fmr_is_scikit_learns_best_within_it(
    genuine: np.ndarray, impostor: np.ndarray, target: float
) -> None:
    false_positive, true_positive, _ = roc_curve(*labelled(genuine, impostor), drop_intermediate=False)
    expected = true_positive[false_positive <= target + 1e-12].max()
    assert 1 - fnmr_at(genuine, threshold_at_fmr(impostor, target)) == pytest.approx(expected, abs=1e-9)


@given(DISTANCES, DISTANCES)
def test_the_best_accuracy_is_scikit_learns_at_that_threshold(genuine: np.ndarray, impostor: np.ndarray) -> None:
    accuracy, threshold = best_accuracy(roc(genuine, impostor))
    truth, scores = labelled(genuine, impostor)
    assert accuracy == pytest.approx(balanced_accuracy_score(truth, -scores < threshold), abs=1e-9)


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


def test_twenty_instances_of_fawcett() -> None:
    distance = 1 - np.array(FAWCETT_SCORES)
    positive = np.array(list(FAWCETT_CLASSES)) == "p"
    genuine, impostor = distance[positive], distance[~positive]
    assert area_under_roc(genuine, impostor) == pytest.approx(0.68, abs=1e-9)
    curve = roc(genuine, impostor)
    assert best_accuracy(curve)[0] == pytest.approx(0.7, abs=1e-9)  # at (0.1, 0.5), section 3
    at = fmr_at(impostor, np.nextafter(1 - 0.54, 1)), 1 - fnmr_at(genuine, np.nextafter(1 - 0.54, 1))
    assert at == pytest.approx((0.1, 0.5), abs=1e-9)
    assert 1 - fnmr_at(genuine, threshold_at_fmr(impostor, 0.1)) == pytest.approx(0.5, abs=1e-9)
    assert equal_error_rate(curve)[0] == pytest.approx(0.4, abs=1e-9)  # the point (0.4, 0.6) of figure 3


def test_the_example_of_scikit_learns_documentation() -> None:
    genuine, impostor = -np.array([0.35, 0.8]), -np.array([0.1, 0.4])
    assert area_under_roc(genuine, impostor) == pytest.approx(0.75, abs=1e-9)
    points = set(
        zip(*(rates.tolist() for rates in (roc(genuine, impostor).fmr, roc(genuine, impostor).fnmr)), strict=True)
    )
    assert {(0.5, 0.0), (0.5, 0.5), (0.0, 0.5)} <= points  # of det_curve

"""The metrics against scikit-learn on data full of ties, and against examples whose answers were published."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import balanced_accuracy_score, det_curve, log_loss, roc_auc_score, roc_curve

from siamese_core.metrics.likelihood import cllr, min_cllr
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

# Few different values, so that ties within and between the kinds are common; all equal and one pair among them.
DISTANCES = arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 8).map(lambda n: n / 8))
# Beyond these a probability is too near to 1 for scikit-learn to be exact.
LOG_RATIOS = arrays(np.float64, st.integers(1, 30), elements=st.floats(-8, 8))

# Fawcett 2006, "An introduction to ROC analysis", figure 3: 20 instances by falling score.
FAWCETT_CLASSES = "ppnpppnnpnpnpnnnpnpn"
FAWCETT_SCORES = [0.9, 0.8, 0.7, 0.6, 0.55, 0.54, 0.53, 0.52, 0.51, 0.505]
FAWCETT_SCORES += [0.4, 0.39, 0.38, 0.37, 0.36, 0.35, 0.34, 0.33, 0.3, 0.1]


def labelled(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Classes and scores as scikit-learn wants them: a higher score is more genuine."""
    return np.repeat([1, 0], [len(genuine), len(impostor)]), -np.concatenate([genuine, impostor])


def equal_weights(genuine: np.ndarray, impostor: np.ndarray) -> np.ndarray:
    """Weights of pairs that make both kinds equally likely."""
    return np.concatenate([np.full(len(genuine), 0.5 / len(genuine)), np.full(len(impostor), 0.5 / len(impostor))])


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


@given(DISTANCES, DISTANCES, st.integers(0, 19).map(lambda n: n / 20))
def test_tar_at_an_fmr_is_scikit_learns_best_within_it(
    genuine: np.ndarray, impostor: np.ndarray, target: float
) -> None:
    false_positive, true_positive, _ = roc_curve(*labelled(genuine, impostor), drop_intermediate=False)
    kept = false_positive <= target + 1e-12
    expected = true_positive[kept].max()
    assert 1 - fnmr_at(genuine, threshold_at_fmr(impostor, target)) == pytest.approx(expected, abs=1e-9)


@given(DISTANCES, DISTANCES)
def test_the_best_accuracy_is_scikit_learns_at_that_threshold(genuine: np.ndarray, impostor: np.ndarray) -> None:
    accuracy, threshold = best_accuracy(roc(genuine, impostor))
    truth, scores = labelled(genuine, impostor)
    assert accuracy == pytest.approx(balanced_accuracy_score(truth, -scores < threshold), abs=1e-9)


@given(LOG_RATIOS, LOG_RATIOS)
def test_cllr_is_scikit_learns_log_loss_in_bits(genuine: np.ndarray, impostor: np.ndarray) -> None:
    truth = np.repeat([1, 0], [len(genuine), len(impostor)])
    probability = expit(np.concatenate([genuine, impostor]))
    loss = log_loss(truth, probability, sample_weight=equal_weights(genuine, impostor), labels=[0, 1])
    assert cllr(genuine, impostor) == pytest.approx(loss / np.log(2), abs=1e-9)


@given(DISTANCES, DISTANCES)
def test_min_cllr_is_the_log_loss_of_an_isotonic_regression(genuine: np.ndarray, impostor: np.ndarray) -> None:
    truth, scores = labelled(genuine, impostor)
    weights = equal_weights(genuine, impostor)
    probability = IsotonicRegression(y_min=0, y_max=1).fit(scores, truth, weights).predict(scores)
    loss = log_loss(truth, probability, sample_weight=weights, labels=[0, 1])
    assert min_cllr(genuine, impostor) == pytest.approx(loss / np.log(2), abs=1e-9)


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


def test_log_ratios_that_say_nothing_cost_one_bit() -> None:
    """Brümmer & du Preez 2006, "Application-independent evaluation of speaker detection": the reference system."""
    nothing = np.zeros(7)
    assert cllr(nothing, nothing) == pytest.approx(1, abs=1e-9)
    assert min_cllr(nothing, nothing) == pytest.approx(1, abs=1e-9)
    assert min_cllr(np.array([0.1, 0.2]), np.array([0.3])) == pytest.approx(0, abs=1e-9)
    assert cllr(np.array([3.0]), -np.array([3.0])) == pytest.approx(np.log2(1 + np.exp(-3)), abs=1e-9)


def test_d_prime_of_two_shifted_groups() -> None:
    """Means 1 and 5, both with variance 1: the separation in units of the common standard deviation."""
    assert sensitivity_index(np.array([0.0, 2.0]), np.array([4.0, 6.0])) == pytest.approx(4, abs=1e-9)

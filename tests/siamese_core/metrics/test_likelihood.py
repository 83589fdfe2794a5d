"""Cllr against scikit-learn's log loss, and its minimum against pool-adjacent-violators by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from siamese_core.errors import DataError
from siamese_core.metrics.likelihood import cllr, min_cllr

# Few distinct values, so that ties are common.
DISTANCES = hnp.arrays(np.float64, st.integers(1, 15), elements=st.sampled_from(np.linspace(0, 4, 9).tolist()))
# Beyond these a probability is too near to 1 for scikit-learn to be exact.
LOG_RATIOS = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-8, 8))


def violators_pooled(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Pool-adjacent-violators by hand: neighbours are pooled while the share of genuine pairs rises with distance."""
    pools = [
        [np.sum(genuine == d) / len(genuine), np.sum(impostor == d) / len(impostor)]
        for d in np.unique(np.r_[genuine, impostor])
    ]
    place = 0
    while place < len(pools) - 1:
        (g, i), (next_g, next_i) = pools[place : place + 2]
        if g / (g + i) < next_g / (next_g + next_i):
            pools[place : place + 2] = [[g + next_g, i + next_i]]
            place = max(place - 1, 0)
        else:
            place += 1
    return sum(g * np.log2((g + i) / g) if g else 0 for g, i in pools) / 2 + (
        sum(i * np.log2((g + i) / i) if i else 0 for g, i in pools) / 2
    )


def equal_weights(genuine: np.ndarray, impostor: np.ndarray) -> np.ndarray:
    """Weights of pairs that make both kinds equally likely."""
    return np.concatenate([np.full(len(genuine), 0.5 / len(genuine)), np.full(len(impostor), 0.5 / len(impostor))])


@given(LOG_RATIOS, LOG_RATIOS)
def test_cllr_is_scikit_learns_log_loss_in_bits(genuine: np.ndarray, impostor: np.ndarray) -> None:
    truth = np.repeat([1, 0], [len(genuine), len(impostor)])
    probability = expit(np.concatenate([genuine, impostor]))
    loss = log_loss(truth, probability, sample_weight=equal_weights(genuine, impostor), labels=[0, 1])
    assert cllr(genuine, impostor) == pytest.approx(loss / np.log(2), abs=1e-9)


@given(DISTANCES, DISTANCES)
def test_min_cllr_is_the_log_loss_of_an_isotonic_regression(genuine: np.ndarray, impostor: np.ndarray) -> None:
    truth, scores = np.repeat([1, 0], [len(genuine), len(impostor)]), -np.concatenate([genuine, impostor])
    weights = equal_weights(genuine, impostor)
    probability = IsotonicRegression(y_min=0, y_max=1).fit(scores, truth, weights).predict(scores)
    loss = log_loss(truth, probability, sample_weight=weights, labels=[0, 1])
    assert min_cllr(genuine, impostor) == pytest.approx(loss / np.log(2), abs=1e-9)


@settings(deadline=None)  # the first call imports scikit-learn
@given(DISTANCES, DISTANCES)
def test_the_minimum_is_that_of_pooled_violators(genuine: np.ndarray, impostor: np.ndarray) -> None:
    assert min_cllr(genuine, impostor) == pytest.approx(violators_pooled(genuine, impostor), abs=1e-9)


@settings(deadline=None)  # the first call imports scikit-learn
@given(DISTANCES, DISTANCES, st.floats(0.01, 5), st.floats(-5, 5))
def test_no_calibration_is_better_than_the_minimum(
    genuine: np.ndarray, impostor: np.ndarray, slope: float, shift: float
) -> None:
    lowest = min_cllr(genuine, impostor)
    assert 0 <= lowest <= 1 + 1e-12
    assert lowest <= cllr(shift - slope * genuine, shift - slope * impostor) + 1e-9
    assert lowest == pytest.approx(min_cllr(np.exp(genuine), np.exp(impostor)), abs=1e-9)  # only the order counts


def test_perfect_useless_and_single_pairs() -> None:
    """Log-ratios that say nothing cost one bit: the reference system of Brümmer & du Preez 2006."""
    nothing = np.zeros(7)
    assert cllr(nothing, nothing) == pytest.approx(1, abs=1e-9)
    assert min_cllr(nothing, nothing) == pytest.approx(1, abs=1e-9)
    assert min_cllr(np.array([0.1, 0.2]), np.array([0.3, 0.3])) == 0
    assert min_cllr(np.full(4, 0.5), np.full(3, 0.5)) == pytest.approx(1)
    assert min_cllr(np.array([0.9]), np.array([0.1])) == pytest.approx(1)
    assert cllr(np.array([3.0]), -np.array([3.0])) == pytest.approx(np.log2(1 + np.exp(-3)), abs=1e-9)
    assert cllr(np.array([1000.0]), np.array([-1000.0])) == 0
    assert cllr(np.array([-1000.0]), np.array([1000.0])) == pytest.approx(1000 / np.log(2))


@pytest.mark.parametrize("bad", [np.array([]), np.array([0.1, np.nan]), np.array([np.inf])])
@pytest.mark.parametrize("figure", [cllr, min_cllr])
def test_missing_and_broken_values_are_refused(figure: object, bad: np.ndarray) -> None:
    assert callable(figure)
    for pair in ((bad, np.array([0.5])), (np.array([0.5]), bad)):
        with pytest.raises(DataError):
            figure(*pair)

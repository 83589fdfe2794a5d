"""Lists of pairs, measured: against slow references and hand counts."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import binomtest

from siamese_core.calibration.expected_rates import Interval
from siamese_core.calibration.operating_points import Calibration, OperatingPoint
from siamese_core.data.pair_lists import PairList
from siamese_core.evaluation.protocols import evaluate_pairs, k_fold_accuracy, wilson
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import Rate

NONE = Rate(0.0, 0.0, 0.0, 0, 1)
ANY = Interval(0.0, 1.0)
CALIBRATION = Calibration(
    points={
        "eer": OperatingPoint("eer", 1.0, None, NONE, NONE, ANY, ANY),
        "fmr_1e-1": OperatingPoint("fmr_1e-1", 0.3, 0.1, NONE, NONE, ANY, ANY),
    },
    default="fmr_1e-1",
    configured="fmr_1e-1",
    refused={},
    slope=1.0,
    intercept=1.0,
    eer=0.1,
    identities=10,
    images=20,
    confidence=0.95,
    conservative=False,
    caution="",
)


def of_distances(genuine: np.ndarray, impostor: np.ndarray) -> PairDistances:
    return PairDistances(genuine, impostor, np.zeros(len(genuine), int), np.zeros((len(impostor), 2), int), 1)


def brute_force(distance: np.ndarray, same: np.ndarray, fold: np.ndarray) -> dict[int, set[float]]:
    """Fold → the accuracies that some best threshold of the other folds gives, by trying every threshold."""

    def accuracy(threshold: float, among: np.ndarray) -> float:
        right = (distance < threshold) == same
        return float((right[among & same].mean() + right[among & ~same].mean()) / 2)

    found = {}
    for one in sorted(set(fold.tolist())):
        rest = fold != one
        tried = [*sorted(set(distance[rest].tolist())), np.nextafter(distance[rest].max(), np.inf)]
        scores = [round(accuracy(threshold, rest), 12) for threshold in tried]
        best = [threshold for threshold, score in zip(tried, scores, strict=True) if score == max(scores)]
        found[one] = {round(accuracy(threshold, ~rest), 9) for threshold in best}
    return found


@given(st.data(), st.integers(2, 4), st.integers(1, 5))
def test_k_fold_accuracy_agrees_with_trying_every_threshold(data: st.DataObject, folds: int, each: int) -> None:
    count = 2 * folds * each
    distance = data.draw(hnp.arrays(np.float64, count, elements=st.sampled_from(np.linspace(0, 4, 9).tolist())))
    same = np.tile([True, False], folds * each)
    fold = np.repeat(np.arange(folds), 2 * each) * 7
    found = k_fold_accuracy(of_distances(distance[same], distance[~same]), fold[same], fold[~same])
    expected = brute_force(distance, same, fold)
    assert list(found.folds) == list(expected)
    for one, accuracies in expected.items():
        assert round(found.folds[one], 9) in accuracies
    values = list(found.folds.values())
    assert found.accuracy == pytest.approx(sum(values) / folds)
    variance = sum((value - found.accuracy) ** 2 for value in values) / (folds - 1)
    assert found.standard_error == pytest.approx((variance / folds) ** 0.5, abs=1e-12)


def test_a_fold_has_no_say_in_its_own_threshold() -> None:
    # Fold 1 alone is perfect at 2.5, the others at 0.5: with their threshold it is at chance.
    genuine, impostor = np.array([0.2, 0.1, 2.0]), np.array([0.9, 0.8, 3.0])
    folds = np.array([0, 2, 1])
    found = k_fold_accuracy(of_distances(genuine, impostor), folds, folds)
    assert found.folds[1] == 0.5
    assert found.thresholds[1] < 1


def test_wilson_agrees_with_scipy() -> None:
    for errors, pairs in ((0, 10), (3, 10), (10, 10), (1, 5000)):
        expected = binomtest(errors, pairs).proportion_ci(0.9, method="wilson")
        found = wilson(errors, pairs, 0.9)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
        assert (found.value, found.errors, found.pairs) == (errors / pairs, errors, pairs)


@pytest.fixture
def people(rng: np.random.Generator) -> tuple[np.ndarray, PairList]:
    """20 identities of 3 images, all genuine and as many impostor pairs, in 3 folds."""
    embeddings = (rng.normal(size=(20, 4))[:, np.newaxis] + 0.3 * rng.normal(size=(20, 3, 4))).reshape(60, 4)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    genuine = [(3 * i + a, 3 * i + b) for i in range(20) for a, b in ((0, 1), (0, 2), (1, 2))]
    impostor = [(a, (a + 4) % 60) for a in range(60)]
    same = np.repeat([True, False], 60)
    images = [f"team/p{row // 3:02d}/{row}.jpg" for row in range(60)]
    folds = np.tile(np.repeat(np.arange(3), 20), 2).astype(np.int32)
    return embeddings.astype(np.float32), PairList(images, np.array([*genuine, *impostor], np.int32), same, folds, 0)


def test_the_rates_are_counts_at_the_calibrated_thresholds(people: tuple[np.ndarray, PairList]) -> None:
    embeddings, listed = people
    found = evaluate_pairs(embeddings, listed, CALIBRATION)
    exact = embeddings.astype(np.float64)
    distance = np.array([((exact[a] - exact[b]) ** 2).sum() for a, b in listed.pairs])
    genuine, impostor = distance[listed.same], distance[~listed.same]
    for name, point in CALIBRATION.points.items():
        result = found.points[name]
        assert (result.fmr.errors, result.fmr.pairs) == ((impostor < point.threshold).sum(), 60)
        assert (result.fnmr.errors, result.fnmr.pairs) == ((genuine >= point.threshold).sum(), 60)
        right = np.r_[genuine < point.threshold, impostor >= point.threshold]
        assert result.accuracy == pytest.approx(right.mean())
        assert result.fmr.low <= result.fmr.value <= result.fmr.high
    nearer = (genuine[:, np.newaxis] < impostor).mean()
    assert found.auc == pytest.approx(nearer)
    assert found.k_fold is not None
    assert list(found.k_fold.folds) == [0, 1, 2]
    assert (found.identities, found.interval, found.images) == (20, "bootstrap over identities", 60)
    assert json.loads(json.dumps(asdict(found), allow_nan=False))["points"]["eer"]["threshold"] == 1.0


def test_no_errors_are_bounded_by_the_identities_that_were_compared(people: tuple[np.ndarray, PairList]) -> None:
    embeddings, listed = people
    apart = np.eye(20, dtype=np.float32).repeat(3, axis=0)
    fmr = evaluate_pairs(apart, listed, CALIBRATION).points["eer"].fmr
    compared = {frozenset((int(a) // 3, int(b) // 3)) for a, b in listed.pairs[~listed.same]}
    assert (fmr.value, fmr.high) == (0, pytest.approx(3 / len(compared)))
    assert len(compared) == 40  # of 190 pairs of identities
    assert embeddings.shape == (60, 4)


def test_folders_that_do_not_tell_identities_give_wilson_intervals(people: tuple[np.ndarray, PairList]) -> None:
    embeddings, listed = people
    by_folder = evaluate_pairs(embeddings, listed, CALIBRATION)
    for images in ([f"{row}.jpg" for row in range(60)], [f"p{row}/a.jpg" for row in range(60)]):
        flat = PairList(images, listed.pairs, listed.same, None, 2)
        found = evaluate_pairs(embeddings, flat, CALIBRATION)
        assert (found.identities, found.interval, found.k_fold, found.duplicates) == (None, "Wilson", None, 2)
        for name, point in found.points.items():
            assert point.fmr == wilson(point.fmr.errors, 60, 0.95)
            assert point.fnmr.value == by_folder.points[name].fnmr.value

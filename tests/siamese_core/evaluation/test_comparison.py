"""The paired bootstrap of challenger and champion."""

from dataclasses import replace

import numpy as np
import pytest

from siamese_core.calibration.operating_points import Threshold
from siamese_core.evaluation.comparison import Contender, _resampled, compare
from siamese_core.evaluation.results import Comparison
from siamese_core.metrics.bootstrap import Resamples
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances
from siamese_core.metrics.rates import equal_error_rate, fmr_at, fnmr_at, roc, threshold_at_fmr

FMR = 0.02


def distances_of(noise: float, seed: int = 0) -> PairDistances:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(30), 4)
    centres = np.random.default_rng(9).normal(size=(30, 4))[labels]
    return pair_distances(centres + noise * rng.normal(size=(120, 4)), make_pairs(labels, 10**6, 10**6, 0))


def contender(distances: PairDistances, fmr: float = FMR, target: float | None = FMR) -> Contender:
    """With the default threshold that has this FMR."""
    return Contender(distances, Threshold(threshold_at_fmr(distances.impostor, fmr), target))


def compared(challenger: PairDistances, champion: PairDistances) -> Comparison:
    return compare(contender(challenger), contender(champion), 0.95, seed=0)


def test_a_model_against_itself_differs_by_exactly_nothing() -> None:
    same = distances_of(0.6)
    figures = compared(same, same).figures
    assert list(figures) == ["EER", "FNMR at FMR 0.02", "FMR at the default operating point"]
    for difference in figures.values():
        assert (difference.value, difference.low, difference.high, difference.standing) == (0, 0, 0, "equal")


def test_a_clearly_worse_model_is_measurably_worse() -> None:
    worse = compared(distances_of(1.2, seed=1), distances_of(0.4))
    assert worse.eer.standing == "measurably worse"
    assert worse.fnmr
    assert worse.fnmr.standing == "measurably worse"
    better = compared(distances_of(0.4), distances_of(1.2, seed=1))
    assert better.eer.standing == "measurably better"


def test_a_looser_threshold_is_worse_in_false_matches_alone() -> None:
    distances = distances_of(0.8)
    comparison = compare(contender(distances, 0.3, None), contender(distances, 0.05, None), 0.95, seed=0)
    assert (comparison.fixed_fmr, comparison.fnmr) == (None, None)
    assert comparison.eer.standing == "equal"
    assert comparison.fmr
    assert comparison.fmr.standing == "measurably worse"
    assert comparison.fmr.challenger == pytest.approx(0.3, abs=0.001)
    assert comparison.fmr.champion == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize(
    ("targets", "fixed"), [((0.1, 0.01), 0.01), ((0.1, None), 0.1), ((None, 0.01), 0.01), ((None, None), None)]
)
def test_the_fixed_fmr_is_the_champions_target_or_else_the_challengers(
    targets: tuple[float | None, float | None], fixed: float | None
) -> None:
    challenger, champion = (contender(distances_of(0.8), 0.1, target) for target in targets)
    assert compare(challenger, champion, 0.95, seed=0).fixed_fmr == fixed


def test_without_a_default_only_what_needs_none_is_compared() -> None:
    distances = distances_of(0.8)
    comparison = compare(Contender(distances, None), contender(distances), 0.95, seed=0)
    assert list(comparison.figures) == ["EER", "FNMR at FMR 0.02"]
    assert "None" not in str(comparison)


def test_values_are_those_of_the_plain_metrics() -> None:
    new, present = distances_of(0.7, seed=3), distances_of(0.8)
    comparison = compared(new, present)
    assert comparison.fnmr
    assert comparison.fmr
    for side, distances in (("challenger", new), ("champion", present)):
        threshold = threshold_at_fmr(distances.impostor, FMR)
        assert getattr(comparison.eer, side) == equal_error_rate(roc(distances.genuine, distances.impostor))[0]
        assert getattr(comparison.fnmr, side) == pytest.approx(fnmr_at(distances.genuine, threshold))
        assert getattr(comparison.fmr, side) == pytest.approx(fmr_at(distances.impostor, threshold))
    for difference in comparison.figures.values():
        assert difference.low <= difference.value <= difference.high


def test_drawing_everybody_once_is_the_plain_rate() -> None:
    distances = distances_of(0.7)
    everyone = np.arange(len(distances.impostor))
    ((eer,), (fnmr,)) = _resampled(distances, everyone, np.ones((1, 30)), FMR)
    assert eer == pytest.approx(equal_error_rate(roc(distances.genuine, distances.impostor))[0], abs=0.003)
    assert fnmr == pytest.approx(fnmr_at(distances.genuine, threshold_at_fmr(distances.impostor, FMR)))


def test_a_resample_is_a_recount_with_copies() -> None:
    distances = distances_of(0.7)
    weights = np.random.default_rng(3).multinomial(30, np.full(30, 1 / 30))
    a, b = distances.impostor_identities.T
    copied = replace(
        distances,
        genuine=np.repeat(distances.genuine, weights[distances.genuine_identity]),
        impostor=np.repeat(distances.impostor, weights[a] * weights[b]),
    )
    ((eer,), (fnmr,)) = _resampled(distances, np.arange(len(a)), weights[None].astype(float), FMR)
    assert eer == pytest.approx(equal_error_rate(roc(copied.genuine, copied.impostor))[0], abs=0.005)
    assert fnmr == pytest.approx(fnmr_at(copied.genuine, threshold_at_fmr(copied.impostor, FMR)))


def test_the_pairing_makes_the_interval_narrower() -> None:
    """Two models that err on the same identities: their difference is known better than either rate."""
    base = distances_of(0.8)
    shifted = replace(base, genuine=base.genuine * 1.02)
    comparison = compared(shifted, base)
    draws = Resamples(base.genuine_identity, base.impostor_identities, 30, 200, 0).weights
    alone = _resampled(base, np.arange(len(base.impostor)), draws, FMR)
    assert comparison.fnmr
    for difference, rates in zip((comparison.eer, comparison.fnmr), alone, strict=True):
        low, high = np.quantile(rates, [0.025, 0.975])
        assert difference.high - difference.low < 0.5 * (high - low)

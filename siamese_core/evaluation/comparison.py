"""Challenger and champion on the same pairs of the same test identities."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.calibration.operating_points import Threshold
from siamese_core.data.dataset import Dataset
from siamese_core.evaluation.champion import Champion
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.protocols import measure_points
from siamese_core.evaluation.results import ChampionResult, Comparison, Difference
from siamese_core.metrics.bootstrap import Resamples, interval_of
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import Curve, roc
from siamese_core.network.embedding import RowEmbedder

logger = logging.getLogger(__name__)

# Enough for the interval of a difference; a resample costs as much as a pass over the pairs.
_MOST_IMPOSTORS = 100_000
_RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Contender:
    """One of the two models that are compared.

    Attributes:
        distances: Of the test pairs.
        default: Threshold of its default operating point; None where it has none.
    """

    distances: PairDistances
    default: Threshold | None


def compare_with_champion(challenger: Contender, champion: Champion, data: Dataset, test: HeldOut) -> ChampionResult:
    """Measure the champion at its own thresholds, and the challenger against it.

    Args:
        challenger: The new model.
        champion: One that prepares images in another way cannot be measured on these.
        data: The images, and how they were prepared.
        test: The pairs of its test identities.
    """
    verifier = champion.verifier
    default = verifier.calibration.default
    if not champion.reads(data.config):
        return ChampionResult(champion.version, default, None, {})
    logger.info("measuring the champion, version %s, on the same pairs", champion.version)
    distances = test.distances(RowEmbedder(verifier.encoder, data.store.images))
    present = Contender(distances, verifier.calibration.default_threshold)
    comparison = compare(challenger, present, test.confidence, test.seed)
    points = measure_points(verifier.calibration.thresholds, test.bootstrap(distances).rates)
    return ChampionResult(champion.version, default, comparison, points)


def compare(challenger: Contender, champion: Contender, confidence: float, seed: int) -> Comparison:
    """Compare two models by a paired bootstrap over identities.

    Both are measured on each resample of the identities, so what the resample makes harder for one it makes harder
    for the other, and the interval is that of their difference (Efron & Tibshirani 1993, chapter 16).

    Args:
        challenger: The new model.
        champion: The present one, with the same pairs in the same order.
        confidence: Level of the intervals.
        seed: Of the resamples.
    """
    pairs, both = challenger.distances, (challenger, champion)
    resamples = Resamples(pairs.genuine_identity, pairs.impostor_identities, pairs.identities, _RESAMPLES, seed)
    sample = np.sort(np.random.default_rng(seed).permutation(len(pairs.impostor))[:_MOST_IMPOSTORS])
    fixed = _fixed_fmr(champion.default, challenger.default)
    curves = [roc(each.distances.genuine, each.distances.impostor) for each in both]
    values = np.array([_eer_and_fnmr(curve.fmr, curve.fnmr, fixed or 0.0) for curve in curves])
    resampled = np.array([_resampled(each.distances, sample, resamples.weights, fixed or 0.0) for each in both])
    eer, fnmr = (_difference(values[:, rate], resampled[:, rate], confidence) for rate in (0, 1))
    fmr = _default_fmrs(both, resamples, confidence)
    return Comparison(eer, fixed, None if fixed is None else fnmr, fmr, confidence)


def _fixed_fmr(*defaults: Threshold | None) -> float | None:
    """The first target among default thresholds; None where none of them has one."""
    return next((each.target_fmr for each in defaults if each and each.target_fmr), None)


def _eer_and_fnmr(fmr: Curve, fnmr: Curve, fixed_fmr: float) -> tuple[float, float]:
    """EER of a curve with ascending FMR, and its FNMR where the FMR is at most a fixed one."""
    best = int(np.argmin(np.abs(fmr - fnmr)))
    place = int(np.searchsorted(fmr, fixed_fmr * (1 + 1e-12), side="right"))
    return float(fmr[best] + fnmr[best]) / 2, float(fnmr[place - 1]) if place else 1.0


def _default_fmrs(both: tuple[Contender, Contender], resamples: Resamples, confidence: float) -> Difference | None:
    """FMR of each model at its default threshold; None where one of them has none."""
    matches = [each.distances.impostor < each.default.value for each in both if each.default]
    if len(matches) < 2:
        return None
    return _difference(np.mean(matches, axis=1), np.array([*map(resamples.impostor_shares, matches)]), confidence)


def _difference(values: Curve, resampled: Curve, confidence: float) -> Difference:
    """Challenger minus champion, (2,), with the interval of what the resamples of both, (2, R), gave."""
    challenger, champion = map(float, values)
    ends = interval_of(resampled[0] - resampled[1], confidence)
    low, high = min(float(ends[0]), challenger - champion), max(float(ends[1]), challenger - champion)
    return Difference(challenger, champion, low, high)


def _resampled(distances: PairDistances, sample: npt.NDArray[np.int64], draws: Curve, fixed_fmr: float) -> Curve:
    """(2, R): EER and FNMR where each pair counts as often as its identities are drawn."""
    values = np.concatenate([distances.genuine, distances.impostor[sample]])
    order = np.argsort(values, kind="stable")
    same = (np.arange(len(values)) < len(distances.genuine))[order]
    # A genuine pair counts once for each time that its identity is drawn, an impostor pair for each meeting.
    first = np.concatenate([distances.genuine_identity, distances.impostor_identities[sample, 0]])[order]
    second = np.concatenate([distances.genuine_identity, distances.impostor_identities[sample, 1]])[order]
    last_of_ties = np.append(np.diff(values[order]) > 0, True)
    rates = np.empty((2, len(draws)))
    for row, weights in enumerate(draws):
        times = np.where(same, weights[first], weights[first] * weights[second])
        genuine, impostor = np.cumsum(times * same), np.cumsum(times * ~same)
        fmr = impostor[last_of_ties] / max(impostor[-1], 1.0)
        fnmr = 1 - genuine[last_of_ties] / max(genuine[-1], 1.0)
        rates[:, row] = _eer_and_fnmr(fmr, fnmr, fixed_fmr)
    return rates

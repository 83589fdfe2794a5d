"""Calibration: named operating points and the probability of "same", from identities kept for it alone."""

from __future__ import annotations

import logging
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Distances
from siamese_core.artifact import Values, read_record, write_record
from siamese_core.calibration.expected_rates import (
    Concentration,
    IdentityEvidence,
    Interval,
    joint_intervals,
    units_needed,
)
from siamese_core.config import CalibrationConfig, operating_point_name
from siamese_core.errors import ModelError
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import Rate, Roc, best_accuracy, equal_error_rate, roc, threshold_at_fmr

_FORMAT = 2
# A target is supported by 10 expected false matches, and by one pair of identities for each expected one in
# 1/target: fewer, and the threshold hangs on a handful of look-alikes.
_EXPECTED_FALSE_MATCHES = 10
# Where a smaller share of the identities has half of the genuine pairs, the rates of the whole are those of a few.
_DOMINATING_SHARE = 0.05

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Threshold:
    """A distance below which pairs are "same".

    Attributes:
        value: The distance.
        target_fmr: The false-match rate it keeps, or None for `eer` and `accuracy`.
    """

    value: float
    target_fmr: float | None


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold with what it was chosen for and what it measured on the calibration identities.

    Attributes:
        name: `eer`, `accuracy`, `fmr_1e-2` …
        threshold: Pairs with a distance below it are "same".
        target_fmr: The false-match rate it keeps, or None for `eer` and `accuracy`.
        fmr: Measured false-match rate.
        fnmr: Measured false-non-match rate.
        expected_fmr: Where the FMR of as many new identities will lie, at all points at once with the calibration's
            confidence.
        expected_fnmr: The same for the FNMR.
    """

    name: str
    threshold: float
    target_fmr: float | None
    fmr: Rate
    fnmr: Rate
    expected_fmr: Interval
    expected_fnmr: Interval


@dataclass(frozen=True)
class Calibration:
    """All that turns a distance into a decision.

    Attributes:
        points: The operating points by name.
        default: Name of the one that is used when none is asked for; None where a caller must name one.
        configured: Name of the default that the configuration asked for. `default` is another one only where the data
            refuse it and `calibration.fallback` names that one.
        refused: Name → why the data cannot support this operating point.
        slope: The probability of "same" is 1 / (1 + exp(slope · distance − intercept)), for equal numbers of
            genuine and impostor pairs; positive.
        intercept: See `slope`.
        eer: Equal error rate on the calibration identities.
        identities: Number of calibration identities.
        images: Number of their images.
        confidence: Level of all intervals.
        conservative: Whether FMR thresholds keep their target on new identities with that confidence, or just on the
            calibration identities.
        caution: Why the intervals may be too narrow, or nothing.
    """

    points: dict[str, OperatingPoint]
    default: str | None
    configured: str
    refused: dict[str, str]
    slope: float
    intercept: float
    eer: float
    identities: int
    images: int
    confidence: float
    conservative: bool
    caution: str

    @property
    def thresholds(self) -> dict[str, Threshold]:
        """The thresholds by operating point."""
        return {name: Threshold(point.threshold, point.target_fmr) for name, point in self.points.items()}

    @property
    def default_threshold(self) -> Threshold | None:
        """The threshold that is used when no operating point is asked for; None where one must be named."""
        return self.thresholds[self.default] if self.default else None

    @property
    def reference(self) -> OperatingPoint:
        """The point of pictures and groups: the default one, or that of the EER where there is none."""
        return self.points[self.default or "eer"]

    @property
    def default_in_words(self) -> str:
        """The default operating point, or why there is none, and why it is not the configured one."""
        if self.default == self.configured:
            return f"The default operating point is {self.default}."
        why = f"because {self.configured} was refused: {self.refused[self.configured]}"
        if self.default:
            return f"The default operating point is {self.default}, as calibration.fallback allows, {why}"
        return f"There is no default operating point, {why} Name one of {', '.join(self.points)}."

    def point(self, name: str | None = None) -> OperatingPoint:
        """The operating point of a name, or the default one.

        Raises:
            ModelError: There is none; the message lists those there are, and why one was refused.
        """
        name = name or self.default
        if name is None:
            raise ModelError(self.default_in_words)
        if name in self.points:
            return self.points[name]
        why = f" {self.refused[name]}" if name in self.refused else ""
        raise ModelError(f"No operating point {name!r}.{why} There are: {', '.join(self.points)}.")

    def probability(self, distance: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The probability that a pair at this distance is genuine, when both kinds are equally likely."""
        exponent = self.slope * np.asarray(distance, np.float64) - self.intercept
        return np.asarray(1 / (1 + np.exp(np.clip(exponent, -700, 700))))

    def log_ratio(self, distance: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The natural logarithm of the likelihood ratio genuine : impostor, which the probability stands for."""
        return self.intercept - self.slope * np.asarray(distance, np.float64)

    def save(self, folder: Path) -> None:
        """Write `calibration.json`."""
        write_record(folder / "calibration.json", self, _FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `calibration.json`; models of the first release have format 1."""
        return read_record(cls, folder / "calibration.json", _FORMAT, {1: _of_format_1})

    def summary(self) -> dict[str, Any]:
        """Thresholds and the EER."""
        return {
            "default": self.default,
            "default_in_words": self.default_in_words,
            "eer": self.eer,
            "identities": self.identities,
            "thresholds": {name: point.threshold for name, point in self.points.items()},
            "refused": self.refused,
        }


def calibrate(
    distances: PairDistances,
    config: CalibrationConfig,
    images: int,
    seed: int,
    new: Concentration | None = None,
) -> Calibration:
    """Find the operating points and the probability curve.

    Args:
        distances: Pairs of calibration identities only.
        config: Targets, default and intervals.
        images: Number of images behind the pairs.
        seed: Of the bootstrap and the joint level of the expected rates.
        new: Concentration of the pairs of the identities that will test (their errors are not asked for): the expected
            rates are of as many identities with as many images. Where it is not known, of as many as these.

    Returns:
        The calibration. A target that the pairs cannot support is refused in words; if it is the default, the first
        fallback that they support takes its place, and without one there is no default.

    Raises:
        DataError: There are no genuine or no impostor pairs, or a distance is not finite.
    """
    logger.info("thresholds of %s", distances)
    evidence = IdentityEvidence(distances, new)
    curve = roc(distances.genuine, distances.impostor)
    thresholds, refused = _choose(curve, distances, evidence, config)
    points = _measure(thresholds, distances, evidence, config, seed)
    logger.info('fitting the probability of "same"')
    slope, intercept = _fit_probability(distances)
    return Calibration(
        points=points,
        default=next((name for name in (config.operating_point, *config.fallback) if name in points), None),
        configured=config.operating_point,
        refused=refused,
        slope=slope,
        intercept=intercept,
        eer=equal_error_rate(curve)[0],
        identities=distances.identities,
        images=images,
        confidence=config.confidence,
        conservative=config.conservative,
        caution=" ".join(filter(None, (_why_not_apart(distances, config), _why_too_narrow(distances, config)))),
    )


def _of_format_1(values: Values) -> Values:
    """Values of today; format 1 did not tell the configured default from what took its place."""
    return values | {"configured": values.get("default")}


def choose_thresholds(distances: PairDistances, config: CalibrationConfig) -> dict[str, Threshold]:
    """The thresholds that `calibrate` chooses from the same pairs, by operating point, and nothing else of it."""
    curve = roc(distances.genuine, distances.impostor)
    return _choose(curve, distances, IdentityEvidence(distances), config)[0]


def thresholds_as_asked(
    distances: PairDistances, names: Sequence[str], config: CalibrationConfig
) -> dict[str, Threshold]:
    """The thresholds of some operating points, whether or not these pairs alone would support them."""
    curve = roc(distances.genuine, distances.impostor)
    thresholds = _without_target(curve)
    for target in config.fmr_targets:
        choice = _threshold(target, distances, IdentityEvidence(distances), config)
        lowest = float(distances.impostor.min())
        thresholds[operating_point_name(target)] = Threshold(lowest if choice is None else choice, target)
    return {name: thresholds[name] for name in names}


def _choose(
    curve: Roc, distances: PairDistances, evidence: IdentityEvidence, config: CalibrationConfig
) -> tuple[dict[str, Threshold], dict[str, str]]:
    """Thresholds by operating point, and why others are refused."""
    thresholds = _without_target(curve)
    refused: dict[str, str] = {}
    for target in sorted(config.fmr_targets, reverse=True):
        choice = _threshold_or_reason(target, distances, evidence, config)
        if isinstance(choice, str):
            refused[operating_point_name(target)] = choice
        else:
            thresholds[operating_point_name(target)] = Threshold(choice, target)
    return thresholds, refused


def _without_target(curve: Roc) -> dict[str, Threshold]:
    return {
        "eer": Threshold(equal_error_rate(curve)[1], None),
        "accuracy": Threshold(best_accuracy(curve)[1], None),
    }


def _why_not_apart(distances: PairDistances, config: CalibrationConfig) -> str:
    if not config.folds:
        return ""
    return (
        f"The same {distances.identities:,} identities set the thresholds and are measured, in {config.folds} folds: "
        "error rates at operating points are cross-fitted, each pair judged by thresholds of other folds."
    )


def _why_too_narrow(distances: PairDistances, config: CalibrationConfig) -> str:
    """A caution where few identities have most of the genuine pairs: others are not like them (docs/calibration.md)."""
    each = np.sort(np.bincount(distances.genuine_identity))[::-1]
    each = each[each > 0]
    few = 1 + int(np.searchsorted(each.cumsum(), each.sum() / 2))
    if few >= _DOMINATING_SHARE * len(each):
        return ""
    usual = max(2, round((1 + math.sqrt(1 + 8 * float(np.median(each)))) / 2))  # n images make n (n − 1) / 2 pairs
    return (
        f"Half of the genuine pairs are of {few} of {len(each):,} calibration identities: intervals may be too narrow, "
        f"and a limit such as calibration.max_images_per_identity: {max(10, usual)} helps."
        + (f" It is {config.max_images_per_identity} now." if config.max_images_per_identity else "")
    )


def conservative_threshold(
    impostor: Distances, evidence: IdentityEvidence, target: float, confidence: float
) -> float | None:
    """The largest threshold whose FMR on as many new identities is *at most* the target, with a one-sided confidence.

    Args:
        impostor: (M,) distances.
        evidence: Of the same pairs.
        target: Between 0 and 1.
        confidence: Such as 0.95.

    Returns:
        One of the distances, found by bisection (the upper bound rises with the threshold); None where even the
        smallest of them may exceed the target.
    """
    candidates = np.sort(impostor)[: math.floor(target * len(impostor)) + 1]

    def exceeds(false_matches: int) -> bool:
        return evidence.fmr(float(candidates[false_matches])).upper(1 - confidence) > target

    first_beyond = bisect_left(range(len(candidates)), True, key=exceeds)
    return float(candidates[first_beyond - 1]) if first_beyond else None


def why_unsupported(target: float, impostor_pairs: int, identities: int, part: str = "calibration") -> str | None:
    """The reason why this many pairs of a part of the data cannot support an FMR target, or None if they can."""
    needed_pairs = math.ceil(_EXPECTED_FALSE_MATCHES / target)
    needed_identities = _identities_of(1 / target)
    if impostor_pairs >= needed_pairs and identities >= needed_identities:
        return None
    return (
        f"FMR {target:g} needs at least {needed_pairs:,} impostor pairs from {needed_identities:,} identities; "
        f"the {part} part has {impostor_pairs:,} from {identities:,}."
    )


def _threshold_or_reason(
    target: float, distances: PairDistances, evidence: IdentityEvidence, config: CalibrationConfig
) -> float | str:
    """The threshold for an FMR target, or why there is none."""
    if reason := why_unsupported(target, len(distances.impostor), distances.identities):
        return reason
    threshold = _threshold(target, distances, evidence, config)
    if threshold is not None:
        return threshold
    pairs = units_needed(target, config.confidence)
    return (
        f"FMR {target:g}, kept on new identities with {config.confidence:.0%} confidence, needs at least {pairs:,} "
        f"impostor pairs from {_identities_of(pairs):,} identities without one look-alike, and more with any; the "
        f"calibration part has {len(distances.impostor):,} from {distances.identities:,}."
    )


def _threshold(
    target: float, distances: PairDistances, evidence: IdentityEvidence, config: CalibrationConfig
) -> float | None:
    """The threshold for an FMR target; None where `conservative` finds none."""
    if config.conservative:
        return conservative_threshold(distances.impostor, evidence, target, config.confidence)
    return threshold_at_fmr(distances.impostor, target)


def _identities_of(pairs: float) -> int:
    """The fewest identities n with n (n − 1) / 2 pairs of them or more."""
    return math.ceil((1 + math.sqrt(1 + 8 * pairs)) / 2)


def _measure(
    thresholds: dict[str, Threshold],
    distances: PairDistances,
    evidence: IdentityEvidence,
    config: CalibrationConfig,
    seed: int,
) -> dict[str, OperatingPoint]:
    """The operating points, with what was measured and what is expected at their thresholds."""
    bootstrap = IdentityBootstrap.of(distances, config.confidence, config.bootstrap, seed)
    values = [threshold.value for threshold in thresholds.values()]
    fmrs = joint_intervals([evidence.fmr(value) for value in values], config.confidence, seed)
    fnmrs = joint_intervals([evidence.fnmr(value) for value in values], config.confidence, seed)
    return {
        name: OperatingPoint(name, each.value, each.target_fmr, *bootstrap.rates(each.value), fmr, fnmr)
        for (name, each), fmr, fnmr in zip(thresholds.items(), fmrs, fnmrs, strict=True)
    }


def _fit_probability(distances: PairDistances) -> tuple[float, float]:
    """Logistic regression of "genuine" on the distance, both kinds of equal weight (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression  # here, so that a verifier starts without it

    values = np.concatenate([distances.genuine, distances.impostor])[:, np.newaxis]
    same = np.concatenate([np.ones(len(distances.genuine)), np.zeros(len(distances.impostor))])
    model = LogisticRegression(class_weight="balanced", C=1.0).fit(values, same)
    return max(-float(model.coef_[0, 0]), 1e-6), float(model.intercept_[0])

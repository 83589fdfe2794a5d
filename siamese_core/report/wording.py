"""Figures in words, the same on the pages, in the model card and in the tables."""

from __future__ import annotations

import math
from typing import NamedTuple

from siamese_core.calibration.expected_rates import Interval
from siamese_core.calibration.operating_points import Calibration
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import PointResult
from siamese_core.metrics.rates import Rate

# Doddington et al. 2000: with 30 errors the true rate lies within 30 % of the measured one (90 % confidence).
_FEW_ERRORS = 30


class Badge(NamedTuple):
    """Coloured words; the kind is good, warn or bad."""

    kind: str
    text: str


def verdict(evaluation: Evaluation, calibration: Calibration) -> str:
    """Put the result into one sentence; first comes why the default is not the configured one, where it is not."""
    prefix = "" if calibration.default == calibration.configured else f"{calibration.default_in_words} "
    place = f"its default operating point {evaluation.default}" if evaluation.default else evaluation.reference
    point = evaluation.model.points[evaluation.reference]
    return (
        f"{prefix}At {place}, this verifier accepts {percent(point.fmr)} of impostor "
        f"pairs{_promise(point)} and rejects {percent(point.fnmr)} of genuine pairs, all from identities it has "
        f"never seen; its equal error rate is {share(evaluation.model.eer)}, that of raw pixels "
        f"{share(evaluation.pixels.eer)}."
    )


def basis(evaluation: Evaluation) -> str:
    """Name the identities, images and pairs behind the figures, and the method of the intervals."""

    def part(used: int, total: int) -> str:
        return f"{used:,}" if used == total else f"{used:,} of {total:,} (a seeded sample)"

    return (
        f"Measured on {evaluation.identities:,} test identities with {evaluation.images:,} images: "
        f"{part(evaluation.genuine_pairs, evaluation.genuine_total)} genuine and "
        f"{part(evaluation.impostor_pairs, evaluation.impostor_total)} impostor pairs. {_origin(evaluation)} "
        f"Intervals are {evaluation.confidence:.0%} confidence intervals, by "
        "bootstrap over identities; expected rates are those that calibration stated beforehand for new identities. "
        f"Failure to acquire: {evaluation.failure_to_acquire:.2%} of the files."
    )


def _origin(evaluation: Evaluation) -> str:
    if evaluation.folds:
        return f"Thresholds come from the same identities, in {evaluation.folds} folds: each pair is judged by others'."
    return "Thresholds come from other identities, held out for calibration."


def percent(rate: Rate) -> str:
    """Write a rate with its interval."""
    return f"{share(rate.value)} ({interval(rate)})"


def interval(rate: Rate | Interval) -> str:
    """Write the interval of a rate."""
    return f"{share(rate.low)} to {share(rate.high)}"


def share(value: float) -> str:
    """Write a share in per cent, with two digits however small it is."""
    decimals = 2 if value <= 0 else min(max(2, 1 - math.floor(math.log10(value * 100))), 6)
    return f"{value:.{decimals}%}"


def round_share(value: float) -> str:
    """Write a share that people chose in per cent, without zeros that say nothing."""
    return f"{value * 100:.6g}%"


def sentence(value: object) -> str:
    """Give the text of a value its capital letter and full stop."""
    text = str(value)
    return f"{text[0].upper()}{text[1:]}."


def standing(point: PointResult) -> Badge:
    """Compare a target with the interval of the realised FMR; no words where there is no target."""
    if point.target_fmr is None:
        return Badge("", "")
    if point.above_target:
        return Badge("bad", "above target")
    return Badge("good", "in interval") if point.target_fmr <= point.fmr.high else Badge("warn", "below target")


def promise(expected: Interval, rate: Rate, target: float | None = None) -> Badge:
    """Compare a rate with the interval that calibration expected; no words where it has a target to keep.

    A rate has one verdict: an FMR above its target may have been expected, but is no promise kept.
    """
    if target is not None:
        return Badge("", "")
    return Badge("good", "kept") if expected.holds(rate.value) else Badge("bad", "not kept")


def few_errors(rate: Rate) -> str:
    """Explain an interval of few errors (rule of 3, rule of 30); empty where there are enough."""
    if rate.errors == 0:
        return "no errors: the upper end is 3/n (rule of 3)"
    if rate.errors < _FEW_ERRORS:
        plural = "" if rate.errors == 1 else "s"
        return f"only {rate.errors} error{plural}: the interval is wide (rule of 30)"
    return ""


def _promise(point: PointResult) -> str:
    if point.target_fmr is None:
        return ""
    words = {"in interval": "consistent with", "above target": "measurably above", "below target": "measurably below"}
    return f", {words[standing(point).text]} its target of {round_share(point.target_fmr)},"

"""What the figures say, in words: the same in the report, the model card and the tables."""

from __future__ import annotations

import math

from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import PointResult
from siamese_core.metrics.rates import Rate

# Doddington et al. 2000: with 30 errors the true rate lies within 30 % of the measured one (90 % confidence).
_FEW_ERRORS = 30


def verdict(evaluation: Evaluation) -> str:
    """The result in one sentence."""
    point = evaluation.model.points[evaluation.default]
    return (
        f"At its default operating point {evaluation.default} this verifier accepts {percent(point.fmr)} of impostor "
        f"pairs{_promise(point)} and rejects {percent(point.fnmr)} of genuine pairs, all of identities that it has "
        f"never seen; its equal error rate is {share(evaluation.model.eer)}, that of raw pixels "
        f"{share(evaluation.pixels.eer)}."
    )


def percent(rate: Rate) -> str:
    """A rate with its interval."""
    return f"{share(rate.value)} ({interval(rate)})"


def interval(rate: Rate) -> str:
    """The interval of a rate."""
    return f"{share(rate.low)} to {share(rate.high)}"


def share(value: float) -> str:
    """A share in per cent, with two digits however small it is."""
    decimals = 2 if value <= 0 else min(max(2, 1 - math.floor(math.log10(value * 100))), 6)
    return f"{value:.{decimals}%}"


def round_share(value: float) -> str:
    """A share in per cent as people write one that they chose: no zeros that say nothing."""
    return f"{value * 100:.6g}%"


def standing(point: PointResult) -> tuple[str, str]:
    """How a target stands to the realised FMR.

    Returns:
        (kind of badge, words); empty words where there is no target.
    """
    if point.target_fmr is None:
        return "", ""
    if point.fmr.low > point.target_fmr:
        return "bad", "above target"
    return ("good", "in interval") if point.target_fmr <= point.fmr.high else ("warn", "below target")


def few_errors(rate: Rate) -> str:
    """What few errors mean for the interval (rule of 3, rule of 30); empty where there are enough."""
    if rate.errors == 0:
        return "no errors: the upper end is 3/n (rule of 3)"
    if rate.errors < _FEW_ERRORS:
        plural = "" if rate.errors == 1 else "s"
        return f"{rate.errors} error{plural} only: the interval is wide (rule of 30)"
    return ""


def _promise(point: PointResult) -> str:
    if point.target_fmr is None:
        return ""
    said = {"in interval": "in keeping with", "above target": "measurably above", "below target": "measurably below"}
    return f", {said[standing(point)[1]]} its target of {round_share(point.target_fmr)},"

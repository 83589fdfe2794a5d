"""The promotion gate: whether the challenger becomes the champion, judged by what callers would get."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from siamese_core.config import PromotionConfig
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import ChampionResult, Comparison, PointResult


@dataclass(frozen=True)
class Decision:
    """The gate's answer.

    Attributes:
        promote: Whether the challenger becomes the champion.
        reason: Why, with the figures; it begins with "because".
    """

    promote: bool
    reason: str


def decide(evaluation: Evaluation, config: PromotionConfig, model_name: str) -> Decision:
    """Decide whether the challenger becomes the champion.

    A first model is held to its own target and to the bounds; a later one must also stand beside the champion.

    Args:
        evaluation: The challenger's results, beside the champion where there is one.
        config: Bounds and margins.
        model_name: Name in the registry, for the way out.
    """
    objections = list(_objections(evaluation, config, model_name))
    if objections:
        return Decision(False, f"because {'; '.join(objections)}")
    return Decision(True, f"because {_merits(evaluation)}")


def _objections(evaluation: Evaluation, config: PromotionConfig, model_name: str) -> Iterator[str]:
    """All that speaks against the challenger."""
    yield from _to_default(evaluation)
    yield from _to_bounds(evaluation, config)
    if evaluation.champion is None:
        return
    yield from _to_looser_default(evaluation, evaluation.champion)
    if comparison := evaluation.champion.comparison:
        yield from _to_comparison(comparison, config)
    else:
        yield f"{evaluation.champion}; `siamese promote {model_name} VERSION` decides by hand"


def _to_default(evaluation: Evaluation) -> Iterator[str]:
    """A missing default, or one whose FMR is measurably above its target."""
    if evaluation.default is None:
        yield (
            "it has no default operating point, and callers who name none would get no answer "
            "(calibration.fallback may name what takes its place)"
        )
        return
    point = evaluation.model.points[evaluation.default]
    if point.above_target:
        yield (
            f"its default {evaluation.default} has FMR {point.fmr} on test identities, measurably above its target of "
            f"{point.target_fmr:.6g} (more calibration identities or calibration.conservative: true help)"
        )


def _to_bounds(evaluation: Evaluation, config: PromotionConfig) -> Iterator[str]:
    """Bounds that hold whatever the champion is."""
    eer = evaluation.model.eer
    if config.max_eer is not None and eer > config.max_eer:
        yield f"EER {eer:.2%} is above promotion.max_eer, {config.max_eer:.6g}"
    if config.max_fnmr is not None and evaluation.default:
        fnmr = evaluation.model.points[evaluation.default].fnmr
        if fnmr.value > config.max_fnmr:
            yield f"FNMR {fnmr} at {evaluation.default} is above promotion.max_fnmr, {config.max_fnmr:.6g}"
    baselines = {"raw_pixels": evaluation.pixels.eer, "pca": evaluation.pca.eer}
    for name in config.must_beat:
        if eer > 0 and eer >= baselines[name]:
            yield f"EER {eer:.2%} does not beat that of {name}, {baselines[name]:.2%} (promotion.must_beat)"


def _to_looser_default(evaluation: Evaluation, champion: ChampionResult) -> Iterator[str]:
    """A default that promises callers less than the champion's does."""
    present = _target(champion.points, champion.default)
    target = _target(evaluation.model.points, evaluation.default)
    if present and evaluation.default and (target is None or target > present):
        promise = "has no FMR target" if target is None else f"has an FMR target of {target:.6g}"
        yield (
            f"its default {evaluation.default} {promise}, that of version {champion.version}, {champion.default}, "
            f"keeps {present:.6g}"
        )


def _to_comparison(comparison: Comparison, config: PromotionConfig) -> Iterator[str]:
    """Figures that are worse than the champion's, beyond the margin of each."""
    eer, fnmr, fmr = comparison.eer, comparison.fnmr, comparison.fmr
    if eer.value > config.max_eer_increase:
        yield f"it is {eer.standing}: EER {eer}; promotion.max_eer_increase is {config.max_eer_increase:g}"
    if fnmr and fnmr.low > config.max_fnmr_increase:
        margin = f"promotion.max_fnmr_increase is {config.max_fnmr_increase:g}"
        yield f"it is {fnmr.standing}: {comparison.fnmr_name} {fnmr}; {margin}"
    if fmr and fmr.low > config.max_fmr_increase:
        margin = f"promotion.max_fmr_increase is {config.max_fmr_increase:g}"
        yield f"it is {fmr.standing}: {comparison.fmr_name} {fmr}; {margin}"


def _merits(evaluation: Evaluation) -> str:
    """The figures that speak for the challenger."""
    assert evaluation.default, "a version without a default is not promoted"
    point = evaluation.model.points[evaluation.default]
    own = f"FMR {point.fmr} and FNMR {point.fnmr} at {evaluation.default}"
    if evaluation.champion is None or evaluation.champion.comparison is None:
        eers = f"EER {evaluation.model.eer:.2%}, raw pixels {evaluation.pixels.eer:.2%}"
        return f"it is the first model of this name: {eers}; {own}"
    comparison = evaluation.champion.comparison
    worse = comparison.eer.value > 0
    standing = "worse within promotion.max_eer_increase" if worse else comparison.eer.standing
    return f"it is {standing}: {comparison}; {own}"


def _target(points: dict[str, PointResult], name: str | None) -> float | None:
    return points[name].target_fmr if name in points else None

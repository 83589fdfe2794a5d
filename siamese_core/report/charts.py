"""The charts of the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import Curves, ReliabilityBin, RobustnessCurve, SystemResult
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.svg import (
    Axis,
    Chart,
    Frame,
    Layer,
    Mark,
    band,
    deviate_axis,
    dots,
    line,
    linear_axis,
    log_axis,
    straight,
    whiskers,
)
from siamese_core.report.wording import interval, percent, share

_HIGHEST = 0.6
_SMALL, _FLAT = (360, 270), (520, 290)


def systems(evaluation: Evaluation) -> list[tuple[str, str, SystemResult]]:
    """List the systems as (name, tone, result), the model last so that it lies on top."""
    return [
        ("raw pixels", "pixels", evaluation.pixels),
        ("principal components", "pca", evaluation.pca),
        ("this model", "model", evaluation.model),
    ]


def det_chart(evaluation: Evaluation) -> Chart:
    """Draw the detection error trade-off on normal-deviate axes (ISO/IEC 19795-1), with the operating points."""
    least_fmr, least_fnmr = _lowest(evaluation.impostor_pairs), _lowest(evaluation.genuine_pairs)
    frame = Frame(deviate_axis("FMR", least_fmr, _HIGHEST), deviate_axis("FNMR", least_fnmr, 0.95))
    layers = [
        straight(frame, (max(least_fmr, least_fnmr),) * 2, (_HIGHEST,) * 2),
        _band(frame, evaluation.model.curves),
    ]
    for name, tone, system in systems(evaluation):
        inside = [m for m in _curve(system.curves) if least_fmr <= m.x <= _HIGHEST and least_fnmr <= m.y <= 0.95]
        layers += [line(frame, f"{name}, EER {share(system.eer)}", tone, inside)] if inside else []
    return Chart("det", "Detection error trade-off", frame, [*layers, _points(frame, evaluation)], _rates(evaluation))


def roc_chart(evaluation: Evaluation) -> Chart:
    """Draw the true-match rate over false-match rate, the latter on a logarithmic axis."""
    frame = Frame(log_axis("FMR", _lowest(evaluation.impostor_pairs), 1), linear_axis("TMR = 1 − FNMR", 0, 1, share))
    layers = [_band(frame, evaluation.model.curves, of=lambda fnmr: 1 - fnmr)]
    for name, tone, system in systems(evaluation):
        marks = [Mark(m.x, 1 - m.y, m.note) for m in _curve(system.curves)]
        layers.append(line(frame, f"{name}, AUC {system.auc:.4f}", tone, marks))
    layers.append(_points(frame, evaluation, of=lambda fnmr: 1 - fnmr))
    summary = "; ".join(f"{name}: area under the curve {system.auc:.4f}" for name, _, system in systems(evaluation))
    return Chart("roc", "ROC", frame, layers, f"{summary}.")


def distance_chart(evaluation: Evaluation) -> Chart:
    """Draw the distances of both kinds of pairs; those on the wrong side of the default threshold are darker."""
    curves, point = evaluation.model.curves, evaluation.model.points[evaluation.reference]
    top = max(*curves.genuine, *curves.impostor) * 1.05
    frame = Frame(
        linear_axis("squared L2 distance", curves.bins[0], curves.bins[-1]),
        Axis("density of pairs", 0, top, []),
        width=760,
        height=290,
        left=18,
        top=8,
        bottom=36,
        names=False,
    )
    layers = [
        _histogram(frame, "genuine pairs", "genuine", curves.bins, curves.genuine),
        _histogram(frame, "impostor pairs", "impostor", curves.bins, curves.impostor),
        _wrong(frame, point.threshold, curves),
    ]
    summary = (
        f"Distances of genuine and impostor pairs with the threshold {point.threshold:.4f} of {evaluation.reference}: "
        f"FMR {percent(point.fmr)}, FNMR {percent(point.fnmr)}."
    )
    return Chart("distances", "Distances of genuine and impostor pairs", frame, layers, summary, {"by": "x"})


def target_chart(evaluation: Evaluation) -> Chart | None:
    """Draw the measured FMR over its target; None where no operating point has a target."""
    points = [(name, p, p.target_fmr) for name, p in evaluation.model.points.items() if p.target_fmr]
    if not points:
        return None
    rates = [rate for _, p, target in points for rate in (target, p.fmr.low, p.fmr.high, p.fmr.value) if rate > 0]
    low, high = 10.0 ** math.floor(math.log10(min(rates) * 0.8)), 10.0 ** math.ceil(math.log10(max(rates)))
    frame = Frame(log_axis("target FMR", low, high), log_axis("FMR on test identities", low, high))
    targets = [target for _, _, target in points]
    marks = [Mark(target, p.fmr.value, f"{name}: {interval(p.fmr)}") for name, p, target in points]
    ends = ([p.fmr.low for _, p, _ in points], [p.fmr.high for _, p, _ in points])
    layers = [
        straight(frame, (low, low), (high, high)),
        whiskers(frame, "model", targets, *ends),
        dots(frame, "operating points", "model", marks, [name for name, _, _ in points]),
    ]
    summary = "; ".join(f"target {share(target)}, measured {percent(p.fmr)}" for _, p, target in points)
    return Chart("targets", "Target and measured FMR", frame, layers, f"{summary}.")


def reliability_chart(bins: Sequence[ReliabilityBin]) -> Chart:
    """Draw the share of genuine pairs over the probability that the calibration gave them."""
    frame = Frame(linear_axis("stated probability", 0, 1, share), linear_axis("share of genuine pairs", 0, 1, share))
    marks = [Mark(b.probability, b.genuine, f"{b.pairs:,} pairs, {share(b.low)} to {share(b.high)}") for b in bins]
    middle = [b.probability for b in bins]
    layers = [
        straight(frame, (0, 0), (1, 1)),
        whiskers(frame, "model", middle, [b.low for b in bins], [b.high for b in bins]),
        dots(frame, "groups of pairs", "model", marks),
    ]
    inside = sum(b.low <= b.probability <= b.high for b in bins)
    summary = f"In {inside} of {len(bins)} groups of pairs, the probability lies in the interval of the measured share."
    return Chart("reliability", "Reliability of the probability", frame, layers, summary)


def training_charts(trained: TrainedEncoder) -> list[Chart]:
    """Draw loss, validation EER and the health of the embeddings over the steps, with the monitor's events."""
    quantities: list[tuple[str, str, str, Callable[[float], str]]] = [
        ("loss", "Batch loss", "loss", "{:.3g}".format),
        ("validation_eer", "Validation EER", "EER", share),
        ("distance", "Mean distance in a batch", "squared L2 distance", "{:.3g}".format),
        ("effective_rank", "Effective dimensions", "effective rank", "{:.3g}".format),
    ]
    return [_training_chart(trained, *quantity) for quantity in quantities]


def robustness_charts(curves: Sequence[RobustnessCurve]) -> list[Chart]:
    """Draw FNMR and FMR over the strength of each change, all on one scale."""
    top = max(rate for curve in curves for rate in (*curve.fnmr, *curve.fmr, 0.01)) * 1.05
    return [_robustness_chart(curve, top) for curve in curves]


def _robustness_chart(curve: RobustnessCurve, top: float) -> Chart:
    levels = linear_axis(f"{curve.change} ({curve.unit})", min(curve.levels), max(curve.levels))
    frame = Frame(levels, linear_axis("rate", 0, top, share), *_SMALL)
    layers = [
        line(frame, "FMR", "impostor", [Mark(*at) for at in zip(curve.levels, curve.fmr, strict=True)]),
        line(frame, "FNMR", "genuine", [Mark(*at) for at in zip(curve.levels, curve.fnmr, strict=True)]),
    ]
    summary = (
        f"FNMR from {share(curve.fnmr[0])} unchanged to {share(curve.fnmr[-1])} at {curve.levels[-1]:g} "
        f"{curve.unit}; FMR from {share(curve.fmr[0])} to {share(curve.fmr[-1])}."
    )
    title = f"{curve.change[0].upper()}{curve.change[1:]}"
    return Chart(f"robustness-{curve.change.lower()}", title, frame, layers, summary)


def _training_chart(trained: TrainedEncoder, key: str, title: str, label: str, say: Callable[[float], str]) -> Chart:
    remarks: dict[float, str] = {trained.best_step: "best step: its weights are used"}
    marks = [Mark(row["step"], row[key], remarks.get(row["step"], "")) for row in trained.history]
    steps, values = [mark.x for mark in marks], [mark.y for mark in marks]
    frame = Frame(
        linear_axis("step", 0, max(steps), "{:,.0f}".format), linear_axis(label, 0, max(values) * 1.05, say), *_FLAT
    )
    events = [Mark(each["step"], frame.y.high, f"{each['kind']}: {each['message']}") for each in trained.events]
    events = [event for event in events if event.x <= frame.x.high]
    best = [mark for mark in marks if mark.x == trained.best_step]
    layers = [straight(frame, (event.x, 0), (event.x, frame.y.high), "event") for event in events]
    layers += [line(frame, title, "model", marks), dots(frame, "", "model", best)]
    layers += [dots(frame, "events", "warning", events)] if events else []
    summary = f"From {say(values[0])} at step {steps[0]:,.0f} to {say(values[-1])} at step {steps[-1]:,.0f}."
    return Chart(f"training-{key.replace('_', '-')}", title, frame, layers, summary)


def _lowest(pairs: int) -> float:
    """Find the smallest rate that this many pairs can show, and no less than the axes have ticks for."""
    return min(max(1e-6, 1 / pairs), 0.05)


def _curve(curves: Curves) -> Iterator[Mark]:
    remarks = (f"FNMR {share(a)} to {share(b)}" for a, b in zip(curves.fnmr_low, curves.fnmr_high, strict=True))
    return (Mark(*point) for point in zip(curves.fmr, curves.fnmr, remarks, strict=True))


def _band(frame: Frame, curves: Curves, of: Callable[[float], float] = float) -> Layer:
    ends = ([of(rate) for rate in rates] for rates in (curves.fnmr_low, curves.fnmr_high))
    return band(frame, "model", curves.fmr, *ends)


def _points(frame: Frame, evaluation: Evaluation, of: Callable[[float], float] = float) -> Layer:
    points = evaluation.model.points.items()
    marks = [
        Mark(p.fmr.value, of(p.fnmr.value), f"{name}, threshold {p.threshold:.4f}, FMR {interval(p.fmr)}")
        for name, p in points
    ]
    # The point of the best accuracy lies on that of the EER: one of the two labels would cover the other.
    labels = ["" if name == "accuracy" else name for name, _ in points]
    return dots(frame, "operating points", "model", marks, labels)


def _rates(evaluation: Evaluation) -> str:
    points = "; ".join(
        f"{name}: FMR {percent(p.fmr)}, FNMR {percent(p.fnmr)}" for name, p in evaluation.model.points.items()
    )
    return f"Equal error rate {share(evaluation.model.eer)}, raw pixels {share(evaluation.pixels.eer)}. {points}."


def _histogram(frame: Frame, name: str, tone: str, bins: Sequence[float], density: Sequence[float]) -> Layer:
    area = f'<path class="area {tone}" d="{_steps(frame, bins, density)}"/>'
    middles = [(low + high) / 2 for low, high in pairwise(bins)]
    return Layer(area, name, tone, [Mark(*at) for at in zip(middles, density, strict=True)])


def _steps(frame: Frame, bins: Sequence[float], density: Sequence[float]) -> str:
    parts = ["M{} {}".format(*frame.at(bins[0], 0))]
    for (low, high), value in zip(pairwise(bins), density, strict=True):
        (x, y), (end, _) = frame.at(low, value), frame.at(high, value)
        parts.append(f"L{x} {y}H{end}")
    return "".join([*parts, "L{} {}Z".format(*frame.at(bins[-1], 0))])


def _wrong(frame: Frame, threshold: float, curves: Curves) -> Layer:
    """Draw the threshold, and the errors on both of its sides; the script moves the three together."""
    (left, bottom), (right, top) = frame.at(frame.x.low, 0), frame.at(frame.x.high, frame.y.high)
    x = frame.at(threshold, 0)[0]
    box = f'y="{top}" height="{bottom - top:.1f}"'
    clips = (
        f'<clipPath id="below"><rect x="{left}" width="{x - left:.1f}" {box}/></clipPath>'
        f'<clipPath id="above"><rect x="{x}" width="{right - x:.1f}" {box}/></clipPath>'
    )
    areas = "".join(
        f'<path class="error {tone}" clip-path="url(#{clip})" d="{_steps(frame, curves.bins, density)}"/>'
        for tone, clip, density in (("impostor", "below", curves.impostor), ("genuine", "above", curves.genuine))
    )
    return Layer(f'{clips}{areas}<path id="threshold-line" class="threshold" d="M{x} {top}V{bottom}"/>')

"""The plots beside a run in MLflow, as matplotlib figures that need no display."""

from __future__ import annotations

import io

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import SystemResult
from siamese_core.network.trained import TrainedEncoder

OURS, PIXELS, GENUINE, IMPOSTOR = "#2563eb", "#9ca3af", "#059669", "#dc2626"
_TICKS = [0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8]
_HIGHEST = 0.9

matplotlib.rcParams["font.size"] = 9


def figures(evaluation: Evaluation, trained: TrainedEncoder) -> dict[str, Figure]:
    """All plots by name."""
    return {
        "det": det_plot(evaluation),
        "roc": roc_plot(evaluation),
        "distances": distance_plot(evaluation),
        "training": training_plot(trained.history),
        "health": health_plot(trained.history),
    }


def det_plot(evaluation: Evaluation) -> Figure:
    """Detection error trade-off on normal-deviate axes (ISO/IEC 19795-1), with the operating points."""
    figure, axes = _figure("Detection error trade-off", "false-match rate", "false-non-match rate")
    lowest = max(1e-5, 1 / evaluation.impostor_pairs)
    _det_line(axes, evaluation.model, OURS, "this model", lowest)
    _det_line(axes, evaluation.pixels, PIXELS, "raw pixels", lowest)
    named = {name: point for name, point in evaluation.model.points.items() if name != "accuracy"}  # lies on the EER
    for name, point in named.items():
        x, y = (norm.ppf(np.clip(rate, lowest, _HIGHEST)) for rate in (point.fmr.value, point.fnmr.value))
        axes.plot(x, y, "o", color=OURS, markersize=5)
        axes.annotate(name, (x, y), textcoords="offset points", xytext=(5, 5), fontsize=7)
    ticks = [tick for tick in _TICKS if tick >= lowest]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(norm.ppf(ticks), [f"{tick:g}" for tick in ticks])
    axes.legend(frameon=False)
    return figure


def roc_plot(evaluation: Evaluation) -> Figure:
    """True-match rate over false-match rate, the latter on a logarithmic axis."""
    figure, axes = _figure("ROC", "false-match rate", "true-match rate (1 − FNMR)")
    for system, color, name in (
        (evaluation.model, OURS, "this model"),
        (evaluation.pixels, PIXELS, "raw pixels"),
    ):
        fmr, fnmr = np.array(system.curves.fmr), np.array(system.curves.fnmr)
        axes.plot(
            np.maximum(fmr, 1 / evaluation.impostor_pairs),
            1 - fnmr,
            color=color,
            label=f"{name}, AUC {system.auc:.4f}",
        )
    axes.set_xscale("log")
    axes.legend(frameon=False, loc="lower right")
    return figure


def distance_plot(evaluation: Evaluation) -> Figure:
    """How far apart genuine and impostor pairs are, and the default threshold between them."""
    figure, axes = _figure("Distances of test pairs", "squared L2 distance", "density")
    curves = evaluation.model.curves
    for values, color, name in (
        (curves.genuine, GENUINE, "genuine"),
        (curves.impostor, IMPOSTOR, "impostor"),
    ):
        axes.stairs(values, curves.bins, fill=True, color=color, alpha=0.45, label=name)
    threshold = evaluation.model.points[evaluation.default].threshold
    axes.axvline(threshold, color="black", linestyle="--", linewidth=1, label=f"threshold of {evaluation.default}")
    axes.legend(frameon=False)
    return figure


def training_plot(history: list[dict[str, float]]) -> Figure:
    """Loss and validation EER over the steps."""
    figure, axes = _figure("Training", "step", "triplet loss of a batch")
    steps = [row["step"] for row in history]
    axes.plot(steps, [row["loss"] for row in history], color=OURS, label="loss")
    right = axes.twinx()
    right.plot(steps, [row["validation_eer"] for row in history], color=IMPOSTOR, label="validation EER")
    right.set_ylabel("validation EER", color=IMPOSTOR)
    right.set_ylim(bottom=0)
    axes.yaxis.label.set_color(OURS)
    return figure


def health_plot(history: list[dict[str, float]]) -> Figure:
    """How far apart the embeddings of a batch are, and how many dimensions they use; both 0 after a collapse."""
    figure, axes = _figure("Health of the embeddings", "step", "mean distance in a batch")
    steps = [row["step"] for row in history]
    axes.plot(steps, [row["distance"] for row in history], color=OURS)
    axes.set_ylim(bottom=0)
    axes.yaxis.label.set_color(OURS)
    right = axes.twinx()
    right.plot(steps, [row["effective_rank"] for row in history], color=GENUINE)
    right.set_ylabel("effective rank", color=GENUINE)
    right.set_ylim(bottom=0)
    return figure


def to_png(figure: Figure) -> bytes:
    """The figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def _figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10, fontweight="bold")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _det_line(axes: Axes, system: SystemResult, color: str, name: str, lowest: float) -> None:
    fmr, fnmr = np.array(system.curves.fmr), np.array(system.curves.fnmr)
    shown = (fmr >= lowest) & (fmr <= _HIGHEST) & (fnmr >= lowest) & (fnmr <= _HIGHEST)
    axes.plot(norm.ppf(fmr[shown]), norm.ppf(fnmr[shown]), color=color, label=f"{name}, EER {system.eer:.2%}")

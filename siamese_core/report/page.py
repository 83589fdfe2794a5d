"""The evaluation report: one self-contained HTML page, complete without its script and better with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape

from siamese_core.calibration.operating_points import Calibration
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report import charts, sections
from siamese_core.report.explorer import map_chart, threshold_data
from siamese_core.report.protocol_sections import protocol_sections
from siamese_core.report.render import page, section
from siamese_core.report.svg import Chart
from siamese_core.report.wording import verdict

_LIVE = '<p class="soft live-hint" hidden>The large dot is the threshold chosen above.</p>'


@dataclass(frozen=True)
class Section:
    """A part of the report; one without a body does not appear.

    Attributes:
        name: Unique in the page.
        title: Its heading.
        body: HTML.
        charts: What the script knows of it.
    """

    name: str
    title: str
    body: str
    charts: list[Chart] = field(default_factory=list)


def report_page(
    evaluation: Evaluation,
    calibration: Calibration,
    trained: TrainedEncoder,
    manifest: Manifest,
    store: ImageStore,
    name: str,
    lineage: Mapping[str, str] | None = None,
    configuration: str = "",
) -> str:
    """The report of one model as an HTML page; the same values give the same bytes.

    Args:
        evaluation: Results on the test identities.
        calibration: Thresholds, and why some were refused.
        trained: For the training curves.
        manifest: For names and the quarantine.
        store: For the pictures of the worst errors.
        name: Of the model.
        lineage: Where the model comes from, by name: data, code, run, seed.
        configuration: All parameters of the run, as text.
    """
    distances, det, roc = charts.distance_chart(evaluation), charts.det_chart(evaluation), charts.roc_chart(evaluation)
    parts = [
        Section("points", "Operating points", _operating_points(evaluation, calibration)),
        Section("threshold", "Distances and threshold", _explorer(evaluation, distances), [distances]),
        Section("curves", "Trade-off", _grid(det, roc) + _LIVE, [det, roc]),
        _promises(evaluation),
        Section("figures", "Separation and search", _figures(evaluation)),
        _comparison(evaluation),
        *(Section(*part) for part in protocol_sections(evaluation)),
        _worst(evaluation, calibration, manifest, store),
        _slices(evaluation),
        _robustness(evaluation),
        _map(evaluation, manifest, store),
        _training(trained),
        Section("data", "Data", sections.data_quality(manifest)),
        Section("lineage", "Lineage", sections.lineage(lineage, configuration) if lineage else ""),
        Section("words", "Words", sections.glossary()),
    ]
    shown = [part for part in parts if part.body]
    known = [chart.data() for part in shown for chart in part.charts]
    title = f"{name}: verification report"
    threshold = threshold_data(evaluation, distances.frame, det.frame, roc.frame)
    return page(title, _body(title, evaluation, shown), {"charts": known, "threshold": threshold})


def _body(title: str, evaluation: Evaluation, parts: list[Section]) -> str:
    contents = "".join(f'<li><a href="#{part.name}">{escape(part.title)}</a></li>' for part in parts)
    shown = "\n".join(section(part.name, part.title, part.body) for part in parts)
    return (
        f'<header><h1>{escape(title)}</h1><p class="verdict">{escape(verdict(evaluation))}</p>'
        f'{sections.tiles(evaluation)}<p class="soft">{escape(sections.basis(evaluation))}</p></header>\n'
        f'<nav aria-label="Contents"><ul>{contents}</ul></nav>\n<main>\n{shown}\n</main>'
    )


def _operating_points(evaluation: Evaluation, calibration: Calibration) -> str:
    points = sections.points_table(evaluation.model.points, calibration, evaluation.default)
    return points + sections.refusals(calibration.refused) + sections.caution(calibration.caution)


def _explorer(evaluation: Evaluation, chart: Chart) -> str:
    """The histograms and, where the script runs, the controls that move the threshold."""
    choices = "".join(
        f'<button type="button" data-threshold="{point.threshold!r}">{escape(name)}</button>'
        for name, point in evaluation.model.points.items()
    )
    figures = "".join(
        f'<div><span>{label}</span><b id="live-{name}"></b><small id="live-{name}-count"></small></div>'
        for name, label in (("threshold", "threshold"), ("fmr", "FMR"), ("fnmr", "FNMR"), ("accuracy", "accuracy"))
    )
    controls = (
        '<div class="explorer" hidden><label for="threshold-slider">Move the threshold: pairs left of it are accepted'
        '</label><input type="range" id="threshold-slider" min="0" max="1000" step="1">'
        f'<div class="choices">{choices}</div><div class="tiles" role="status">{figures}</div></div>'
    )
    return chart.figure(controls)


def _promises(evaluation: Evaluation) -> Section:
    """Whether thresholds and probabilities hold what calibration promised."""
    reliability = charts.reliability_chart(evaluation.reliability) if evaluation.reliability else None
    drawn = [chart for chart in (charts.target_chart(evaluation), reliability) if chart]
    return Section("promises", "Are the promises kept?", _grid(*drawn) if drawn else "", drawn)


def _figures(evaluation: Evaluation) -> str:
    return sections.more_figures(evaluation.figures) if evaluation.figures else ""


def _comparison(evaluation: Evaluation) -> Section:
    return Section("comparison", "Beside other systems", sections.baselines(evaluation))


def _worst(evaluation: Evaluation, calibration: Calibration, manifest: Manifest, store: ImageStore) -> Section:
    kinds = {
        "Nearest impostor pairs": evaluation.worst_false_matches,
        "Farthest genuine pairs": evaluation.worst_false_non_matches,
    }
    shown = (
        f"<h3>{title}</h3>{sections.pairs(found, evaluation, calibration, manifest, store)}"
        for title, found in kinds.items()
        if found
    )
    return Section("worst", "Worst pairs", "".join(shown))


def _slices(evaluation: Evaluation) -> Section:
    overall = evaluation.model.points[evaluation.default]
    return Section("slices", "Groups", sections.slices(evaluation.slices, overall) if evaluation.slices else "")


def _robustness(evaluation: Evaluation) -> Section:
    drawn = charts.robustness_charts(evaluation.robustness) if evaluation.robustness else []
    return Section("robustness", "Robustness", _grid(*drawn) if drawn else "", drawn)


def _map(evaluation: Evaluation, manifest: Manifest, store: ImageStore) -> Section:
    chart = map_chart(evaluation.embedding_map, manifest, store) if evaluation.embedding_map else None
    return Section("map-of-embeddings", "Embedding map", chart.figure() if chart else "", [chart] if chart else [])


def _training(trained: TrainedEncoder) -> Section:
    drawn = charts.training_charts(trained)
    body = sections.events(trained) + (_grid(*drawn) if drawn else "")
    return Section("training", "Training", body, drawn)


def _grid(*drawn: Chart) -> str:
    return f'<div class="charts">{"".join(chart.figure() for chart in drawn)}</div>'

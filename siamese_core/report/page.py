"""The evaluation report: one self-contained HTML page, complete without its script and better with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from siamese_core.calibration.operating_points import Calibration
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report import charts, numbers
from siamese_core.report.data_page import quarantine
from siamese_core.report.explorer import map_chart, threshold_data
from siamese_core.report.origin import Origin
from siamese_core.report.render import html_page
from siamese_core.report.svg import Chart
from siamese_core.report.wording import basis, verdict
from siamese_core.report.worst_pairs import worst_pairs


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        name: Unique in the page; the macro of `sections.html.j2` that lays it out has this name.
        title: Its heading.
        view: Values of the macro; `charts` also reach the script.
    """

    name: str
    title: str
    view: Mapping[str, Any]

    @property
    def charts(self) -> list[Chart]:
        """Its charts, if it has any."""
        return list(self.view.get("charts", []))


def report_page(
    evaluation: Evaluation, calibration: Calibration, trained: TrainedEncoder, dataset: Dataset, origin: Origin
) -> str:
    """Write the report of one model as an HTML page; the same values give the same bytes.

    Args:
        evaluation: Results on the test identities.
        calibration: Thresholds, and why some were refused.
        trained: For the training curves.
        dataset: For names, the quarantine and the pictures of the worst errors.
        origin: The model's name, lineage and configuration.
    """
    sections = list(_sections(evaluation, calibration, trained, dataset, origin))
    shapes = {chart.name: chart for section in sections for chart in section.charts}
    frames = (shapes[name].frame for name in ("distances", "det", "roc"))
    view = {
        "verdict": verdict(evaluation, calibration),
        "tiles": numbers.main_tiles(evaluation),
        "basis": basis(evaluation),
        "sections": sections,
    }
    data = {"charts": [chart.data() for chart in shapes.values()], "threshold": threshold_data(evaluation, *frames)}
    return html_page("report.html.j2", f"{origin.name}: verification report", view, data)


def report_charts(
    evaluation: Evaluation, calibration: Calibration, trained: TrainedEncoder, dataset: Dataset, origin: Origin
) -> dict[str, str]:
    """Write every chart of the report as an SVG file of its own, by name; arguments as of `report_page`."""
    sections = _sections(evaluation, calibration, trained, dataset, origin)
    return {chart.name: chart.file() for section in sections for chart in section.charts}


def _sections(
    evaluation: Evaluation, calibration: Calibration, trained: TrainedEncoder, dataset: Dataset, origin: Origin
) -> Iterator[Section]:
    """The sections that there are results for, in the order of the page."""
    shown, points = evaluation.reference, evaluation.model.points
    point = points[shown]
    thresholds = {name: repr(point.threshold) for name, point in points.items()}
    distances, figures, systems = charts.distance_chart(evaluation), evaluation.figures, charts.systems(evaluation)
    promises = charts.target_chart(evaluation), charts.reliability_chart(evaluation.reliability)
    events = [(f"step {event['step']:,}: {event['kind']}", event["message"]) for event in trained.events]
    notices = numbers.refusals({f"TAR at {name}": reason for name, reason in figures.refused.items()})
    yield Section("points", "Operating points", numbers.operating_points(evaluation, calibration))
    yield Section("threshold", "Distances and threshold", {"charts": [distances], "thresholds": thresholds})
    yield _charts("curves", "Error trade-off", charts.det_chart(evaluation), charts.roc_chart(evaluation))
    yield _charts("promises", "Does the calibration hold?", *promises)
    yield Section("figures", "Separation and search", {"tiles": numbers.figure_tiles(figures), "notices": notices})
    yield Section("comparison", "Comparison with baselines", {"systems": systems[::-1], "reference": shown})
    if evaluation.champion:
        yield Section("champion", "Against the champion", numbers.champion(evaluation.champion, evaluation.model))
    if evaluation.pairs:
        yield Section("listed-pairs", "Listed pairs", {"result": evaluation.pairs})
    if evaluation.one_shot:
        yield Section("one-shot", "One-shot tasks", {"result": evaluation.one_shot})
    yield Section("worst", "Worst pairs", worst_pairs(evaluation, calibration, dataset))
    if evaluation.slices:
        columns = list(numbers.slice_columns(evaluation.slices, point))
        counts = {"groups": len(evaluation.slices), "gaps": len(evaluation.gaps())}
        yield Section("slices", "Groups", {"columns": columns, "overall": point, "reference": shown} | counts)
    if evaluation.robustness:
        yield _charts("robustness", "Robustness", *charts.robustness_charts(evaluation.robustness))
    yield _charts("map-of-embeddings", "Embedding map", map_chart(evaluation.embedding_map, dataset))
    yield Section("training", "Training", {"notices": events, "charts": charts.training_charts(trained)})
    yield Section("data", "Data", _data(dataset.manifest))
    if origin.lineage:
        yield Section("lineage", "Lineage", {"lineage": origin.lineage, "configuration": origin.configuration})
    yield Section("words", "Glossary", {})


def _charts(name: str, title: str, *shapes: Chart | None) -> Section:
    return Section(name, title, {"charts": [shape for shape in shapes if shape]})


def _data(manifest: Manifest) -> Mapping[str, Any]:
    reasons = {"tiles": numbers.data_tiles(manifest), "reasons": numbers.quarantine_reasons(manifest)}
    return reasons | quarantine(manifest)

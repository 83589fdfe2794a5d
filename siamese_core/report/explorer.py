"""Values for the report's script beside the charts: the threshold that a reader moves, and the map's pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from siamese_core.data.dataset import Dataset
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import Curves, EmbeddingMap
from siamese_core.pictures import sheet
from siamese_core.report.render import data_uri
from siamese_core.report.svg import Axis, Chart, Frame, Layer, Mark, thin

_MOST_PICTURES, _COLUMNS, _TILE = 500, 25, 40
# (threshold, FMR, FNMR)
Knot = tuple[float, float, float]


def threshold_data(evaluation: Evaluation, distances: Frame, det: Frame, roc: Frame) -> dict[str, Any]:
    """List the errors at every threshold, and their places in the charts.

    Args:
        evaluation: The results.
        distances: Plane of the histograms.
        det: Plane of the DET curve.
        roc: Plane of the ROC curve.
    """
    errors = list(knots(evaluation))
    start, end = distances.at(distances.x.low, 0)[0], distances.at(distances.x.high, 0)[0]
    return {
        "knots": [[round(value, 7) for value in knot] for knot in errors],
        "det": [det.at(fmr, fnmr) for _, fmr, fnmr in errors],
        "roc": [roc.at(fmr, 1 - fnmr) for _, fmr, fnmr in errors],
        "across": [start, end],
        "ends": [distances.x.low, distances.x.high],
        "first": evaluation.model.points[evaluation.reference].threshold,
        "pairs": [evaluation.impostor_pairs, evaluation.genuine_pairs],
    }


def knots(evaluation: Evaluation) -> Iterator[Knot]:
    """Yield thresholds, ascending, with their errors: points of the curve, edges of the bins, operating points."""
    points = [(p.threshold, p.fmr.value, p.fnmr.value) for p in evaluation.model.points.values()]
    curves = evaluation.model.curves
    exact = zip(curves.thresholds, curves.fmr, curves.fnmr, strict=True)
    below, above = 0.0, 1.0
    # Rounding of the sums of bins must not make a curve go back.
    for threshold, fmr, fnmr in sorted([*points, *exact, *_edges(curves)]):
        below, above = max(below, min(fmr, 1.0)), min(above, max(fnmr, 0.0))
        yield threshold, below, above


def map_chart(places: EmbeddingMap, dataset: Dataset) -> Chart:
    """Draw the embedding map; an identity has one colour, and the script shows the image of a point."""
    images = dataset.manifest.ok.iloc[places.rows]
    frame = Frame(
        _free_axis(places.x), _free_axis(places.y), width=760, height=470, left=8, right=8, top=8, bottom=8, names=False
    )
    names = images["identity"].tolist()
    marks = [Mark(*at) for at in zip(places.x, places.y, images["path"], strict=True)]
    number = {name: index for index, name in enumerate(sorted(set(names)))}
    groups = [number[name] for name in names]
    spots = "".join(_spot(frame, mark, group) for mark, group in zip(marks, groups, strict=True))
    sample = thin(range(len(marks)), _MOST_PICTURES)
    tiles = {index: tile for tile, index in enumerate(sample)}
    pictures = [dataset.store.images[places.rows[index]] for index in sample]
    extra = {
        "groups": groups,
        "names": list(number),
        "tiles": [tiles.get(index, -1) for index in range(len(marks))],
        "sheet": data_uri(sheet(pictures, _COLUMNS, _TILE), "jpeg"),
        "columns": _COLUMNS,
        "tile": _TILE,
    }
    summary = (
        f"{len(marks):,} test images; each of the {len(number):,} identities has a colour. Images that the "
        "encoder finds similar lie close together."
    )
    return Chart("map", places.method, frame, [Layer(spots, "", "", marks)], summary, extra)


def _spot(frame: Frame, mark: Mark, group: int) -> str:
    x, y = frame.at(mark.x, mark.y)
    hue = round(group * 137.508) % 360  # the golden angle: neighbours in number differ in colour
    return f'<circle class="spot" cx="{x}" cy="{y}" r="4" fill="hsl({hue} 62% 52%)"/>'


def _free_axis(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    margin = 0.03 * (high - low) or 1.0
    return Axis("", low - margin, high + margin, [])


def _edges(curves: Curves) -> Iterator[Knot]:
    widths = np.diff(curves.bins)
    fmr, tmr = (np.cumsum([0, *density * widths]) for density in (curves.impostor, curves.genuine))
    return zip(curves.bins, fmr.tolist(), (1 - tmr).tolist(), strict=True)

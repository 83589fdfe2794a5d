"""What the report's script gets beside the charts: the threshold that a reader moves, and the map's pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import Curves, EmbeddingMap
from siamese_core.pictures import sheet
from siamese_core.report.svg import Axis, Chart, Frame, Layer, Mark, thin

_MOST_PICTURES, _COLUMNS, _TILE = 500, 25, 40
# (threshold, FMR, FNMR)
Knot = tuple[float, float, float]


def threshold_data(evaluation: Evaluation, distances: Frame, det: Frame, roc: Frame) -> dict[str, Any]:
    """What the errors are at every threshold, and where that lies in the charts.

    Args:
        evaluation: The results.
        distances: Plane of the histograms.
        det: Plane of the DET curve.
        roc: Plane of the ROC curve.
    """
    found = list(knots(evaluation))
    start, end = distances.at(distances.x.low, 0)[0], distances.at(distances.x.high, 0)[0]
    return {
        "knots": [[round(value, 7) for value in knot] for knot in found],
        "det": [det.at(fmr, fnmr) for _, fmr, fnmr in found],
        "roc": [roc.at(fmr, 1 - fnmr) for _, fmr, fnmr in found],
        "across": [start, end],
        "ends": [distances.x.low, distances.x.high],
        "first": evaluation.model.points[evaluation.default].threshold,
        "pairs": [evaluation.impostor_pairs, evaluation.genuine_pairs],
    }


def knots(evaluation: Evaluation) -> Iterator[Knot]:
    """Thresholds, ascending, with the errors there: the points of the curve, the bins' edges, the operating points."""
    points = [(p.threshold, p.fmr.value, p.fnmr.value) for p in evaluation.model.points.values()]
    curves = evaluation.model.curves
    exact = zip(curves.thresholds, curves.fmr, curves.fnmr, strict=False)
    below, above = 0.0, 1.0
    # Rounding of the sums of bins must not make a curve go back.
    for threshold, fmr, fnmr in sorted([*points, *exact, *_edges(curves)]):
        below, above = max(below, min(fmr, 1.0)), min(above, max(fnmr, 0.0))
        yield threshold, below, above


def map_chart(found: EmbeddingMap, manifest: Manifest, store: ImageStore) -> Chart:
    """The embedding map; an identity has one colour, and the script shows the image of a point."""
    images = manifest.ok
    frame = Frame(
        _free_axis(found.x), _free_axis(found.y), width=760, height=470, left=8, right=8, top=8, bottom=8, names=False
    )
    names = images["identity"].iloc[found.rows].tolist()
    marks = [Mark(*at) for at in zip(found.x, found.y, images["path"].iloc[found.rows], strict=True)]
    number = {name: index for index, name in enumerate(sorted(set(names)))}
    groups = [number[name] for name in names]
    drawn = "".join(_spot(frame, mark, group) for mark, group in zip(marks, groups, strict=True))
    pictured = thin(range(len(found.rows)), _MOST_PICTURES)
    tiles = {index: tile for tile, index in enumerate(pictured)}
    extra = {
        "groups": groups,
        "names": list(number),
        "tiles": [tiles.get(index, -1) for index in range(len(found.rows))],
        "sheet": _sheet([found.rows[index] for index in pictured], store),
        "columns": _COLUMNS,
        "tile": _TILE,
    }
    summary = (
        f"{len(found.rows):,} test images; each of the {len(number):,} identities has a colour. Images that lie close "
        "together look alike to the encoder."
    )
    return Chart("map", found.method, frame, [Layer(drawn, "", "", marks)], summary, extra)


def _sheet(rows: Sequence[int], store: ImageStore) -> str:
    data = base64.b64encode(sheet([store.images[row] for row in rows], _COLUMNS, _TILE)).decode()
    return f"data:image/jpeg;base64,{data}"


def _spot(frame: Frame, mark: Mark, group: int) -> str:
    x, y = frame.at(mark.x, mark.y)
    hue = round(group * 137.508) % 360  # the golden angle: neighbours in number differ in colour
    return f'<circle class="spot" cx="{x}" cy="{y}" r="4" fill="hsl({hue} 62% 52%)"/>'


def _free_axis(values: Sequence[float]) -> Axis:
    low, high = min(values), max(values)
    margin = 0.03 * (high - low) or 1.0
    return Axis("", low - margin, high + margin, [])


def _edges(curves: Curves) -> Iterator[Knot]:
    widths = [high - low for low, high in pairwise(curves.bins)]
    matches, hits = (
        accumulate((value * width for value, width in zip(density, widths, strict=True)), initial=0.0)
        for density in (curves.impostor, curves.genuine)
    )
    return ((edge, fmr, 1 - hit) for edge, fmr, hit in zip(curves.bins, matches, hits, strict=True))

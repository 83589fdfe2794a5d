"""Tiles and tables of the report: figures as plain text, in rows that a template lays out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from siamese_core.calibration.operating_points import Calibration
from siamese_core.data.manifest import Manifest
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import ChampionResult, Difference, Figures, PointResult, Slice, SystemResult
from siamese_core.metrics.rates import Rate
from siamese_core.report.wording import Badge, interval, round_share, share, standing

# Ends of a bar in units of its drawing, as in parts.html.j2.
_BAR_START, _BAR_END = 4, 146
_MOST_SLICES = 200
View = dict[str, Any]


@dataclass(frozen=True)
class Tile:
    """A large figure with its name and a note, and how it stands to its target where there is one."""

    name: str
    figure: str
    note: str
    target: str = ""
    standing: Badge | None = None


@dataclass(frozen=True)
class Scale:
    """Logarithmic axis of small bars, from a power of ten to 1."""

    start: float

    @classmethod
    def of(cls, rates: Iterable[Rate]) -> Scale:
        """Start at the power of ten below all rates that are not 0."""
        values = [value for rate in rates for value in (rate.low, rate.value, rate.high) if value > 0]
        return cls(10.0 ** min(-1, math.floor(math.log10(min(values, default=0.01)))))

    def place(self, value: float) -> float:
        """Place of a value on the bar."""
        along = 1 - math.log10(max(value, self.start)) / math.log10(self.start)
        return round(_BAR_START + (_BAR_END - _BAR_START) * along, 1)


def main_tiles(evaluation: Evaluation) -> list[Tile]:
    """The main figures."""
    point = evaluation.model.points[evaluation.reference]
    at = f"at {evaluation.reference}" if evaluation.default else f"at {evaluation.reference}, which is no default"
    target = "" if point.target_fmr is None else round_share(point.target_fmr)
    return [
        Tile("FMR", share(point.fmr.value), interval(point.fmr), target, standing(point)),
        Tile("FNMR", share(point.fnmr.value), interval(point.fnmr)),
        Tile("equal error rate", share(evaluation.model.eer), f"raw pixels {share(evaluation.pixels.eer)}"),
        Tile("accuracy", share(point.accuracy), at),
    ]


def figure_tiles(figures: Figures) -> list[Tile]:
    """Figures that do not depend on an operating point."""
    sensitivity = "–" if figures.sensitivity is None else f"{figures.sensitivity:.3f}"
    alarms = "open set: found first and below the threshold"
    accepted = f"genuine pairs accepted; threshold from all {figures.tar_impostor_pairs:,} impostor pairs"
    searches = f"{figures.searches:,} searches among {figures.gallery:,} identities"
    return [
        Tile("d′", sensitivity, "separation of genuine and impostor pairs"),
        Tile("Cllr", f"{figures.cllr:.3f}", f"bits; at best {figures.min_cllr:.3f}"),
        Tile("rank-1", share(figures.rank_1), searches),
        *(Tile(f"rank-{k}", share(rate), f"found among the first {k}") for k, rate in figures.cmc.items()),
        *(Tile(f"DIR at FAR {far}", share(rate), alarms) for far, rate in figures.identified.items()),
        *(Tile(f"TAR at {name}", share(rate), accepted) for name, rate in figures.tar.items()),
    ]


def data_tiles(manifest: Manifest) -> list[Tile]:
    """Numbers of files, images and identities."""
    summary = manifest.summary()
    return [
        Tile("files", f"{summary['files']:,}", "in the data folder"),
        Tile("images", f"{summary['images']:,}", "readable"),
        Tile("identities", f"{summary['identities']:,}", f"{summary['singletons']:,} with one image"),
        Tile("images per identity", f"{summary['images_per_identity_median']:g}", "median"),
        Tile("quarantined files", f"{summary['quarantined']:,}", "not usable"),
    ]


def refusals(reasons: Mapping[str, str]) -> list[tuple[str, str]]:
    """Notices of operating points that do not exist, with reasons."""
    return [(f"{name} refused", reason) for name, reason in reasons.items()]


def operating_points(evaluation: Evaluation, calibration: Calibration) -> View:
    """Operating points with their targets, the rates that calibration expected, and those that were measured."""
    points = evaluation.model.points
    label = "default replaced" if calibration.default else "no default"
    default = [(label, calibration.default_in_words)] if calibration.default != calibration.configured else []
    caution = [("caution", calibration.caution)] if calibration.caution else []
    return {
        "points": points,
        "expected": calibration.points,
        "default": evaluation.default,
        "scale": Scale.of(rate for point in points.values() for rate in (point.fmr, point.fnmr)),
        "notices": [*default, *refusals(calibration.refused), *caution],
    }


def champion(result: ChampionResult, model: SystemResult) -> View:
    """The model against the champion, figure by figure, and at the operating points that both have."""
    figures = result.comparison.figures if result.comparison else {}
    shared = [(name, ours, result.points[name]) for name, ours in model.points.items() if name in result.points]
    return {
        "result": result,
        "figures": [
            [name, *map(share, (d.challenger, d.champion)), f"{d.low:+.2%} to {d.high:+.2%}", _beside_champion(d)]
            for name, d in figures.items()
        ],
        "rows": [[name, *map(str, (a.fmr, b.fmr, a.fnmr, b.fnmr))] for name, a, b in shared],
    }


def quarantine_reasons(manifest: Manifest) -> list[list[str]]:
    """Reasons with their numbers of files, most frequent first."""
    counts = manifest.quarantined["reason"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return [[str(reason), f"{count:,}"] for reason, count in counts.head(_MOST_SLICES).items()]


def slice_columns(groups: Sequence[Slice], overall: PointResult) -> Iterator[View]:
    """A forest plot for each column: errors of each group beside those of all pairs."""
    for (source, column), members in groupby(groups, key=lambda group: (group.source, group.column)):
        rows = list(members)
        rates = [rate for row in rows for rate in (row.fmr, row.fnmr) if rate]
        yield {
            "name": column,
            "scale": Scale.of([*rates, overall.fmr, overall.fnmr]),
            "source": "measured on the images" if source == "quality" else "from the metadata",
            "rows": rows[:_MOST_SLICES],
            "more": f"{len(rows) - _MOST_SLICES:,}" if len(rows) > _MOST_SLICES else "",
        }


def _beside_champion(difference: Difference) -> Badge:
    kinds = {"measurably better": "good", "measurably worse": "bad"}
    return Badge(kinds.get(difference.standing, "warn"), difference.standing)

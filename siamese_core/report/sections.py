"""The parts of the report that are words and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby

from siamese_core.calibration.expected_rates import Interval
from siamese_core.calibration.operating_points import Calibration, OperatingPoint
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.evaluate import Evaluation, PairDistance
from siamese_core.evaluation.results import Figures, PointResult, Slice, SystemResult
from siamese_core.metrics.rates import Rate
from siamese_core.network.trained import TrainedEncoder
from siamese_core.pictures import photo
from siamese_core.report.charts import systems
from siamese_core.report.data_page import quarantine_table
from siamese_core.report.render import Html, badge, cards, image, table
from siamese_core.report.wording import few_errors, interval, percent, round_share, share, standing

_BAR = 150
# (genuine, accepted) → words and kind of badge.
_OUTCOMES = {
    (True, True): ("match", "good"),
    (True, False): ("false non-match", "bad"),
    (False, True): ("false match", "bad"),
    (False, False): ("non-match", "good"),
}
_MOST_SLICES = 200


def tiles(evaluation: Evaluation) -> str:
    """The main figures, large."""
    point = evaluation.model.points[evaluation.default]
    kind, words = standing(point)
    target = "" if point.target_fmr is None else f"target {round_share(point.target_fmr)} {badge(words, kind)}"
    shown = [
        ("FMR", share(point.fmr.value), f"{interval(point.fmr)}<br>{target}"),
        ("FNMR", share(point.fnmr.value), interval(point.fnmr)),
        ("equal error rate", share(evaluation.model.eer), f"raw pixels {share(evaluation.pixels.eer)}"),
        ("accuracy", share(point.accuracy), f"at {escape(evaluation.default)}"),
    ]
    return _tiles(shown)


def basis(evaluation: Evaluation) -> str:
    """What was measured on what."""

    def part(used: int, total: int) -> str:
        return f"{used:,}" if used == total else f"{used:,} of {total:,} (a seeded sample)"

    return (
        f"Measured on {evaluation.identities:,} test identities with {evaluation.images:,} images: "
        f"{part(evaluation.genuine_pairs, evaluation.genuine_total)} genuine and "
        f"{part(evaluation.impostor_pairs, evaluation.impostor_total)} impostor pairs. Thresholds come from other "
        f"identities, kept for calibration. Intervals are {evaluation.confidence:.0%}, by bootstrap over identities; "
        "what was expected is what calibration stated for new identities before they were looked at. "
        f"Failure to acquire: {evaluation.failure_to_acquire:.2%} of the files."
    )


def points_table(points: Mapping[str, PointResult], calibration: Calibration, default: str) -> Html:
    """Operating points with their targets, what calibration expected, and what became of them."""
    rates = [rate for point in points.values() for rate in (point.fmr, point.fnmr)]
    low = _decade(rates)
    rows = [
        _point_row(name, point, calibration.points.get(name), name == default, low) for name, point in points.items()
    ]
    head = ["operating point", "threshold", "target FMR", "FMR on test", "FNMR on test", "accuracy"]
    return cards(head, rows)


def refusals(refused: Mapping[str, str]) -> str:
    """Why some operating points do not exist."""
    return "".join(
        f'<p class="notice">{badge(f"{name} refused", "warn")} {escape(why)}</p>' for name, why in refused.items()
    )


def caution(why: str) -> str:
    """What a reader of the intervals must know, if anything."""
    return f'<p class="notice">{badge("caution", "warn")} {escape(why)}</p>' if why else ""


def baselines(evaluation: Evaluation) -> Html:
    """The model beside simpler systems, each with thresholds of its own."""
    rows = [_system_row(name, system, evaluation.default) for name, _, system in reversed(systems(evaluation))]
    head = ["system", "EER", "AUC", "accuracy at its calibrated threshold", f"FNMR at its own {evaluation.default}"]
    return cards(head, rows)


def more_figures(figures: Figures) -> str:
    """What does not depend on an operating point."""
    shown = [
        ("d′", "–" if figures.sensitivity is None else f"{figures.sensitivity:.3f}", "genuine from impostor pairs"),
        ("Cllr", f"{figures.cllr:.3f}", f"bits; at best {figures.min_cllr:.3f}"),
        ("rank-1", share(figures.rank_1), f"{figures.searches:,} searches among {figures.gallery:,} identities"),
    ]
    shown += [(f"rank-{rank}", share(rate), "searches with it among the first") for rank, rate in figures.cmc.items()]
    shown += [
        (f"DIR at FAR {rate}", share(found), "open set: found first, below the threshold")
        for rate, found in figures.identified.items()
    ]
    accepted = f"genuine pairs accepted, threshold from all {figures.tar_impostor_pairs:,} impostor pairs"
    shown += [(f"TAR at {name}", share(rate), accepted) for name, rate in figures.tar.items()]
    return _tiles(shown) + refusals({f"TAR at {name}": why for name, why in figures.refused.items()})


def pairs(
    found: Sequence[PairDistance],
    evaluation: Evaluation,
    calibration: Calibration,
    manifest: Manifest,
    store: ImageStore,
) -> str:
    """Pairs as pictures, with what the verifier says of them."""
    images, point = manifest.ok, evaluation.model.points[evaluation.default]
    shown = []
    for a, b, distance in found:
        names = [images["path"].iloc[row] for row in (a, b)]
        genuine = images["identity"].iloc[a] == images["identity"].iloc[b]
        accepted = distance < point.threshold
        word = badge(*_OUTCOMES[bool(genuine), bool(accepted)])
        pictures = "".join(
            image(photo(store.images[row]), name, "jpeg") for row, name in zip((a, b), names, strict=True)
        )
        figures = f"distance {distance:.3f}, probability {share(float(calibration.probability(distance)))}"
        text = "<br>".join(f"<bdi>{escape(name)}</bdi>" for name in names)
        shown.append(
            f'<button type="button" class="pair"><span class="photos">{pictures}</span>'
            f'<span class="said">{word} {figures}<small>{text}</small></span></button>'
        )
    return f'<div class="pairs">{"".join(shown)}</div>'


def slices(found: Sequence[Slice], overall: PointResult) -> str:
    """A forest plot in a table for each column: errors of each group beside those of all pairs."""
    parts = []
    for (source, column), members in groupby(found, key=lambda part: (part.source, part.column)):
        rows = list(members)
        origin = "measured on the images" if source == "quality" else "from the metadata"
        parts.append(f"<h3><bdi>{escape(column)}</bdi> <small>{origin}</small></h3>{_forest(rows, overall)}")
    gaps = sum(bool(part.gap) for part in found)
    word = badge(f"{gaps} measurable gaps" if gaps != 1 else "1 measurable gap", "warn" if gaps else "good")
    return (
        f"<p>{word} among {len(found):,} groups, all at the default threshold. "
        f"The upright line is the rate of all pairs.</p>{''.join(parts)}"
    )


def events(trained: TrainedEncoder) -> str:
    """What the collapse monitor saw."""
    named = [(f"step {event['step']:,}: {event['kind']}", event["message"]) for event in trained.events]
    return "".join(f'<p class="notice">{badge(name, "warn")} {escape(message)}</p>' for name, message in named)


def data_quality(manifest: Manifest) -> str:
    """What was found, and what could not be used."""
    found = manifest.summary()
    shown = [
        ("files found", f"{found['files']:,}", "below the data folder"),
        ("images", f"{found['images']:,}", "that could be read"),
        ("identities", f"{found['identities']:,}", f"{found['singletons']:,} with one image"),
        ("images of an identity", f"{found['images_per_identity_median']:g}", "the median"),
        ("quarantined files", f"{found['quarantined']:,}", "that could not be used"),
    ]
    return _tiles(shown) + (_quarantine(manifest) if found["quarantined"] else "")


def lineage(origin: Mapping[str, str], configuration: str) -> Html:
    """Where the model comes from, and with which parameters."""
    found = table(["what", "value"], [[name, Html(f"<code>{escape(value)}</code>")] for name, value in origin.items()])
    if not configuration:
        return found
    all_of_it = f"<details><summary>The whole configuration</summary><pre>{escape(configuration)}</pre></details>"
    return Html(found + all_of_it)


def glossary() -> Html:
    """The terms of ISO/IEC 19795 and some others."""
    return Html("<dl>" + "".join(f"<dt>{escape(a)}</dt><dd>{escape(b)}</dd>" for a, b in _GLOSSARY.items()) + "</dl>")


_GLOSSARY = {
    "genuine pair": "two images of one identity (mated comparison)",
    "impostor pair": "images of two identities (non-mated comparison)",
    "FMR": "false-match rate: impostor pairs that are taken for the same identity",
    "FNMR": "false-non-match rate: genuine pairs that are taken for two identities",
    "TMR, TAR": "true-match rate, 1 − FNMR; as TAR at thresholds that keep the FMR on the test pairs themselves",
    "EER": "equal error rate: where FMR and FNMR are equal",
    "DET": "detection error trade-off: FNMR over FMR, both on axes of normal deviates",
    "operating point": "a threshold on the squared distance; a pair below it counts as the same identity",
    "target": "the FMR that a threshold was chosen for, on calibration identities; the FMR on test shows how it held",
    "interval": "bootstrap over identities, because pairs that share an identity are not independent",
    "rule of 3": "no error in n independent trials: the rate is below 3/n with 95 % confidence",
    "rule of 30": "with 30 errors the true rate is within 30 % of the measured one with 90 % confidence",
    "accuracy": "1 − (FMR + FNMR) / 2: as many genuine as impostor pairs",
    "AUC": "the probability that a genuine pair is nearer than an impostor pair",
    "d′": "how many standard deviations the distances of genuine and impostor pairs lie apart",
    "Cllr": "cost of the probabilities in bits: 0 is perfect, 1 tells nothing; above its minimum: miscalibrated",
    "DIR, FAR": "open-set search: share that is found first and below the threshold, by the share of searches for "
    "somebody outside the gallery that raise a false alarm",
    "rank-1": "closed-set search: the nearest image of a gallery, one image an identity, is of the right one",
    "failure to acquire": "files of which no usable image came",
}


def _tiles(shown: Iterable[tuple[str, str, str]]) -> str:
    """Name, figure and a remark (HTML) of each."""
    parts = (
        f"<div><span>{escape(name)}</span><b>{figure}</b><small>{below}</small></div>" for name, figure, below in shown
    )
    return f'<div class="tiles">{"".join(parts)}</div>'


def _point_row(
    name: str, point: PointResult, calibrated: OperatingPoint | None, default: bool, low: float
) -> list[object]:
    kind, words = standing(point)
    target: object = "–"
    if point.target_fmr is not None:
        target = Html(f"{round_share(point.target_fmr)}<br>{badge(words, kind)}")
    mark = " <small>default</small>" if default else ""
    return [
        Html(f"<b>{escape(name)}</b>{mark}"),
        f"{point.threshold:.4f}",
        target,
        _rate(point.fmr, low, point.target_fmr, calibrated.expected_fmr if calibrated else None),
        _rate(point.fnmr, low, None, calibrated.expected_fnmr if calibrated else None),
        share(point.accuracy),
    ]


def _rate(rate: Rate, low: float, reference: float | None, expected: Interval | None = None) -> Html:
    note = few_errors(rate)
    said = f'<small class="note">{note}</small>' if note else ""
    if expected:
        kept = badge("kept", "good") if expected.holds(rate.value) else badge("not kept", "bad")
        said = f"<br><small>expected {share(expected.low)} to {share(expected.high)} {kept}</small>{said}"
    return Html(
        f'<b>{share(rate.value)}</b> <span class="soft">{interval(rate)}</span>{_bar(rate, low, reference)}'
        f"<small>{rate.errors:,} of {rate.pairs:,} pairs</small>{said}"
    )


def _bar(rate: Rate, low: float, reference: float | None) -> str:
    """An interval on a logarithmic axis from `low` to 1, and a line where the reference lies."""

    def place(value: float) -> float:
        return round(4 + (_BAR - 8) * (1 - math.log10(max(value, low)) / math.log10(low)), 1)

    line = "" if not reference else f'<path class="reference" d="M{place(reference)} 1V17"/>'
    return (
        f'<svg class="bar" viewBox="0 0 {_BAR} 18" aria-hidden="true"><path class="axis" d="M4 9H{_BAR - 4}"/>{line}'
        f'<path class="range" d="M{place(rate.low)} 9H{place(rate.high)}"/>'
        f'<circle cx="{place(rate.value)}" cy="9" r="4"/></svg>'
    )


def _decade(rates: Iterable[Rate]) -> float:
    """The power of ten below all rates that are not 0."""
    seen = [value for rate in rates for value in (rate.low, rate.value, rate.high) if value > 0]
    return 10.0 ** min(-1, math.floor(math.log10(min(seen, default=0.01))))


def _system_row(name: str, system: SystemResult, default: str) -> list[object]:
    point = system.points.get(default)
    accuracy = system.points["accuracy"].accuracy
    fnmr = percent(point.fnmr) if point else "–"
    return [Html(f"<b>{escape(name)}</b>"), share(system.eer), f"{system.auc:.4f}", share(accuracy), fnmr]


def _forest(rows: Sequence[Slice], overall: PointResult) -> str:
    rates = [rate for row in rows for rate in (row.fmr, row.fnmr) if rate] + [overall.fmr, overall.fnmr]
    low = _decade(rates)
    shown = [_slice_row(row, overall, low) for row in rows[:_MOST_SLICES]]
    more = f"<p>… and {len(rows) - _MOST_SLICES:,} more.</p>" if len(rows) > _MOST_SLICES else ""
    return cards(["group", "identities", "FMR", "FNMR", "gap"], shown, "forest") + more


def _slice_row(row: Slice, overall: PointResult, low: float) -> list[object]:
    name = f"<bdi>{escape(row.value)}</bdi>"
    if row.other != row.value:
        name += f" × <bdi>{escape(row.other)}</bdi>"
    return [
        Html(f"<span>{name}</span>"),
        row.identities,
        _rate(row.fmr, low, overall.fmr.value) if row.fmr else "–",
        _rate(row.fnmr, low, overall.fnmr.value) if row.fnmr else "–",
        Html(f'<span class="warn">{escape(row.gap)}</span>') if row.gap else "",
    ]


def _quarantine(manifest: Manifest) -> str:
    counts = manifest.quarantined["reason"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    rows: list[list[object]] = [[reason, int(count)] for reason, count in counts.head(_MOST_SLICES).items()]
    return (
        f"<h3>Files that could not be used</h3>{table(['reason', 'files'], rows)}"
        f"<details><summary>All of them</summary>{quarantine_table(manifest)}</details>"
    )

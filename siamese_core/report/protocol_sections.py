"""The report's sections on the user's own protocols and on the champion; a section without results is empty."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.one_shot_tasks import OneShotResult
from siamese_core.evaluation.protocols import PairsResult
from siamese_core.evaluation.results import ChampionResult, Comparison, PointResult, SystemResult
from siamese_core.report.render import badge, cards, table


def protocol_sections(evaluation: Evaluation) -> Iterator[tuple[str, str, str]]:
    """Name, title and HTML of what was measured beside the error rates: the champion, listed pairs, one-shot tasks."""
    if evaluation.champion:
        yield ("champion", "Beside the champion", champion_section(evaluation.champion, evaluation.model))
    if evaluation.pairs:
        yield ("listed-pairs", "The listed pairs", pairs_section(evaluation.pairs))
    if evaluation.one_shot:
        yield ("one-shot", "One-shot tasks", one_shot_section(evaluation.one_shot))


def champion_section(champion: ChampionResult, model: SystemResult) -> str:
    """The two at the operating points that both have, on the same pairs."""
    rows = [
        [name, str(ours.fmr), str(champion.points[name].fmr), str(ours.fnmr), str(champion.points[name].fnmr)]
        for name, ours in model.points.items()
        if name in champion.points
    ]
    head = [
        "operating point",
        "FMR",
        f"FMR of version {champion.version}",
        "FNMR",
        f"FNMR of version {champion.version}",
    ]
    words = f"<p>{_standing(champion.comparison)} {escape(sentence(str(champion)))}</p>"
    return words + (f"{cards(head, rows)}{_soft('Each at its own calibrated thresholds.')}" if rows else "")


def pairs_section(found: PairsResult) -> str:
    """Accuracy, and the calibrated operating points on the listed pairs."""
    head = ["operating point", "threshold", "FMR", "FNMR", "accuracy"]
    rows = [_point_row(name, point) for name, point in found.points.items()]
    return f"<p>{escape(sentence(str(found)))}</p>{cards(head, rows)}{_soft(_basis(found))}"


def one_shot_section(found: OneShotResult) -> str:
    """The error of each group."""
    rows = [[name, f"{error:.2%}"] for name, error in found.groups.items()]
    small = f" The smallest group takes part with all of its {found.smallest_group}." * (
        found.smallest_group < found.way
    )
    by = "which the file names tell" if found.sources == "names" else "which are the images' numbers"
    basis = (
        f"{found.images:,} images of {found.identities:,} test identities; support and query are by two sources, {by}."
    )
    return f"<p>{escape(sentence(str(found)))}</p>{table(['group', 'error'], rows)}{_soft(basis + small)}"


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return f"{text[0].upper()}{text[1:]}."


def _standing(comparison: Comparison | None) -> str:
    if comparison is None:
        return badge("not comparable", "warn")
    if comparison.low <= 0 <= comparison.high:
        return badge("within the noise", "warn")
    return badge("measurably better", "good") if comparison.high < 0 else badge("measurably worse", "bad")


def _point_row(name: str, point: PointResult) -> list[object]:
    return [name, f"{point.threshold:.4f}", str(point.fmr), str(point.fnmr), f"{point.accuracy:.2%}"]


def _basis(found: PairsResult) -> str:
    who = f" of {found.identities:,} identities" if found.identities is not None else ""
    repeated = f" {found.duplicates:,} repeated rows are not counted again." if found.duplicates else ""
    return f"{found.images:,} images{who}. Intervals are {found.confidence:.0%}, {found.interval}.{repeated}"


def _soft(text: str) -> str:
    return f'<p class="soft">{escape(text)}</p>'

"""Charts as inline SVG. One geometry serves the page, print, and the script that shows values on hover and focus."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from statistics import NormalDist
from typing import Any, NamedTuple

from siamese_core.report.render import Html, table
from siamese_core.report.wording import round_share, share

_MOST_MARKS, _MOST_ROWS = 120, 40
_SIZES = {600: "broad", 400: "wide", 0: "small"}
# Width of a character in units of the drawing: on a wide screen, and as the style sheet enlarges it on a phone.
_CHARACTER, _PHONE_CHARACTER = 8.2, 11.5
# Left, top, right and bottom.
Box = tuple[float, float, float, float]


class Mark(NamedTuple):
    """A point that a reader can ask about: its values and a remark."""

    x: float
    y: float
    note: str = ""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: What it shows.
        low: Value at its start.
        high: Value at its end.
        ticks: Values that are written beside it.
        scale: What grows evenly along it.
        say: A value as text.
    """

    label: str
    low: float
    high: float
    ticks: list[float]
    scale: Callable[[float], float] = float
    say: Callable[[float], str] = "{:.3g}".format

    def place(self, value: float) -> float:
        """Where a value lies, from 0 to 1; values beyond the ends lie at the ends."""
        start, end = self.scale(self.low), self.scale(self.high)
        return (self.scale(min(max(value, self.low), self.high)) - start) / (end - start)


@dataclass(frozen=True)
class Frame:
    """The plane of a chart, in units of its drawing, with its margins and whether the axes' names are written."""

    x: Axis
    y: Axis
    width: float = 520
    height: float = 370
    left: float = 58
    bottom: float = 48
    right: float = 18
    top: float = 34
    names: bool = True

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a point lies, with one decimal."""
        across, up = self.width - self.left - self.right, self.height - self.top - self.bottom
        return round(self.left + across * self.x.place(x), 1), round(self.top + up * (1 - self.y.place(y)), 1)


@dataclass(frozen=True)
class Layer:
    """One thing that is drawn.

    Attributes:
        svg: How it looks.
        name: In the legend; empty for what needs no name.
        tone: Its colour and shape in the legend, classes of the style sheet.
        marks: What a reader can ask about.
    """

    svg: str
    name: str = ""
    tone: str = ""
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class Chart:
    """A chart with everything that stands around it.

    Attributes:
        name: Unique in the page.
        title: Above it.
        frame: Its plane.
        layers: From back to front.
        summary: Its main figures in words, for those who do not see it.
        extra: More for the script.
    """

    name: str
    title: str
    frame: Frame
    layers: list[Layer]
    summary: str
    extra: dict[str, Any] = field(default_factory=dict)

    def figure(self, below: str = "") -> Html:
        """The chart as HTML, with a legend and its data as a table.

        Args:
            below: HTML that belongs to the chart.
        """
        size = next(name for least, name in _SIZES.items() if self.frame.width > least)
        drawing = (
            f'<svg viewBox="0 0 {self.frame.width:g} {self.frame.height:g}" aria-hidden="true">{_axes(self.frame)}'
            f'{"".join(layer.svg for layer in self.layers)}<circle class="cursor" r="6"/></svg>'
        )
        return Html(
            f'<figure class="chart {size}" id="{self.name}"><figcaption>{escape(self.title)}</figcaption>'
            f"{self._legend()}"
            f'<div class="plot" role="img" aria-label="{escape(f"{self.title}. {self.summary}")}">{drawing}</div>'
            f"{below}{self._data_table()}</figure>"
        )

    def data(self) -> dict[str, Any]:
        """What the script needs to show values."""
        series = [{"name": layer.name, "marks": self._marks(layer)} for layer in self.layers if layer.marks]
        frame = self.frame
        axes = {"x": frame.x.label, "y": frame.y.label, "width": frame.width, "height": frame.height}
        return {"id": self.name, "series": series, **axes, **self.extra}

    def _marks(self, layer: Layer) -> list[list[float | str]]:
        return [
            [*self.frame.at(mark.x, mark.y), self.frame.x.say(mark.x), self.frame.y.say(mark.y), mark.note]
            for mark in layer.marks
        ]

    def _legend(self) -> str:
        named = {layer.name: layer.tone for layer in self.layers if layer.name}
        if len(named) < 2:
            return ""
        keys = "".join(f'<li class="{tone}">{escape(name)}</li>' for name, tone in named.items())
        return f'<ul class="legend">{keys}</ul>'

    def _data_table(self) -> str:
        rows = [
            [layer.name, self.frame.x.say(mark.x), self.frame.y.say(mark.y), mark.note]
            for layer in self.layers
            for mark in thin(layer.marks, _MOST_ROWS)
        ]
        noted = any(row[3] for row in rows)
        head = ["", self.frame.x.label, self.frame.y.label, *(["remark"] if noted else [])]
        shown = table(head, rows if noted else [row[:3] for row in rows])
        return f"<details><summary>Data of this chart</summary>{shown}</details>"


def linear_axis(label: str, low: float, high: float, say: Callable[[float], str] = "{:.3g}".format) -> Axis:
    """An even axis with about five round ticks."""
    high = high if high > low else low + 1
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    ticks = [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]
    return Axis(label, low, high, ticks, say=say)


def log_axis(label: str, low: float, high: float) -> Axis:
    """A logarithmic axis of rates, with a tick at each power of ten."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    return Axis(label, low, high, [10.0**power for power in powers], math.log10, share)


def deviate_axis(label: str, low: float, high: float) -> Axis:
    """An axis of normal deviates, on which normally distributed scores give a straight DET (Martin et al. 1997)."""
    ticks = [1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95]
    return Axis(label, low, high, [tick for tick in ticks if low <= tick <= high], NormalDist().inv_cdf, share)


def thin(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of them, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def line(frame: Frame, name: str, tone: str, marks: Sequence[Mark]) -> Layer:
    """Points joined by a line; a single point is drawn as a dot."""
    if len(marks) == 1:
        return dots(frame, name, tone, marks)
    return Layer(f'<path class="line {tone}" d="{_path(frame, marks)}"/>', name, tone, thin(marks, _MOST_MARKS))


def dots(frame: Frame, name: str, tone: str, marks: Sequence[Mark], labels: Sequence[str] = ()) -> Layer:
    """Single points, with labels beside them where they are given."""
    drawn = "".join('<circle class="dot {}" cx="{}" cy="{}" r="4.5"/>'.format(tone, *frame.at(*m[:2])) for m in marks)
    return Layer(drawn + "".join(_labels(frame, marks, labels)), name, f"{tone} dots", list(marks))


def band(frame: Frame, tone: str, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Layer:
    """The area between two curves; nothing where there are none."""
    edge = [Mark(*point) for point in zip(x, high, strict=False)]
    edge += [Mark(*point) for point in reversed(list(zip(x, low, strict=False)))]
    return Layer(f'<path class="band {tone}" d="{_path(frame, edge)}Z"/>' if edge else "")


def whiskers(frame: Frame, tone: str, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Layer:
    """Vertical intervals."""
    ends = [(frame.at(at, bottom), frame.at(at, top)) for at, bottom, top in zip(x, low, high, strict=True)]
    drawn = "".join(f'<path class="line {tone}" d="M{a[0]} {a[1]}L{b[0]} {b[1]}"/>' for a, b in ends)
    return Layer(drawn)


def straight(frame: Frame, start: tuple[float, float], end: tuple[float, float], tone: str = "guide") -> Layer:
    """A line between two points that only guides the eye."""
    return Layer(f'<path class="{tone}" d="{_path(frame, [Mark(*start), Mark(*end)])}"/>')


def _path(frame: Frame, marks: Sequence[Mark]) -> str:
    return "M" + "L".join("{} {}".format(*frame.at(mark.x, mark.y)) for mark in marks)


def _labels(frame: Frame, marks: Sequence[Mark], texts: Sequence[str]) -> Iterator[str]:
    """Each label beside its point, where it covers no other point and no label; left out where it finds no place."""
    points = [frame.at(mark.x, mark.y) for mark in marks]
    taken = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    for (x, y), text in zip(points, texts, strict=False):
        width = len(text) * _CHARACTER
        for left, down in ((x + 9, -8), (x + 9, 18), (x - 9 - width, -8), (x - 9 - width, 18)):
            box = (left, y + down - 12, left + width, y + down + 2)
            if text and left >= 0 and box[2] <= frame.width and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                yield f'<text class="label" x="{left:.1f}" y="{y + down:.1f}">{escape(text)}</text>'
                break


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _axes(frame: Frame) -> str:
    left, bottom = frame.at(frame.x.low, frame.y.low)
    right, top = frame.at(frame.x.high, frame.y.high)
    parts = [f'<path class="axis" d="M{left} {bottom}H{right}"/>' if frame.x.label else ""]
    taken = {_CHARACTER: -math.inf, _PHONE_CHARACTER: -math.inf}
    for value in frame.x.ticks:
        x, text = frame.at(value, frame.y.low)[0], _tick(frame.x, value)
        parts.append(f'<path class="grid" d="M{x} {top}V{bottom}"/>')
        if room := _room(x, text, taken):
            parts.append(f'<text class="{room}" x="{x}" y="{bottom + 21:.1f}" text-anchor="middle">{text}</text>')
    for value in frame.y.ticks:
        y = frame.at(frame.x.low, value)[1]
        parts.append(f'<path class="grid" d="M{left} {y}H{right}"/>')
        parts.append(
            f'<text class="tick" x="{left - 7}" y="{y + 4.5:.1f}" text-anchor="end">{_tick(frame.y, value)}</text>'
        )
    return "".join(parts) + (_names(frame) if frame.names else "")


def _names(frame: Frame) -> str:
    right, below = frame.width - frame.right, frame.height - 6
    return (
        f'<text class="name" x="4" y="16">{escape(frame.y.label)}</text>'
        f'<text class="name" x="{right:g}" y="{below:g}" text-anchor="end">{escape(frame.x.label)}</text>'
    )


def _tick(axis: Axis, value: float) -> str:
    return round_share(value) if axis.say is share else axis.say(value)


def _room(x: float, text: str, taken: dict[float, float]) -> str:
    """The class of a tick's text, by whether it fits beside the one before: always, on wide screens only, or never."""
    fits = {}
    for character, end in taken.items():
        half = len(text) * character / 2
        fits[character] = x - half > end
        if fits[character]:
            taken[character] = x + half + character / 2
    return "tick" if fits[_PHONE_CHARACTER] else "tick roomy" if fits[_CHARACTER] else ""

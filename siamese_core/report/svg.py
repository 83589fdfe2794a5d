"""SVG charts; one geometry serves the page, print, and the script that shows values on hover and focus.

They are drawn here because no chart library gives a keyboard, print, the same bytes and a page below 0.5 MB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from statistics import NormalDist
from typing import Any, NamedTuple

from siamese_core.report.render import svg_file
from siamese_core.report.wording import round_share, share

_MOST_MARKS, _MOST_ROWS = 120, 40
_KEY_HEIGHT, _TITLE_HEIGHT = 19, 34
_SIZES = {600: "broad", 400: "wide", 0: "small"}
# Width of a character in units of the drawing: on a wide screen, and as the style sheet enlarges it on a phone.
_CHARACTER, _PHONE_CHARACTER = 8.2, 11.5
# Left, top, right and bottom.
Box = tuple[float, float, float, float]


class Mark(NamedTuple):
    """A point with a value that a reader can ask for, and a remark."""

    x: float
    y: float
    note: str = ""


@dataclass(frozen=True)
class Axis:
    """One axis.

    Attributes:
        label: Its quantity.
        low: Value at its start.
        high: Value at its end.
        ticks: Values that are written beside it.
        scale: Function of the value that grows evenly along it.
        say: Function that writes a value as text.
    """

    label: str
    low: float
    high: float
    ticks: list[float]
    scale: Callable[[float], float] = float
    say: Callable[[float], str] = "{:.3g}".format

    def place(self, value: float) -> float:
        """Place of a value on the axis, from 0 to 1; values beyond the ends lie at the ends."""
        start, end = self.scale(self.low), self.scale(self.high)
        return (self.scale(min(max(value, self.low), self.high)) - start) / (end - start)


@dataclass(frozen=True)
class Frame:
    """Plane of a chart, in units of its drawing, with its margins; `names` writes the names of the axes."""

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
        """Place of a point in the drawing, with one decimal."""
        across, up = self.width - self.left - self.right, self.height - self.top - self.bottom
        return round(self.left + across * self.x.place(x), 1), round(self.top + up * (1 - self.y.place(y)), 1)


@dataclass(frozen=True)
class Layer:
    """One curve, band or group of points.

    Attributes:
        svg: Its elements.
        name: In the legend; empty for what needs no name.
        tone: Its colour and shape in the legend, classes of the style sheet.
        marks: Its points that a reader can ask about.
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
        summary: Its main figures in words, for readers who do not see it.
        extra: More values for the script.
    """

    name: str
    title: str
    frame: Frame
    layers: list[Layer]
    summary: str
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> str:
        """Class of the style sheet by its width: small, wide or broad."""
        return next(name for least, name in _SIZES.items() if self.frame.width > least)

    @property
    def legend(self) -> dict[str, str]:
        """Names with their tones; empty where a single name tells nothing."""
        tones = {layer.name: layer.tone for layer in self.layers if layer.name}
        return tones if len(tones) > 1 else {}

    @property
    def drawing(self) -> str:
        """Elements of the drawing."""
        return _axes(self.frame) + "".join(layer.svg for layer in self.layers)

    @property
    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of its data, as text."""
        rows = [
            [layer.name, self.frame.x.say(mark.x), self.frame.y.say(mark.y), mark.note]
            for layer in self.layers
            for mark in thin(layer.marks, _MOST_ROWS)
        ]
        columns = 4 if any(row[3] for row in rows) else 3
        head = ["", self.frame.x.label, self.frame.y.label, "remark"]
        return head[:columns], [row[:columns] for row in rows]

    def data(self) -> dict[str, Any]:
        """Values that the script shows on hover and focus."""
        series = [{"name": layer.name, "marks": self._marks(layer)} for layer in self.layers if layer.marks]
        frame = self.frame
        axes = {"x": frame.x.label, "y": frame.y.label, "width": frame.width, "height": frame.height}
        return {"id": self.name, "series": series, **axes, **self.extra}

    def file(self) -> str:
        """The chart as an SVG file of its own, with title, legend and style."""
        keys = [(_TITLE_HEIGHT + _KEY_HEIGHT * (row + 0.5), *key) for row, key in enumerate(self.legend.items())]
        return svg_file({"chart": self, "keys": keys, "above": _TITLE_HEIGHT + _KEY_HEIGHT * len(keys)})

    def _marks(self, layer: Layer) -> list[list[float | str]]:
        return [
            [*self.frame.at(mark.x, mark.y), self.frame.x.say(mark.x), self.frame.y.say(mark.y), mark.note]
            for mark in layer.marks
        ]


def linear_axis(label: str, low: float, high: float, say: Callable[[float], str] = "{:.3g}".format) -> Axis:
    """Make an even axis with about five round ticks."""
    high = high if high > low else low + 1
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    ticks = [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]
    return Axis(label, low, high, ticks, say=say)


def log_axis(label: str, low: float, high: float) -> Axis:
    """Make a logarithmic axis of rates, with a tick at each power of ten."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    return Axis(label, low, high, [10.0**power for power in powers], math.log10, share)


def deviate_axis(label: str, low: float, high: float) -> Axis:
    """Make an axis of normal deviates: normally distributed scores give a straight DET (Martin et al. 1997)."""
    ticks = [1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95]
    return Axis(label, low, high, [tick for tick in ticks if low <= tick <= high], NormalDist().inv_cdf, share)


def thin(items: Sequence[Any], most: int) -> list[Any]:
    """Take at most so many items, evenly spread, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(index * (len(items) - 1) / (most - 1))] for index in range(most)]


def line(frame: Frame, name: str, tone: str, marks: Sequence[Mark]) -> Layer:
    """Join points by a line; a single point becomes a dot."""
    if len(marks) == 1:
        return dots(frame, name, tone, marks)
    return Layer(f'<path class="line {tone}" d="{_path(frame, marks)}"/>', name, tone, thin(marks, _MOST_MARKS))


def dots(frame: Frame, name: str, tone: str, marks: Sequence[Mark], labels: Sequence[str] = ()) -> Layer:
    """Draw single points, with labels beside them where they are given."""
    circles = "".join('<circle class="dot {}" cx="{}" cy="{}" r="4.5"/>'.format(tone, *frame.at(*m[:2])) for m in marks)
    return Layer(circles + "".join(_labels(frame, marks, labels)), name, f"{tone} dots", list(marks))


def band(frame: Frame, tone: str, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Layer:
    """Fill the area between two curves."""
    edge = [Mark(*point) for point in zip(x, high, strict=True)]
    edge += [Mark(*point) for point in reversed(list(zip(x, low, strict=True)))]
    return Layer(f'<path class="band {tone}" d="{_path(frame, edge)}Z"/>')


def whiskers(frame: Frame, tone: str, x: Sequence[float], low: Sequence[float], high: Sequence[float]) -> Layer:
    """Draw vertical intervals."""
    ends = [(frame.at(at, bottom), frame.at(at, top)) for at, bottom, top in zip(x, low, high, strict=True)]
    return Layer("".join(f'<path class="line {tone}" d="M{a[0]} {a[1]}L{b[0]} {b[1]}"/>' for a, b in ends))


def straight(frame: Frame, start: tuple[float, float], end: tuple[float, float], tone: str = "guide") -> Layer:
    """Draw a line between two points that only guides the eye."""
    return Layer(f'<path class="{tone}" d="{_path(frame, [Mark(*start), Mark(*end)])}"/>')


def _path(frame: Frame, marks: Sequence[Mark]) -> str:
    return "M" + "L".join("{} {}".format(*frame.at(mark.x, mark.y)) for mark in marks)


def _labels(frame: Frame, marks: Sequence[Mark], texts: Sequence[str]) -> Iterator[str]:
    """Put each label beside its point, clear of points and other labels; one without a place is left out."""
    points = [frame.at(mark.x, mark.y) for mark in marks]
    obstacles = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    for (x, y), text in zip(points, texts, strict=False):
        width = len(text) * _CHARACTER
        for left, down in ((x + 9, -8), (x + 9, 18), (x - 9 - width, -8), (x - 9 - width, 18)):
            box = (left, y + down - 12, left + width, y + down + 2)
            if text and left >= 0 and box[2] <= frame.width and not any(_overlap(box, other) for other in obstacles):
                obstacles.append(box)
                yield f'<text class="label" x="{left:.1f}" y="{y + down:.1f}">{escape(text)}</text>'
                break


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _axes(frame: Frame) -> str:
    left, bottom = frame.at(frame.x.low, frame.y.low)
    right, top = frame.at(frame.x.high, frame.y.high)
    parts = [f'<path class="axis" d="M{left} {bottom}H{right}"/>' if frame.x.label else ""]
    ends = {_CHARACTER: -math.inf, _PHONE_CHARACTER: -math.inf}
    for value in frame.x.ticks:
        x, text = frame.at(value, frame.y.low)[0], _tick(frame.x, value)
        parts.append(f'<path class="grid" d="M{x} {top}V{bottom}"/>')
        if room := _room(x, text, ends):
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


def _room(x: float, text: str, ends: dict[float, float]) -> str:
    """Class of a tick's text, by whether it fits beside the one before: always, on wide screens only, or never."""
    fits = {}
    for character, end in ends.items():
        half = len(text) * character / 2
        fits[character] = x - half > end
        if fits[character]:
            ends[character] = x + half + character / 2
    return "tick" if fits[_PHONE_CHARACTER] else "tick roomy" if fits[_CHARACTER] else ""

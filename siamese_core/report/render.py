"""Self-contained HTML pages: nothing is loaded from anywhere else; light and dark."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from siamese_core.report import assets


class Html(str):
    """Text that is HTML already."""


def page(title: str, body: str, data: Mapping[str, object] | None = None) -> str:
    """A whole page around a body.

    Its policy lets a browser load nothing, and run no script but ours: a name in the data that looks like one stays
    a name.

    Args:
        title: Of the window.
        body: HTML.
        data: What our script gets; without it the page has no script.
    """
    style, script = assets.read("report.css"), assets.read("report.js") if data else ""
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}"
    policy += f"; script-src {_hash(script)}" if data else ""
    scripts = f"{_json(data)}<script>{script}</script>" if data else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>\n{body}\n{scripts}</body></html>\n"
    )


def section(name: str, title: str, body: str) -> Html:
    """A part of a page under a heading; `name` is what links lead to."""
    return Html(f'<section id="{name}"><h2>{escape(title)}</h2>\n{body}\n</section>')


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Html:
    """A table; text is escaped, a `Html` cell goes in as it is."""
    return Html(f'<div class="scroll">{_table(head, rows, [""] * len(head))}</div>')


def cards(head: Sequence[str], rows: Iterable[Sequence[object]], kind: str = "") -> Html:
    """A table of which each row is a card of its own on a phone; `kind` is a class of the style sheet."""
    labels = [f' data-label="{escape(name)}"' for name in head]
    return Html(f'<div class="scroll cards {kind}">{_table(head, rows, labels)}</div>')


def badge(text: str, kind: str) -> Html:
    """Coloured text; `kind` is good, warn or bad."""
    return Html(f'<strong class="badge {kind}">{escape(text)}</strong>')


def image(picture: bytes, text: str, kind: str = "png") -> Html:
    """A picture as part of the page; `kind` is png or jpeg."""
    data = base64.b64encode(picture).decode()
    return Html(f'<img src="data:image/{kind};base64,{data}" alt="{escape(text)}">')


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _json(data: Mapping[str, object]) -> str:
    """Data for the script, in which no text can end the element: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)  # ASCII: U+2028 is an escape, too
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="report-data">{text}</script>\n'


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], labels: Sequence[str]) -> str:
    heading = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    body = "".join(f"<tr>{_cells(row, labels)}</tr>\n" for row in rows)
    return f"<table><thead><tr>{heading}</tr></thead><tbody>\n{body}</tbody></table>"


def _cells(row: Sequence[object], labels: Sequence[str]) -> str:
    return "".join(f"<td{label}>{_text(value)}</td>" for value, label in zip(row, labels, strict=True))


def _text(value: object) -> str:
    if isinstance(value, Html):
        return value
    return f"{value:,}" if isinstance(value, int | float) else escape(str(value))

"""Self-contained HTML pages: no script, no font, no picture from anywhere else; light and dark."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2937; --soft: #6b7280; --line: #e5e7eb; --page: #f9fafb; --card: #ffffff;
  --good: #047857; --bad: #b91c1c; --warn: #b45309; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --soft: #9ca3af; --line: #374151; --page: #111827;
  --card: #1f2937; --good: #34d399; --bad: #f87171; --warn: #fbbf24; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); margin: 0; }
main { max-width: 1080px; margin: 0 auto; padding: 24px 16px 64px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 8px; }
p { margin: 6px 0; } .soft { color: var(--soft); } .verdict { font-size: 18px; margin: 12px 0 20px; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; background: var(--card); }
th, td { text-align: left; padding: 6px 10px; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); font-size: 13px; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 16px; }
.plots figure { margin: 0; background: #fff; border-radius: 8px; border: 1px solid var(--line); padding: 6px; }
.plots svg { width: 100%; height: auto; display: block; }
.pairs { display: flex; flex-wrap: wrap; gap: 14px; } .pairs figure { margin: 0; }
.pairs img { width: 64px; height: 64px; border-radius: 4px; margin-right: 2px; }
.pairs figcaption { font-size: 12px; color: var(--soft); max-width: 134px; overflow-wrap: anywhere; }
code { font-size: 13px; } @media print { body { background: #fff; } h2 { break-after: avoid; } figure { break-inside: avoid; } }
"""


def page(title: str, body: str) -> str:
    """A whole page around a body."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>\n{body}\n</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; text is escaped, numbers stand to the right. A `Html` cell goes in as it is."""
    heading = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>\n" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{heading}</tr></thead><tbody>\n{body}</tbody></table></div>'


class Html(str):
    """Text that is HTML already."""


def badge(text: str, kind: str) -> Html:
    """Coloured text; `kind` is good, warn or bad."""
    return Html(f'<strong class="{kind}">{escape(text)}</strong>')


def image(png: bytes, text: str) -> Html:
    """A PNG as part of the page."""
    data = base64.b64encode(png).decode()
    return Html(f'<img src="data:image/png;base64,{data}" alt="{escape(text)}">')


def _cell(value: object) -> str:
    if isinstance(value, Html):
        return f"<td>{value}</td>"
    if isinstance(value, int | float):
        return f'<td class="number">{value:,}</td>'
    return f"<td>{escape(str(value))}</td>"

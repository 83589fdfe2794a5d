"""Pages and the model card from templates; every value is escaped on its way into the text.

A page is self-contained: nothing is loaded from anywhere else. It follows the reader's light or dark theme.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from siamese_core.report.wording import few_errors, interval, percent, promise, round_share, sentence, share, standing

_ASSETS = files("siamese_core.report") / "assets"
# Marks anywhere, an underscore that could end an emphasis, and at the start a bullet or an underline.
_MARKS = re.compile(r"[\\`*\[\]<>|&~#]|_(?![^\W_])|^[-+=]")
# Functions of a value that templates use as filters.
_WORDS = (few_errors, interval, percent, promise, round_share, sentence, share, standing)
_NUMBER = re.compile(r"^(\d+)([.)])(?= |$)")


class Markdown(str):
    """Text that is Markdown already."""


def html_page(template: str, title: str, view: Mapping[str, Any], data: Mapping[str, Any] | None = None) -> str:
    """Render a whole page; the same values give the same bytes.

    Its policy lets a browser load nothing, and run no script but ours: a name in the data that looks like one stays
    a name.

    Args:
        template: Its file, which extends `page.html.j2`.
        title: Title of the window.
        view: Values of the template, as plain text and rows.
        data: Values for our script, as JSON; without them the page has no script.
    """
    style, script = read_asset("charts.css") + read_asset("report.css"), read_asset("report.js") if data else ""
    policy = _policy(style, script)
    return _HTML.get_template(template).render(view, title=title, style=style, script=script, data=data, policy=policy)


def svg_file(view: Mapping[str, Any]) -> str:
    """Render a chart as an SVG file of its own, with its style inside."""
    return _HTML.get_template("chart.svg.j2").render(view, style=read_asset("charts.css"))


def markdown(template: str, view: Mapping[str, Any]) -> str:
    """Render a Markdown file."""
    return _MARKDOWN.get_template(template).render(view)


def read_asset(name: str) -> str:
    """Read a style sheet or a script, which are written into each page."""
    return (_ASSETS / name).read_text(encoding="utf-8")


def data_uri(picture: bytes, kind: str) -> str:
    """Make a picture, png or jpeg, part of the page."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def escape_markdown(value: object) -> Markdown:
    """Escape what Markdown or HTML inside it would take for a mark; line breaks become spaces."""
    if isinstance(value, Markdown):
        return value
    return Markdown(_NUMBER.sub(r"\1\\\2", _MARKS.sub(r"\\\g<0>", _one_line(value))))


def code(value: object) -> Markdown:
    """Fence a value as inline code, by more backticks than it has in a row."""
    text = _one_line(value)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if len(fence) > 1 else ""
    return Markdown(f"{fence}{space}{text}{space}{fence}")


def _one_line(value: object) -> str:
    return " ".join(str(value).split())


def _policy(style: str, script: str) -> str:
    allowed = f"default-src 'none'; img-src data:; style-src {_hash(style)}"
    allowed += f"; script-src {_hash(script)}" if script else ""
    return f"{allowed}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _environment(**options: Any) -> Environment:
    loader = PackageLoader("siamese_core.report")
    environment = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, **options)
    environment.filters |= {words.__name__: words for words in _WORDS}
    environment.filters["number"] = "{:,.0f}".format
    return environment


_HTML = _environment(autoescape=True)
# ASCII, so that U+2028 is an escape, too; Jinja2 writes `<`, `>`, `&` and `'` as escapes: no text ends the element.
_HTML.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
_MARKDOWN = _environment(finalize=escape_markdown)
_MARKDOWN.filters["code"] = code

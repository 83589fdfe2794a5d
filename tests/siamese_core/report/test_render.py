"""Escaping on the way into a page and into Markdown, against parsers of others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from markdown_it import MarkdownIt
from markdown_it.token import Token

from siamese_core.report.render import code, escape_markdown, html_page

# No surrogates, and no control characters: a Markdown parser replaces them.
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")))
SNIPPETS = [
    "a",
    " ",
    "\n",
    "\\",
    "`a`",
    "``",
    "*a*",
    "**",
    "_a_",
    "__",
    "[a](b)",
    "![a](b)",
    "<b>",
    "<script x",
    "<!-- a",
]
SNIPPETS += ["|", "# a", " #", "- a", "+ a", "---", "===", "1. a", "12) a", "~~a~~", "~~~", "&amp;", "&#35;", "> a"]
SNIPPETS += ["<http://a>"]
MARKS = st.lists(st.sampled_from(SNIPPETS), max_size=4).map("".join)


def parsed(source: str) -> list[Token]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)


def inline(source: str, within: str) -> list[Token]:
    """Children of the only text, which stands in an element of a kind and in nothing else."""
    tokens = parsed(source)
    texts = [place for place, token in enumerate(tokens) if token.type == "inline" and token.content != "head"]
    (place,) = texts
    assert tokens[place - 1].type == f"{within}_open"
    return tokens[place].children or []


@pytest.mark.parametrize(
    ("before", "within"), [("", "paragraph"), ("# ", "heading"), ("- ", "paragraph"), ("| head |\n| --- |\n| ", "td")]
)
@given(text=MARKS | TEXT)
def test_escaped_text_stays_text_wherever_it_stands(before: str, within: str, text: str) -> None:
    words = " ".join(text.split())
    after = " |" if within == "td" else ""
    source = f"{before}{escape_markdown(text)}{after}"
    if not words:
        assert before or not parsed(source)
        return
    children = inline(source, within)
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == words
    lists = [token.type for token in parsed(source) if token.type.endswith("list_open")]
    assert lists == ["bullet_list_open"] * (before == "- ")


@given(text=(MARKS | TEXT).filter(str.strip))
def test_code_is_what_it_was(text: str) -> None:
    (child,) = inline(f"{code(text)}", "paragraph")
    assert (child.type, child.content) == ("code_inline", " ".join(text.split()))


def test_names_of_operating_points_stay_as_they_are() -> None:
    assert escape_markdown("fmr_1e-2: 1.00% (0.91% to 1.09%)") == "fmr_1e-2: 1.00% (0.91% to 1.09%)"
    assert code("run_x-1") == "`run_x-1`"


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="counts"):
        html_page("data.html.j2", "Data report", {"verdict": ("good", "Fit")})

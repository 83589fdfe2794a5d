"""The HTML pages in a real browser."""

import base64
from collections.abc import Iterator

import numpy as np
import pytest

from siamese_core.data.data_checks import Check
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.report.data_page import data_page
from tests.browser import CHROMIUM, Browser
from tests.siamese_core.report_sample import HOSTILE, sample

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)")

THEMES = pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as tab:
        yield tab


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    return sample(tmp_path_factory.mktemp("store")).page(f"model {HOSTILE}", {"run": HOSTILE})


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return sample(tmp_path_factory.mktemp("store")).charts()


@pytest.fixture(scope="module")
def data_report(ingested: tuple[Manifest, ImageStore]) -> str:
    manifest, store = ingested
    check = Check("every identity has at least 2 images", "warning", False, "1 of 60 are not", ["x" * 300], "Advice.")
    return data_page([check], manifest, store)


@pytest.fixture(params=["report", "data_report"])
def page(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def focus(browser: Browser, selector: str) -> None:
    """Press Tab until an element has the focus."""
    for _ in range(200):
        browser.press("Tab")
        if browser.evaluate(f"document.activeElement.matches({selector!r})"):
            return
    raise AssertionError(f"Tab does not reach {selector}")


def tip(browser: Browser, chart: str) -> str:
    return str(browser.evaluate(f"document.querySelector('#{chart} .tip:not([hidden])')?.innerText ?? ''"))


@THEMES
def test_a_page_renders_without_complaints_in_both_themes(browser: Browser, page: str, dark: bool) -> None:
    browser.open(page, dark=dark)
    picture = browser.shot()
    assert len(picture.getcolors(picture.width * picture.height)) > 50
    background = np.mean(picture.getpixel((5, 5)))
    assert background < 60 if dark else background > 230
    assert browser.complaints == []


@THEMES
def test_text_has_contrast_in_both_themes(browser: Browser, report: str, dark: bool) -> None:
    """4.5 : 1, as WCAG 2 asks of text, for every colour that text has on the card and on the page."""
    browser.open(report, dark=dark)
    for name in ("ink", "soft", "good", "bad", "warn", "focus"):
        for behind in ("card", "page"):
            colours = [
                browser.evaluate(f"getComputedStyle(document.documentElement).getPropertyValue('--{part}').trim()")
                for part in (name, behind)
            ]
            bright, less = sorted(map(luminance, colours), reverse=True)
            assert (bright + 0.05) / (less + 0.05) >= 4.5, (name, behind, dark)


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2)."""
    parts = np.array([int(colour[index : index + 2], 16) for index in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_no_request_leaves_a_page(browser: Browser, page: str) -> None:
    browser.open(page)
    browser.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert {address.split(":")[0] for address in browser.requests} <= {"file", "data"}
    assert sum(address.startswith("file:") for address in browser.requests) == 1


@pytest.mark.parametrize("width", [390, 700, 1280])
def test_a_page_is_no_wider_than_its_window(browser: Browser, page: str, width: int) -> None:
    browser.open(page, width=width)
    browser.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def test_text_of_the_charts_can_be_read_on_a_phone(browser: Browser, report: str) -> None:
    browser.open(report, width=390)
    heights = browser.evaluate(
        "[...document.querySelectorAll('.plot text')].filter(t => getComputedStyle(t).display != 'none')"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * t.getCTM().a)"
    )
    assert min(heights) >= 10.5


@pytest.mark.parametrize("width", [390, 1280])
def test_the_ticks_of_a_chart_do_not_cover_each_other(browser: Browser, report: str, width: int) -> None:
    browser.open(report, width=width)
    covered = browser.evaluate(
        """[...document.querySelectorAll('.plot svg')].flatMap(svg => {
          const boxes = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()])
            .filter(([, b]) => b.width > 0);
          const cover = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 6
            && b.top < a.bottom - 6;
          return boxes.flatMap(([s, a], i) => boxes.slice(i + 1).filter(([, b]) => cover(a, b)).map(([t]) => [s, t]));
        })"""
    )
    assert covered == []


def test_the_slider_moves_threshold_figures_and_dots(browser: Browser, report: str) -> None:
    browser.open(report)
    values = "['threshold', 'fmr', 'fnmr', 'accuracy'].map(n => document.getElementById('live-' + n).textContent)"
    before, dot = browser.evaluate(values), "document.querySelector('#det .live').getAttribute('cx')"
    first = browser.evaluate(dot)
    focus(browser, "#threshold-slider")
    for _ in range(30):
        browser.press("ArrowRight")
    after = browser.evaluate(values)
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert float(after[0]) > float(before[0])
    assert float(after[1].rstrip("%")) > float(before[1].rstrip("%"))
    assert float(after[2].rstrip("%")) < float(before[2].rstrip("%"))
    assert browser.evaluate(dot) != first
    assert "FMR " + after[1] in browser.evaluate("document.activeElement.getAttribute('aria-valuetext')")
    for key, fmr in (("Home", "0.00%"), ("End", "100.00%")):
        browser.press(key)
        assert browser.evaluate(values)[1] == fmr
    browser.evaluate("document.querySelector('[data-threshold]:nth-child(4)').click()")
    assert browser.evaluate(values) == before  # fmr_1e-2, the default


def test_the_keyboard_walks_over_a_chart(browser: Browser, report: str) -> None:
    browser.open(report)
    focus(browser, "#det .plot")
    assert tip(browser, "det").startswith("operating points\nFMR ")
    assert "eer, threshold" in tip(browser, "det")
    browser.press("ArrowRight")
    assert "accuracy, threshold" in tip(browser, "det")
    browser.press("ArrowDown")
    assert tip(browser, "det").startswith("this model, EER")
    browser.press("End")
    last = tip(browser, "det")
    browser.press("ArrowLeft", shift=True)
    assert tip(browser, "det") != last
    browser.press("Escape")
    assert tip(browser, "det") == ""
    browser.press("Tab")
    assert browser.complaints == []


def test_the_pointer_shows_values_and_leaves_none_behind(browser: Browser, report: str) -> None:
    browser.open(report)
    browser.hover("#distances .plot", 0.2, 0.5)
    assert "squared L2 distance" in tip(browser, "distances")
    browser.hover("h2")
    assert tip(browser, "distances") == ""


def test_the_map_shows_the_picture_and_the_identity_of_a_point(browser: Browser, report: str) -> None:
    browser.open(report)
    focus(browser, "#map .plot")
    assert tip(browser, "map").startswith("</script><img")
    assert browser.evaluate("document.querySelector('#map .tip i').style.backgroundImage").startswith('url("data:image')
    assert browser.evaluate("document.querySelectorAll('#map .same').length") == 8
    assert browser.complaints == []


def test_a_pair_is_enlarged_by_enter_and_closed_by_escape(browser: Browser, report: str) -> None:
    browser.open(report)
    focus(browser, ".pair")
    browser.press("Enter")
    assert browser.evaluate("document.querySelector('dialog[open]').querySelectorAll('img').length") == 2
    browser.press("Escape")
    assert browser.evaluate("document.querySelector('dialog[open]')") is None


def test_hostile_names_stay_text(browser: Browser, report: str) -> None:
    browser.open(report)
    assert browser.evaluate("document.title").startswith("model </script><img src=x")
    assert browser.evaluate("document.querySelectorAll('[onerror]').length") == 0
    assert browser.complaints == []


def test_the_policy_stops_a_script_that_is_not_ours(browser: Browser, report: str) -> None:
    browser.open(report.replace("</main>", "<script>document.title = 'broken'</script></main>"))
    assert browser.evaluate("document.title") != "broken"
    assert any("Content Security Policy" in complaint for complaint in browser.complaints)


def test_the_plots_are_there_without_script_and_in_print(browser: Browser, report: str) -> None:
    browser.open(report, script=False)
    count = "[...document.querySelectorAll('.plot path.line, .plot circle.dot')].filter(p => p.getBBox().width).length"
    assert browser.evaluate(count) > 20
    assert browser.evaluate("document.querySelector('.explorer').checkVisibility()") is False
    browser.open(report)
    browser.media(printed=True)
    assert browser.evaluate(count) > 20
    assert browser.evaluate("document.querySelector('.explorer').checkVisibility()") is False
    assert browser.evaluate("document.querySelector('nav').checkVisibility()") is False


@THEMES
def test_a_chart_of_its_own_is_drawn_with_its_colours(browser: Browser, charts: dict[str, str], dark: bool) -> None:
    """As MLflow shows it: an image, which takes nothing from the page around it."""
    for name, file in charts.items():
        data = base64.b64encode(file.encode()).decode()
        browser.open(f'<body style="margin: 0"><img src="data:image/svg+xml;base64,{data}">', dark=dark)
        browser.evaluate("document.images[0].decode()")
        width, height = browser.evaluate("[document.images[0].naturalWidth, document.images[0].naturalHeight]")
        picture = browser.shot().crop((0, 0, width, height))
        colours = {colour: count for count, colour in picture.getcolors(width * height)}
        background = max(colours, key=colours.__getitem__)
        assert (sum(background) < 150) if dark else background == (255, 255, 255), name
        assert any(max(colour) - min(colour) > 90 and count > 40 for colour, count in colours.items()), name
        assert browser.complaints == []


def test_charts_have_alternatives_in_words_and_tables(browser: Browser, report: str) -> None:
    browser.open(report)
    charts = browser.evaluate(
        "[...document.querySelectorAll('.chart')].map(c => [c.querySelector('[role=img]').getAttribute('aria-label'),"
        "c.querySelectorAll('details td').length])"
    )
    assert len(charts) == 12
    assert all(len(label) > 40 and any(map(str.isdigit, label)) and cells > 3 for label, cells in charts if cells)
    assert all(cells for _, cells in charts)

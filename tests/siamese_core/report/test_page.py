"""The report without a browser: what it says, what it leaves out, and that no text becomes markup."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from markdown_it import MarkdownIt
from scipy.stats import norm

from siamese_cli.show import Facts, describe
from siamese_core.calibration.expected_rates import Interval
from siamese_core.evaluation.results import ChampionResult, Comparison, Difference, PointResult
from siamese_core.report.charts import det_chart, roc_chart
from siamese_core.report.explorer import knots
from siamese_core.report.render import read_asset
from siamese_core.report.svg import Frame, Mark, deviate_axis, dots, linear_axis, log_axis, thin
from siamese_core.report.wording import few_errors, promise, share, standing, verdict
from tests.siamese_core.report_sample import HOSTILE, Sample, rate, sample

SECTIONS = ["points", "threshold", "curves", "promises", "figures", "comparison", "worst", "slices", "robustness"]
SECTIONS += ["map-of-embeddings", "training", "data", "lineage", "words"]
OPTIONAL = {"slices", "robustness", "lineage"}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return sample(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def page(full: Sample) -> str:
    return full.page(f"model {HOSTILE}", {"data": "abc123", "run": HOSTILE})


class Reader(HTMLParser):
    """Elements, their attributes, and text outside of style and script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def sections(self) -> list[str | None]:
        return [attributes.get("id") for tag, attributes in self.tags if tag == "section"]


def script_data(page: str) -> dict:
    match = re.search(r'<script type="application/json" id="report-data">(.*?)</script>', page, re.DOTALL)
    assert match
    return json.loads(match[1])


def test_every_section_is_there_and_in_the_contents(page: str) -> None:
    reader = Reader(page)
    assert reader.sections() == SECTIONS
    assert [attributes["href"] for tag, attributes in reader.tags if tag == "a"] == [f"#{name}" for name in SECTIONS]


def test_sections_without_data_do_not_appear(full: Sample) -> None:
    assert Reader(full.bare().page()).sections() == [name for name in SECTIONS if name not in OPTIONAL]


def test_the_same_values_give_the_same_bytes(full: Sample, page: str) -> None:
    assert page == full.page(f"model {HOSTILE}", {"data": "abc123", "run": HOSTILE})


def test_no_text_of_the_data_becomes_markup(page: str) -> None:
    reader = Reader(page)
    assert {tag for tag, attributes in reader.tags if "src" in attributes} == {"img"}
    pictures = [str(attributes["src"]) for _, attributes in reader.tags if "src" in attributes]
    assert all(picture.startswith("data:image/jpeg;base64,") for picture in pictures)
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert sum(tag == "script" for tag, _ in reader.tags) == 2
    assert "\u2028" not in re.search(r"<script type.*?</script>", page, re.DOTALL)[0]  # type: ignore[index]
    assert script_data(page)["charts"][-1]["id"].startswith("training")
    names = next(chart["names"] for chart in script_data(page)["charts"] if chart["id"] == "map")
    assert names[0] == f"{HOSTILE}/0000"


def test_nothing_is_named_that_a_browser_could_load(page: str) -> None:
    assert "http" not in page.replace("http-equiv", "")
    assert "url(" not in page.replace("url(#", "").replace('url("${chart.sheet}")', "")
    policy = next(attributes["content"] for tag, attributes in Reader(page).tags if attributes.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "unsafe" not in str(policy)
    assert not any("@import" in read_asset(name) for name in ("report.css", "charts.css"))


def test_a_big_evaluation_stays_below_5_mb(tmp_path: Path) -> None:
    page = sample(tmp_path, identities=130, size=224).page()
    assert len(page.encode()) < 5e6
    assert sum(tile >= 0 for tile in script_data(page)["charts"][-5]["tiles"]) == 500


def test_refusals_events_quarantine_and_lineage_are_told(page: str) -> None:
    text = Reader(page).text
    for words in (f"needs more {HOSTILE}", f"narrow {HOSTILE}", f"not an image {HOSTILE}", "too few pairs", "abc123"):
        assert words in text, words
    assert "… and 101 more" in text


def test_the_whole_configuration_is_there_where_it_is_known(full: Sample, page: str) -> None:
    assert "Full configuration" not in page
    complete = full.page("letters", {"run": "abc123"}, f"training:\n  steps: 120 {HOSTILE}\n")
    assert f"training:\n  steps: 120 {HOSTILE}\n" in Reader(complete).text
    assert HOSTILE not in complete


def test_a_caution_about_intervals_is_told_where_there_is_one(full: Sample, page: str) -> None:
    assert ">caution<" not in page
    warned = replace(full, calibration=replace(full.calibration, caution="Few have most."))
    assert "Few have most.</p>" in warned.page("letters", {})


def test_few_errors_are_told_and_many_are_not() -> None:
    assert few_errors(rate(0, 50)) == "no errors: the upper end is 3/n (rule of 3)"
    assert few_errors(rate(1, 50)) == "only 1 error: the interval is wide (rule of 30)"
    assert few_errors(rate(29, 50)) == "only 29 errors: the interval is wide (rule of 30)"
    assert few_errors(rate(30, 50)) == ""


@pytest.mark.parametrize(
    ("errors", "target", "expected"),
    [(100, 0.01, ("good", "in interval")), (300, 0.01, ("bad", "above target")), (30, 0.01, ("warn", "below target"))],
)
def test_a_target_stands_in_above_or_below_the_interval(errors: int, target: float, expected: tuple[str, str]) -> None:
    point = PointResult(0.5, target, rate(errors, 10_000), rate(5, 100), 0.9)
    assert standing(point) == expected


def test_no_target_no_badge(full: Sample) -> None:
    assert standing(full.evaluation.model.points["eer"]) == ("", "")


@pytest.mark.parametrize("errors", [10, 400, 520, 3000])
@pytest.mark.parametrize("expected", [Interval(0.0, 0.05), Interval(0.2, 0.3)])
def test_a_rate_has_one_verdict(full: Sample, errors: int, expected: Interval) -> None:
    """An FMR above its target may lie where calibration expected it: red and green on one figure say nothing."""
    points = {name: replace(p, fmr=rate(errors, 50_000)) for name, p in full.evaluation.model.points.items()}
    stated = {
        name: replace(p, expected_fmr=expected, expected_fnmr=expected) for name, p in full.calibration.points.items()
    }
    evaluation = replace(full.evaluation, model=replace(full.evaluation.model, points=points))
    page = replace(full, evaluation=evaluation, calibration=replace(full.calibration, points=stated)).page()
    tile = re.findall(r'<span>FMR</span>.*?badge (\w+)">([^<]*)', page, re.DOTALL)[0]
    table = page[page.index('<section id="points">') :].split("</section>")[0]
    rows = [row for row in table.split("<tr>") if 'data-label="FMR on test"' in row]
    assert len(rows) == len(points)
    for name, row in zip(points, rows, strict=True):
        fmr, fnmr = row.split("</tr>")[0].split('data-label="FNMR on test"')
        point = points[name]
        badges = re.findall(r'badge (\w+)">([^<]*)', fmr)
        assert badges == [standing(point) if point.target_fmr else promise(expected, point.fmr)]
        assert len(re.findall("badge", fnmr)) == 1
        if name == full.evaluation.default:
            assert badges == [tile]


def test_shares_have_two_digits_however_small() -> None:
    texts = {0: "0.00%", 0.1234: "12.34%", 0.0123: "1.23%", 0.00123: "0.12%", 0.000123: "0.012%", 1.2e-6: "0.00012%"}
    assert {value: share(value) for value in texts} == texts


def test_the_verdict_names_the_target_where_there_is_one(full: Sample) -> None:
    assert "consistent with its target of 1%," in verdict(full.evaluation, full.calibration)
    assert "target" not in verdict(replace(full.evaluation, default="eer"), full.calibration)


@pytest.mark.parametrize("default", [None, "eer"])
def test_a_refused_default_is_told_first_wherever_the_result_is(full: Sample, default: str | None) -> None:
    calibration = replace(
        full.calibration, default=default, configured="fmr_1e-4", refused={"fmr_1e-4": "It needs 448 identities."}
    )
    refused = replace(full, calibration=calibration, evaluation=replace(full.evaluation, default=default))
    words = calibration.default_in_words
    assert verdict(refused.evaluation, calibration).startswith(f"{words} At ")
    assert Reader(refused.page()).text.count(words) == 2  # the verdict and a notice beside the operating points
    assert "## What it is\n" in refused.card()
    assert refused.card().replace("\\", "").count(words) == 2
    shown = describe(Facts("letters", calibration, refused.evaluation, {}))
    assert f"  {words}\n" in shown
    assert ("at eer, the default\n" in shown) == (default == "eer")
    assert "None" not in Reader(refused.page()).text + refused.card() + shown


def test_the_champion_is_compared_in_words_and_at_each_shared_point(full: Sample) -> None:
    model, points = full.evaluation.model, {"fmr_1e-7": full.evaluation.model.points["eer"]}

    def section(comparison: Comparison | None) -> str:
        champion = ChampionResult("3", "eer", comparison, points | {"eer": model.points["eer"]})
        page = replace(full, evaluation=replace(full.evaluation, champion=champion)).page()
        return page[page.index('<section id="champion">') :].split("</section>")[0]

    better, worse = Difference(0.02, 0.03, -0.015, -0.005), Difference(0.04, 0.03, 0.005, 0.015)
    mixed = section(Comparison(better, 0.01, Difference(0.03, 0.03, -0.1, 0.1), worse, 0.95))
    badges = re.findall(r'<strong class="badge (\w+)">([^<]*)</strong>', mixed)
    assert badges == [("good", "measurably better"), ("warn", "equal"), ("bad", "measurably worse")]
    for words in ("FNMR at FMR 0.01", "FMR at the default operating point", "-1.50% to -0.50%", "4.00%"):
        assert words in mixed
    assert mixed.count("<tr>") == 2 + 4
    assert section(Comparison(better, None, None, None, 0.95)).count("<tr>") == 2 + 2
    assert "not comparable" in section(None)


def test_the_moving_threshold_is_exact_where_the_evaluation_is(full: Sample) -> None:
    evaluation = full.evaluation
    rows = np.array(list(knots(evaluation)))
    assert (np.diff(rows[:, 0]) >= 0).all()
    assert (np.diff(rows[:, 1]) >= 0).all()
    assert (np.diff(rows[:, 2]) <= 0).all()
    assert rows[0, 1:].tolist() == [0.0, 1.0]
    assert rows[-1, 1:] == pytest.approx([1, 0], abs=1e-9)
    for point in evaluation.model.points.values():
        row = rows[np.flatnonzero(rows[:, 0] == point.threshold)[0]]
        assert row[1:] == pytest.approx([point.fmr.value, point.fnmr.value], abs=1e-12)


def test_axes_place_values_as_their_scales_say() -> None:
    deviates = deviate_axis("FMR", 0.001, 0.5)
    start, end = norm.ppf(0.001), norm.ppf(0.5)
    for value in (0.001, 0.02, 0.3, 0.5):
        assert deviates.place(value) == pytest.approx((norm.ppf(value) - start) / (end - start))
    assert deviates.place(0) == 0
    assert log_axis("FMR", 1e-4, 1).place(1e-2) == pytest.approx(0.5)
    assert log_axis("FMR", 1e-4, 1).ticks == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1, 1])
    assert linear_axis("x", 0, 1).ticks == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert linear_axis("x", 0, 7).ticks == [0, 2, 4, 6]
    assert linear_axis("x", 3, 3).place(3) == 0  # one step of training
    frame = Frame(linear_axis("x", 0, 1), linear_axis("y", 0, 1))
    assert frame.at(0, 0) == (frame.left, frame.height - frame.bottom)
    assert frame.at(1, 1) == (frame.width - frame.right, frame.top)


def test_thinning_keeps_the_ends_and_the_order() -> None:
    assert thin([3, 1, 2], 5) == [3, 1, 2]
    assert thin(range(1000), 11) == [round(index * 99.9) for index in range(11)]


def test_charts_mark_every_operating_point_where_it_was_measured(full: Sample) -> None:
    points = full.evaluation.model.points
    for chart, height in ((det_chart(full.evaluation), lambda r: r), (roc_chart(full.evaluation), lambda r: 1 - r)):
        dots_layer = chart.layers[-1]
        assert [mark[:2] for mark in dots_layer.marks] == [(p.fmr.value, height(p.fnmr.value)) for p in points.values()]
        assert all(name in mark.note for name, mark in zip(points, dots_layer.marks, strict=True))


def test_labels_do_not_cover_each_other(full: Sample) -> None:
    frame = Frame(linear_axis("x", 0, 1), linear_axis("y", 0, 1))
    marks = [Mark(0.5 + 0.001 * index, 0.5) for index in range(9)]
    labels = re.findall(r'x="([\d.-]+)" y="([\d.-]+)">(\w+)', dots(frame, "", "model", marks, ["point"] * 9).svg)
    places = [(float(x), float(y)) for x, y, _ in labels]
    assert 1 <= len(places) <= 4
    assert all(abs(a[0] - b[0]) > 30 or abs(a[1] - b[1]) > 12 for a in places for b in places if a is not b)


def test_a_perfect_system_and_one_of_few_pairs_have_a_report_too(full: Sample) -> None:
    perfect = PointResult(0.5, 0.01, rate(0, 4), rate(0, 3), 1.0)
    model = replace(
        full.evaluation.model,
        eer=0.0,
        points={"accuracy": replace(perfect, target_fmr=None), "fmr_1e-2": perfect},
        curves=replace(
            full.evaluation.model.curves,
            fmr=[0.0, 1.0],
            fnmr=[0.0, 0.0],
            fnmr_low=[0.0, 0.0],
            fnmr_high=[0.6, 0.0],
            thresholds=[0.5, 5.0],
        ),
    )
    small = replace(full.evaluation, model=model, impostor_pairs=4, genuine_pairs=3)
    text = Reader(replace(full, evaluation=small).page()).text
    assert "no errors: the upper end is 3/n (rule of 3)" in text


def test_charts_are_files_of_their_own_too(full: Sample, page: str) -> None:
    files = full.charts()
    assert files == full.charts()
    assert list(files) == [chart["id"] for chart in script_data(page)["charts"]]
    for name, file in files.items():
        root = ElementTree.fromstring(file)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        tags = {element.tag.split("}")[1] for element in root.iter()}
        assert {"title", "style"} <= tags
        assert not tags & {"script", "image", "a", "use", "foreignObject"}
        assert file.replace('xmlns="http://', "").count("//") == 0
        chart = page[page.index(f'id="{name}"') :].split("</figure>")[0]
        drawing = re.search(r'aria-hidden="true">(.*)<circle class="cursor"', chart)
        assert drawing
        assert drawing[1] in file
        legend = re.findall(r"<li class=[^>]*>([^<]*)</li>", chart.split('<div class="plot"')[0])
        words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
        assert words[: 1 + len(legend)] == [re.search(r"<figcaption>([^<]*)<", chart)[1], *legend]  # type: ignore[index]


def test_no_text_of_the_data_becomes_markup_in_the_card(full: Sample) -> None:
    gap = replace(full.evaluation.slices[0], column=f"**{HOSTILE}**", gap="[click](javascript:alert)")
    risky = replace(full, evaluation=replace(full.evaluation, slices=[gap]))
    card = risky.card(f"model *one*\n# {HOSTILE}", {"run": f"``{HOSTILE}", "data_sha256": "abc123"})
    tokens = MarkdownIt("commonmark").enable("table").parse(card)
    leaves = [leaf for token in tokens for leaf in token.children or [token]]
    types = {leaf.type for leaf in leaves}
    assert not types & {"html_block", "html_inline", "image", "link_open", "em_open", "strong_open"}
    headings = [tokens[place + 1] for place, token in enumerate(tokens) if token.type == "heading_open"]
    titles = ["".join(leaf.content for leaf in heading.children or []) for heading in headings]
    words = " ".join(HOSTILE.split())
    assert titles[0] == f"model *one* # {words}"
    assert titles[1:3] == ["What it is", "Operating points"]
    text = "".join(leaf.content for leaf in leaves)
    assert " ".join(f"- **{HOSTILE}** {HOSTILE}: [click](javascript:alert)".split())[2:] in text
    assert {f"``{words}", "abc123"} <= {leaf.content for leaf in leaves if leaf.type == "code_inline"}
    assert f"fmr_1e-5 was refused: needs more {words}" in text

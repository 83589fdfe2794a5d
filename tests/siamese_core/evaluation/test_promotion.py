"""The gate: what it lets pass, and what its reason says."""

from dataclasses import replace
from typing import Any

import pytest

from siamese_core.config import PromotionConfig
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.promotion import Decision, decide
from siamese_core.evaluation.results import ChampionResult, Comparison, Difference
from tests.siamese_core.report_sample import rate, sample

EQUAL = Difference(0.02, 0.02, 0.0, 0.0)
WORSE, BETTER = Difference(0.03, 0.02, 0.005, 0.015), Difference(0.02, 0.03, -0.015, -0.005)
NOT_WORSE = Difference(0.021, 0.02, -0.001, 0.003)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """A good first model with the default fmr_1e-2."""
    return sample(tmp_path_factory.mktemp("store")).evaluation


def beside(
    challenger: Evaluation, default: str = "fmr_1e-2", eer: Difference = EQUAL, fnmr: Difference = EQUAL, **more: Any
) -> Evaluation:
    """The challenger beside a champion with the same points."""
    comparison = Comparison(eer, 0.01, fnmr, more.get("fmr", EQUAL), 0.95)
    return replace(challenger, champion=ChampionResult("3", default, comparison, challenger.model.points))


def with_fmr(evaluation: Evaluation, errors: int) -> Evaluation:
    """With another FMR at the default, out of 10,000 pairs."""
    point = replace(evaluation.model.points["fmr_1e-2"], fmr=rate(errors, 10_000))
    return replace(evaluation, model=replace(evaluation.model, points=evaluation.model.points | {"fmr_1e-2": point}))


def decision(evaluation: Evaluation, **config: Any) -> Decision:
    return decide(evaluation, PromotionConfig(**config), "people")


def test_a_good_first_model_is_promoted_with_its_figures(first: Evaluation) -> None:
    point = first.model.points["fmr_1e-2"]
    assert decision(first) == Decision(
        True,
        f"because it is the first model of this name: EER {first.model.eer:.2%}, raw pixels {first.pixels.eer:.2%}; "
        f"FMR {point.fmr} and FNMR {point.fnmr} at fmr_1e-2",
    )


@pytest.mark.parametrize("champion", [False, True])
def test_bounds_hold_for_every_model(first: Evaluation, champion: bool) -> None:
    model = beside(first, eer=BETTER) if champion else first
    eer, fnmr = first.model.eer, first.model.points["fmr_1e-2"].fnmr.value
    assert decision(model, max_eer=eer, max_fnmr=fnmr, must_beat=("raw_pixels", "pca")).promote
    for config, words in (
        ({"max_eer": eer * 0.99}, f"EER {eer:.2%} is above promotion.max_eer, "),
        ({"max_fnmr": fnmr * 0.99}, " at fmr_1e-2 is above promotion.max_fnmr, "),
    ):
        refused = decision(model, **config)
        assert not refused.promote
        assert words in refused.reason
    for baseline, field in (("raw_pixels", "pixels"), ("pca", "pca")):
        weak = replace(model, **{field: replace(getattr(model, field), eer=eer)})
        refused = decision(weak, must_beat=(baseline,))
        assert not refused.promote
        assert f"EER {eer:.2%} does not beat that of {baseline}, {eer:.2%} (promotion.must_beat)" in refused.reason
        assert decision(weak, must_beat=()).promote


def test_a_first_model_must_beat_raw_pixels_unless_told_otherwise(first: Evaluation) -> None:
    weak = replace(first, model=replace(first.model, eer=0.32), pixels=replace(first.pixels, eer=0.187))
    assert decision(weak) == Decision(
        False, "because EER 32.00% does not beat that of raw_pixels, 18.70% (promotion.must_beat)"
    )


def test_an_error_of_nothing_cannot_be_beaten(first: Evaluation) -> None:
    perfect = replace(first, model=replace(first.model, eer=0.0), pixels=replace(first.pixels, eer=0.0))
    assert decision(perfect).promote


@pytest.mark.parametrize("champion", [False, True])
@pytest.mark.parametrize(("errors", "promote"), [(300, False), (115, True), (100, True), (30, True)])
def test_a_default_measurably_above_its_target_is_never_promoted(
    first: Evaluation, champion: bool, errors: int, promote: bool
) -> None:
    model = with_fmr(beside(first, eer=BETTER) if champion else first, errors)
    answer = decision(model, max_fmr_increase=1.0)
    assert answer.promote == promote
    above = (
        f"its default fmr_1e-2 has FMR {rate(errors, 10_000)} on test identities, measurably above its target of 0.01"
    )
    assert (above in answer.reason) == (not promote)


@pytest.mark.parametrize("champion", [False, True])
def test_a_model_without_a_default_is_never_promoted(first: Evaluation, champion: bool) -> None:
    model = replace(beside(first, eer=BETTER) if champion else first, default=None)
    answer = decision(model)
    assert not answer.promote
    assert answer.reason.startswith("because it has no default operating point, and callers who name none would get no")


DEFAULTS = ["fmr_1e-3", "fmr_1e-2", "fmr_1e-1", "eer", "accuracy"]  # the last two promise nothing


@pytest.mark.parametrize("default", DEFAULTS)
@pytest.mark.parametrize("champion", DEFAULTS)
def test_a_looser_default_than_the_champions_is_never_promoted(first: Evaluation, default: str, champion: str) -> None:
    model = replace(beside(first, champion, eer=BETTER), default=default)
    answer = decision(model, max_fmr_increase=1.0, max_fnmr_increase=1.0)
    looseness = {"accuracy": 3} | {name: place for place, name in enumerate(DEFAULTS[:4])}
    assert answer.promote == (looseness[default] <= looseness[champion]), answer.reason
    if not answer.promote:
        assert f"its default {default} has " in answer.reason
        assert f"that of version 3, {champion}, keeps " in answer.reason


@pytest.mark.parametrize(
    ("eer", "slack", "promote", "word"),
    [
        (BETTER, 0.0, True, "measurably better: EER"),
        (Difference(0.02, 0.021, -0.003, 0.001), 0.0, True, "better, within the noise: EER"),
        (EQUAL, 0.0, True, "equal: EER"),
        (WORSE, 0.0, False, "measurably worse: EER"),
        (NOT_WORSE, 0.0, False, "worse, within the noise: EER"),
        (NOT_WORSE, 0.005, True, "worse within promotion.max_eer_increase: EER"),
    ],
)
def test_the_eer_may_be_worse_by_the_margin(
    first: Evaluation, eer: Difference, slack: float, promote: bool, word: str
) -> None:
    answer = decision(beside(first, eer=eer), max_eer_increase=slack)
    assert answer.promote == promote
    assert answer.reason.startswith(f"because it is {word}")
    assert f"{eer.challenger:.2%} against the champion's {eer.champion:.2%}" in answer.reason


def test_each_figure_that_is_measurably_worse_stands_in_the_way_by_name(first: Evaluation) -> None:
    for figure, words in (
        ("fnmr", f"measurably worse: FNMR at FMR 0.01 {WORSE}; promotion.max_fnmr_increase is 0"),
        ("fmr", f"measurably worse: FMR at the default operating point {WORSE}; promotion.max_fmr_increase is 0"),
    ):
        answer = decision(beside(first, eer=BETTER, **{figure: WORSE}))
        assert answer == Decision(False, f"because it is {words}")
        assert decision(beside(first, eer=BETTER, **{figure: NOT_WORSE})).promote
        assert decision(beside(first, eer=BETTER, **{figure: WORSE}), **{f"max_{figure}_increase": 0.005}).promote
    both = decision(beside(first, eer=WORSE, fnmr=WORSE, fmr=WORSE))
    assert both.reason.count("it is measurably worse: ") == 3


def test_a_tighter_default_is_judged_by_the_same_figures(first: Evaluation) -> None:
    tighter = replace(beside(first, "fmr_1e-1", eer=BETTER, fmr=BETTER), default="fmr_1e-2")
    assert decision(tighter).promote
    assert "FMR at the default operating point" in decision(tighter).reason


def test_one_that_cannot_be_compared_is_not_promoted(first: Evaluation) -> None:
    answer = decision(replace(first, champion=ChampionResult("3", "fmr_1e-2", None, {})))
    assert not answer.promote
    assert "version 3 reads its images in another way" in answer.reason
    assert "`siamese promote people VERSION` decides by hand" in answer.reason

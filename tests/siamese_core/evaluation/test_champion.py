"""Challenger and champion on the same pairs, and where the result is shown."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from siamese_core.artifact import read_json, write_json
from siamese_core.calibration.operating_points import Calibration
from siamese_core.config import EvaluationConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.pair_lists import PairList, rows_of
from siamese_core.evaluation.champion import Champion
from siamese_core.evaluation.comparison import Contender, compare, compare_with_champion
from siamese_core.evaluation.evaluate import Evaluation, evaluate_verifier
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.protocols import PairsResult, measure_pairs
from siamese_core.evaluation.results import ChampionResult, Comparison, Slice
from siamese_core.metrics.pairs import PairDistances
from siamese_core.network.embedding import RowEmbedder, embed
from siamese_core.report.model_card import model_card
from siamese_core.report.origin import Origin
from siamese_core.report.page import report_page
from siamese_core.report.wording import verdict
from siamese_core.verifier import Verifier
from tests.siamese_core.evaluation.untrained import CONFIG, SEED, untrained


@dataclass(frozen=True)
class Measured:
    """A challenger, measured on all there is beside a champion."""

    data: Dataset
    challenger: Verifier
    champion: Champion
    evaluation: Evaluation

    @property
    def result(self) -> ChampionResult:
        assert self.evaluation.champion
        return self.evaluation.champion

    def page(self, evaluation: Evaluation | None = None) -> str:
        trained, calibration = self.challenger.trained, self.challenger.calibration
        return report_page(evaluation or self.evaluation, calibration, trained, self.data, Origin("letters"))

    def card(self, evaluation: Evaluation | None = None, calibration: Calibration | None = None) -> str:
        return model_card(
            evaluation or self.evaluation,
            calibration or self.challenger.calibration,
            self.challenger.trained,
            self.data,
            Origin("letters", {"data": "abc123"}),
        )


def distances_by(verifier: Verifier, test: HeldOut) -> PairDistances:
    return test.distances(lambda rows: embed(verifier.trained.build(), test.images.pixels, rows))


def contender(verifier: Verifier, test: HeldOut) -> Contender:
    return Contender(distances_by(verifier, test), verifier.calibration.default_threshold)


@pytest.fixture(scope="module")
def pair_list(dataset: Dataset) -> PairList:
    """The first two images of each test identity, and the first ones of neighbours, in two folds."""
    images = dataset.manifest.ok.iloc[dataset.part("test").rows]
    first = images.groupby("identity").head(2)["path"].tolist()
    genuine = [(i, i + 1) for i in range(0, len(first), 2)]
    impostor = [(i, (i + 2) % len(first)) for i in range(0, len(first), 2)]
    count = len(genuine)
    folds = np.tile(np.arange(count) % 2, 2).astype(np.int32)
    return PairList(first, np.array(genuine + impostor, np.int32), np.repeat([True, False], count), folds, 1)


@pytest.fixture(scope="module")
def measured(dataset: Dataset, pair_list: PairList) -> Measured:
    challenger, champion = untrained(dataset), Champion(untrained(dataset, seed=1), "7")
    protocols = EvaluationConfig(one_shot=5, robustness=False)
    evaluation = evaluate_verifier(challenger, dataset, CONFIG, protocols, SEED, pair_list, champion)
    return Measured(dataset, challenger, champion, evaluation)


def test_the_champion_is_measured_at_its_own_thresholds_on_the_test_pairs(measured: Measured) -> None:
    result, champion = measured.result, measured.champion.verifier
    assert result.version == "7"
    test = HeldOut.of(measured.data, "test", CONFIG, SEED)
    theirs = distances_by(champion, test)
    present = Contender(theirs, champion.calibration.default_threshold)
    assert result.comparison == compare(contender(measured.challenger, test), present, CONFIG.confidence, SEED)
    assert result.default == champion.calibration.default == "fmr_1e-1"
    for name, point in champion.calibration.points.items():
        assert result.points[name].threshold == point.threshold
        assert result.points[name].fmr.errors == (theirs.impostor < point.threshold).sum()
        assert result.points[name].fnmr.errors == (theirs.genuine >= point.threshold).sum()
        assert result.points[name].fmr.low <= result.points[name].fmr.value <= result.points[name].fmr.high
    assert result.comparison
    assert result.comparison.eer.challenger == measured.evaluation.model.eer
    assert result.comparison.fmr
    assert result.comparison.fmr.challenger == pytest.approx(measured.evaluation.model.points["fmr_1e-1"].fmr.value)
    assert result.comparison.fmr.champion == pytest.approx(result.points["fmr_1e-1"].fmr.value)


def test_a_model_beside_itself_differs_by_nothing(dataset: Dataset) -> None:
    same, test = untrained(dataset), HeldOut.of(dataset, "test", CONFIG, SEED)
    result = compare_with_champion(contender(same, test), Champion(same, "1"), dataset, test)
    assert result.comparison
    assert {figure.standing for figure in result.comparison.figures.values()} == {"equal"}
    assert len(result.comparison.figures) == 3


def test_a_champion_that_reads_images_in_another_way_is_not_compared(measured: Measured) -> None:
    data, challenger = measured.data, measured.challenger
    trained = replace(challenger.trained, images=replace(data.config, invert=False))
    other = Champion(Verifier(trained, challenger.calibration), "4")
    assert not other.reads(data.config)
    assert measured.champion.reads(data.config)
    test = HeldOut.of(data, "test", CONFIG, SEED)
    result = compare_with_champion(contender(challenger, test), other, data, test)
    assert (result.comparison, result.points) == (None, {})
    page = measured.page(replace(measured.evaluation, champion=result))
    section = page[page.index('<section id="champion">') :].split("</section>")[0]
    assert "Version 4 reads its images in another way" in section
    assert "<table" not in section


def test_everything_comes_back_from_the_file(measured: Measured, tmp_path: Path) -> None:
    measured.evaluation.save(tmp_path)
    loaded = Evaluation.load(tmp_path)
    assert loaded == measured.evaluation
    assert loaded.pairs
    assert loaded.pairs.k_fold
    assert list(loaded.pairs.k_fold.folds) == [0, 1]


def test_an_evaluation_of_the_first_release_is_read(measured: Measured, tmp_path: Path) -> None:
    """It compared the EERs alone."""
    measured.evaluation.save(tmp_path)
    values = read_json(tmp_path / "evaluation.json")
    eer = values["champion"]["comparison"].pop("eer")
    was = {"challenger_eer": eer["challenger"], "champion_eer": eer["champion"], "low": eer["low"], "high": eer["high"]}
    values["champion"] = {"version": "7", "comparison": was | {"confidence": 0.95}, "points": {}}
    write_json(tmp_path / "evaluation.json", values | {"format": 1})
    champion = Evaluation.load(tmp_path).champion
    assert champion
    assert champion.comparison == Comparison(measured.result.comparison.eer, None, None, None, 0.95)  # type: ignore[union-attr]
    values["champion"]["comparison"] = None
    write_json(tmp_path / "evaluation.json", values | {"format": 1})
    assert Evaluation.load(tmp_path).champion == ChampionResult("7", None, None, {})


def test_the_trackers_metrics_have_the_protocols(measured: Measured, pair_list: PairList) -> None:
    data, challenger, evaluation = measured.data, measured.challenger, measured.evaluation
    metrics = evaluation.metrics()
    pairs, shot = evaluation.pairs, evaluation.one_shot
    assert pairs
    assert shot
    assert pairs.k_fold
    assert metrics["pairs_accuracy"] == pairs.k_fold.accuracy
    assert metrics["one_shot_error"] == shot.error
    every = embed(challenger.trained.build(), data.store.images).astype(float)
    every = every[rows_of(data.manifest, pair_list.images)]
    a, b = pair_list.pairs.T
    wrong = (((every[a] - every[b]) ** 2).sum(1) < challenger.calibration.points["eer"].threshold) != pair_list.same
    assert metrics["pairs_accuracy_at_eer"] == pytest.approx(1 - wrong.mean())
    without = replace(evaluation, pairs=None, one_shot=None).metrics()
    assert not [name for name in without if name.startswith(("pairs_", "one_shot"))]


def test_the_report_shows_what_was_measured_and_nothing_else(measured: Measured) -> None:
    evaluation = measured.evaluation
    pairs, shot, champion = evaluation.pairs, evaluation.one_shot, evaluation.champion
    assert pairs
    assert shot
    assert champion
    page = measured.page()
    for part in (
        f">{pairs.points['eer'].fnmr}</td>",
        f"ccuracy {pairs.accuracy:.2%} over 2 folds on",
        "1 repeated row is counted once",
        f"5-way one-shot error {shot.error:.2%}, {shot.queries:,} queries.",
        f">{champion.points['eer'].fmr}</td>",
        "Compared with version 7: EER",
    ):
        assert part in page, part
    plain = measured.page(replace(evaluation, pairs=None, one_shot=None, champion=None))
    sections = ("listed-pairs", "one-shot", "champion")
    assert [name for name in sections if f'<section id="{name}">' in page] == list(sections)
    assert not any(f'<section id="{name}">' in plain for name in sections)


def test_the_card_says_what_is_to_be_known(measured: Measured) -> None:
    manifest, split, evaluation = measured.data.manifest, measured.data.split, measured.evaluation
    refused = {"fmr_1e-5": "needs more identities"}
    calibration = replace(measured.challenger.calibration, refused=refused, caution="Few have most.")
    card = measured.card(calibration=calibration)
    assert card.startswith(f"# letters\n\n{verdict(evaluation, calibration)}\n\n## What it is\n")
    assert evaluation.champion
    assert evaluation.champion.comparison
    point = evaluation.champion.points[evaluation.default]
    for part in (
        *(f"\n| {name} | {point.threshold:.4f} |" for name, point in evaluation.model.points.items()),
        f"\n| version 7 | {evaluation.champion.comparison.eer.champion:.2%} | {point.fmr} | {point.fnmr} |\n",
        f"\n| raw pixels | {evaluation.pixels.eer:.2%} |",
        f"\n- {evaluation.pairs}\n- {evaluation.one_shot}\n",
        "\n- fmr_1e-5 was refused: needs more identities\n- Few have most.\n",
        f"\n{len(manifest.ok):,} images, in the median ",
        f"{len(split.identities('test'))} test ({evaluation.images:,} images).",
        "\n- data: `abc123`\n",
        "120 steps; the weights are those of step 60.",
    ):
        assert part in card, part
    assert len(card) < 4500  # a registry's description, with room for the gate's decision


def test_the_card_names_groups_that_are_served_worse(measured: Measured) -> None:
    gaps = [Slice("camera", f"c{i}", f"c{i % 2}", "metadata", 9, None, None, "FNMR twice as high") for i in range(7)]
    quiet = Slice("camera", "calm", "calm", "metadata", 9, None, None, "")
    card = measured.card(replace(measured.evaluation, slices=[quiet, *gaps]))
    assert "\n- camera c0: FNMR twice as high\n" in card
    assert "\n- camera c4 with c0: FNMR twice as high\n- 2 more groups are in the report\n" in card
    assert "calm" not in card


def test_a_card_of_an_evaluation_without_the_rest_has_no_empty_parts(measured: Measured) -> None:
    card = measured.card(replace(measured.evaluation, pairs=None, one_shot=None, champion=None))
    assert "None" not in card
    assert "Also measured" not in card
    assert not re.search(r"## [^\n]*\n+(## |$)", card)


def test_pairs_without_folds_count_at_the_calibrated_threshold(measured: Measured, pair_list: PairList) -> None:
    verifier, data = measured.challenger, measured.data
    embedder, plain = RowEmbedder(verifier.encoder, data.store.images), replace(pair_list, folds=None)
    result = measure_pairs(embedder, plain, data.manifest, verifier.calibration, CONFIG, SEED)
    assert isinstance(result, PairsResult)
    assert result.accuracy == result.points["accuracy"].accuracy
    assert "at the calibrated threshold" in str(result)

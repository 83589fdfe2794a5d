"""Challenger and champion on the same pairs, and where the result is shown."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siamese_core.calibration.operating_points import Calibration, calibrate
from siamese_core.config import CalibrationConfig, EncoderConfig, SplitConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.pair_lists import PairList, rows_of
from siamese_core.data.split import Split, make_split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.champion import compare_with_champion
from siamese_core.evaluation.evaluate import Evaluation, evaluate
from siamese_core.evaluation.gate import compare
from siamese_core.evaluation.held_out import part_pairs
from siamese_core.evaluation.one_shot_tasks import measure_one_shot
from siamese_core.evaluation.protocols import PairsResult, measure_pairs
from siamese_core.evaluation.results import Slice
from siamese_core.metrics.pairs import pair_distances
from siamese_core.network.embedding import RowEmbedder, embed
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.model_card import model_card
from siamese_core.report.page import report_page
from siamese_core.report.protocol_sections import protocol_sections
from siamese_core.report.wording import verdict
from siamese_core.verifier import Verifier

CONFIG = CalibrationConfig(bootstrap=50)
SEED = 3
Data = tuple[Manifest, ImageStore, Split]


@pytest.fixture(scope="module")
def data(ingested: tuple[Manifest, ImageStore]) -> Data:
    manifest, store = ingested
    return manifest, store, make_split(manifest, SplitConfig(salt="a"))


def verifier(data: Data, seed: int) -> Verifier:
    """An encoder that nobody trained, with thresholds of its own."""
    manifest, store, split = data
    config = EncoderConfig(width=4, embedding_dim=8)
    encoder = make_encoder(config, 1, seed)
    rows, pairs = part_pairs(manifest, split, "calibration", CONFIG, SEED)
    fitted = calibrate(pair_distances(embed(encoder, store.images, rows), pairs), CONFIG, len(rows), SEED)
    health = {"distance": 1.0, "effective_rank": 3.0, "learning_rate": 0.1}
    history = [{"step": step, "loss": 2.0, "validation_eer": 0.3} | health for step in (60, 120)]
    return Verifier(TrainedEncoder(encoder.state_dict(), config, store.config, history, 60), fitted)


@pytest.fixture(scope="module")
def pair_list(data: Data) -> PairList:
    """The first two images of each test identity, and the first ones of neighbours, in two folds."""
    manifest, _, split = data
    images = manifest.ok.iloc[split.rows(manifest, "test")]
    first = images.groupby("identity").head(2)["path"].tolist()
    genuine = [(i, i + 1) for i in range(0, len(first), 2)]
    impostor = [(i, (i + 2) % len(first)) for i in range(0, len(first), 2)]
    count = len(genuine)
    folds = np.tile(np.arange(count) % 2, 2).astype(np.int32)
    return PairList(first, np.array(genuine + impostor, np.int32), np.repeat([True, False], count), folds, 1)


@pytest.fixture(scope="module")
def measured(data: Data, pair_list: PairList) -> tuple[Evaluation, Verifier]:
    manifest, store, split = data
    challenger, champion = verifier(data, 0), verifier(data, 1)
    embedder = RowEmbedder(challenger.trained.build(), store.images)
    evaluation = evaluate(embedder, challenger.calibration, manifest, store, split, CONFIG, SEED)
    complete = replace(
        evaluation,
        pairs=measure_pairs(embedder, pair_list, manifest, challenger.calibration, CONFIG, SEED),
        one_shot=measure_one_shot(embedder, manifest, split, 5, SEED),
        champion=compare_with_champion(embedder, champion, "7", manifest, store, split, CONFIG, SEED),
    )
    return complete, challenger


def test_the_champion_is_measured_at_its_own_thresholds_on_the_test_pairs(
    data: Data, measured: tuple[Evaluation, Verifier]
) -> None:
    manifest, store, split = data
    evaluation, challenger = measured
    champion = verifier(data, 1)
    found = evaluation.champion
    assert found
    assert found.version == "7"
    rows, pairs = part_pairs(manifest, split, "test", CONFIG, SEED)
    ours, theirs = (pair_distances(embed(v.trained.build(), store.images, rows), pairs) for v in (challenger, champion))
    assert found.comparison == compare(ours, theirs, CONFIG.confidence, SEED)
    for name, point in champion.calibration.points.items():
        assert found.points[name].threshold == point.threshold
        assert found.points[name].fmr.errors == (theirs.impostor < point.threshold).sum()
        assert found.points[name].fnmr.errors == (theirs.genuine >= point.threshold).sum()
        assert found.points[name].fmr.low <= found.points[name].fmr.value <= found.points[name].fmr.high
    assert found.comparison
    assert found.comparison.challenger_eer == evaluation.model.eer


def test_a_model_beside_itself_differs_by_nothing(data: Data) -> None:
    manifest, store, split = data
    same = verifier(data, 0)
    embedder = RowEmbedder(same.trained.build(), store.images)
    found = compare_with_champion(embedder, same, "1", manifest, store, split, CONFIG, SEED)
    assert found.comparison
    assert (found.comparison.difference, found.comparison.low, found.comparison.high) == (0, 0, 0)


def test_a_champion_that_reads_images_in_another_way_is_not_compared(
    data: Data, measured: tuple[Evaluation, Verifier]
) -> None:
    manifest, store, split = data
    evaluation, challenger = measured
    trained = replace(challenger.trained, images=replace(store.config, invert=False))
    other = Verifier(trained, challenger.calibration)
    embedder = RowEmbedder(challenger.trained.build(), store.images)
    found = compare_with_champion(embedder, other, "4", manifest, store, split, CONFIG, SEED)
    assert (found.comparison, found.points) == (None, {})
    ((_, _, html),) = protocol_sections(replace(evaluation, champion=found, pairs=None, one_shot=None))
    assert "Version 4 reads its images in another way" in html
    assert "<table" not in html


def test_everything_comes_back_from_the_file(measured: tuple[Evaluation, Verifier], tmp_path: Path) -> None:
    evaluation, _ = measured
    evaluation.save(tmp_path)
    found = Evaluation.load(tmp_path)
    assert (found.pairs, found.one_shot, found.champion) == (evaluation.pairs, evaluation.one_shot, evaluation.champion)
    assert found.pairs
    assert found.pairs.k_fold
    assert list(found.pairs.k_fold.folds) == [0, 1]


def test_the_trackers_metrics_have_the_protocols(
    data: Data, measured: tuple[Evaluation, Verifier], pair_list: PairList
) -> None:
    evaluation, challenger = measured
    metrics = evaluation.metrics()
    pairs, shot = evaluation.pairs, evaluation.one_shot
    assert pairs
    assert shot
    assert pairs.k_fold
    assert metrics["pairs_accuracy"] == pairs.k_fold.accuracy
    assert metrics["one_shot_error"] == shot.error
    every = embed(challenger.trained.build(), data[1].images).astype(float)[rows_of(data[0], pair_list.images)]
    a, b = pair_list.pairs.T
    wrong = (((every[a] - every[b]) ** 2).sum(1) < challenger.calibration.points["eer"].threshold) != pair_list.same
    assert metrics["pairs_accuracy_at_eer"] == pytest.approx(1 - wrong.mean())
    without = replace(evaluation, pairs=None, one_shot=None).metrics()
    assert not [name for name in without if name.startswith(("pairs_", "one_shot"))]


def test_the_report_shows_what_was_measured_and_nothing_else(data: Data, measured: tuple[Evaluation, Verifier]) -> None:
    manifest, store, _ = data
    evaluation, challenger = measured
    pairs, shot, champion = evaluation.pairs, evaluation.one_shot, evaluation.champion
    assert pairs
    assert shot
    assert champion
    page = report_page(evaluation, challenger.calibration, challenger.trained, manifest, store, "letters")
    for part in (
        f">{pairs.points['eer'].fnmr}</td>",
        f"ccuracy {pairs.accuracy:.2%} over 2 folds on",
        "1 repeated rows are not counted again",
        f"5-way one-shot error {shot.error:.2%}, {shot.queries:,} queries.",
        f">{champion.points['eer'].fmr}</td>",
        "Compared with version 7: EER",
    ):
        assert part in page, part
    assert list(protocol_sections(replace(evaluation, pairs=None, one_shot=None, champion=None))) == []


def card_of(data: Data, evaluation: Evaluation, calibration: Calibration, trained: TrainedEncoder) -> str:
    return model_card("letters", trained, calibration, evaluation, data[0], data[2], {"data": "abc123"})


def test_the_card_says_what_is_to_be_known(data: Data, measured: tuple[Evaluation, Verifier]) -> None:
    manifest, _, split = data
    evaluation, challenger = measured
    calibration = replace(
        challenger.calibration, refused={"fmr_1e-5": "needs more identities"}, caution="Few have most."
    )
    card = card_of(data, evaluation, calibration, challenger.trained)
    assert card.startswith(f"# letters\n\n{verdict(evaluation)}\n\n## What it is\n")
    assert evaluation.champion
    assert evaluation.champion.comparison
    point = evaluation.champion.points[evaluation.default]
    for part in (
        *(f"\n| {name} | {point.threshold:.4f} |" for name, point in evaluation.model.points.items()),
        f"\n| version 7 | {evaluation.champion.comparison.champion_eer:.2%} | {point.fmr} | {point.fnmr} |\n",
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


def test_the_card_names_groups_that_are_served_worse(data: Data, measured: tuple[Evaluation, Verifier]) -> None:
    evaluation, challenger = measured
    gaps = [Slice("camera", f"c{i}", f"c{i % 2}", "metadata", 9, None, None, "FNMR twice as high") for i in range(7)]
    quiet = Slice("camera", "calm", "calm", "metadata", 9, None, None, "")
    flagged = replace(evaluation, slices=[quiet, *gaps])
    card = card_of(data, flagged, challenger.calibration, challenger.trained)
    assert "\n- camera c0: FNMR twice as high\n" in card
    assert "\n- camera c4 with c0: FNMR twice as high\n- 2 more groups are in the report\n" in card
    assert "calm" not in card


def test_a_card_of_an_evaluation_without_the_rest_has_no_empty_parts(
    data: Data, measured: tuple[Evaluation, Verifier]
) -> None:
    evaluation, challenger = measured
    bare = replace(evaluation, pairs=None, one_shot=None, champion=None, figures=None)
    card = card_of(data, bare, challenger.calibration, challenger.trained)
    assert "None" not in card
    assert "Also measured" not in card
    assert not re.search(r"## [^\n]*\n+(## |$)", card)


def test_pairs_without_folds_count_at_the_calibrated_threshold(
    data: Data, measured: tuple[Evaluation, Verifier], pair_list: PairList
) -> None:
    manifest, store, _ = data
    embedder = RowEmbedder(measured[1].trained.build(), store.images)
    plain = replace(pair_list, folds=None)
    found = measure_pairs(embedder, plain, manifest, measured[1].calibration, CONFIG, SEED)
    assert isinstance(found, PairsResult)
    assert found.accuracy == found.points["accuracy"].accuracy
    assert "at the calibrated threshold" in str(found)

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siamese_cli.show import Facts, describe
from siamese_core.artifact import hash_folder, read_json, write_json
from siamese_core.calibration.operating_points import Calibration, calibrate
from siamese_core.config import CalibrationConfig, EncoderConfig, ImageConfig, SplitConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split, make_split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.evaluate import Evaluation, evaluate
from siamese_core.evaluation.held_out import part_pairs
from siamese_core.metrics.identification import search
from siamese_core.metrics.pairs import pair_distances
from siamese_core.network.embedding import RowEmbedder, embed
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.page import report_page
from siamese_core.report.wording import verdict

CONFIG = CalibrationConfig(bootstrap=50)
Measured = tuple[Evaluation, Calibration, TrainedEncoder, Manifest, ImageStore, Split]


@pytest.fixture(scope="module")
def measured(ingested: tuple[Manifest, ImageStore]) -> Measured:
    manifest, store = ingested
    split = make_split(manifest, SplitConfig(salt="a"))
    config = EncoderConfig(width=4, embedding_dim=8)
    encoder = make_encoder(config, 1, seed=0)
    health = {"distance": 1.0, "effective_rank": 3.0}
    history = [{"step": step, "loss": 2.0 / step, "validation_eer": 0.3 / step} | health for step in (1, 2)]
    trained = TrainedEncoder(encoder.state_dict(), config, store.config, history, 2)
    rows, pairs = part_pairs(manifest, split, "calibration", CONFIG, 0)
    calibration = calibrate(pair_distances(embed(encoder, store.images, rows), pairs), CONFIG, len(rows), 0)
    evaluation = evaluate(RowEmbedder(encoder, store.images), calibration, manifest, store, split, CONFIG, 0)
    return evaluation, calibration, trained, manifest, store, split


def test_the_figures_are_a_few_lines_of_numpy(measured: Measured) -> None:
    """FMR and FNMR of every test pair, written once more from the images up."""
    evaluation, calibration, trained, manifest, store, split = measured
    images = manifest.ok
    chosen = images["identity"].isin(split.identities("test")).to_numpy()
    x = embed(trained.build(), np.asarray(store.images)[chosen]).astype(float)
    names = images["identity"][chosen].to_numpy()
    squared = ((x[:, None] - x[None]) ** 2).sum(-1)
    upper = np.triu(np.ones_like(squared, bool), 1)
    same = names[:, None] == names[None]
    for name, point in evaluation.model.points.items():
        threshold = calibration.points[name].threshold
        fmr = (squared[upper & ~same] < threshold).mean()
        fnmr = (squared[upper & same] >= threshold).mean()
        assert point.threshold == threshold
        assert point.fmr.value == pytest.approx(fmr, abs=1e-4)
        assert point.fnmr.value == pytest.approx(fnmr, abs=1e-4)
        assert point.accuracy == pytest.approx(1 - (fmr + fnmr) / 2, abs=1e-4)
    assert evaluation.genuine_pairs == (upper & same).sum()
    assert evaluation.impostor_pairs == (upper & ~same).sum()
    nearest = evaluation.worst_false_matches[0]
    assert nearest[2] == pytest.approx(squared[upper & ~same].min(), abs=1e-6)
    assert evaluation.worst_false_non_matches[0][2] == pytest.approx(squared[upper & same].max(), abs=1e-6)


def test_it_round_trips_to_the_same_bytes(measured: Measured, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    measured[0].save(tmp_path / "a")
    Evaluation.load(tmp_path / "a").save(tmp_path / "b")
    assert hash_folder(tmp_path / "a") == hash_folder(tmp_path / "b")


def test_more_figures_are_a_few_lines_of_numpy_and_stand_in_metrics_and_report(measured: Measured) -> None:
    evaluation, calibration, trained, manifest, store, split = measured
    rows, pairs = part_pairs(manifest, split, "test", CONFIG, 0)
    distances = pair_distances(embed(trained.build(), store.images, rows), pairs)
    genuine, impostor = distances.genuine, distances.impostor
    metrics, figures = evaluation.metrics(), evaluation.figures
    assert figures
    spread = np.sqrt((genuine.std() ** 2 + impostor.std() ** 2) / 2)
    assert metrics["test_d_prime"] == pytest.approx((impostor.mean() - genuine.mean()) / spread, abs=1e-3)
    bits = -np.log2(calibration.probability(genuine)).mean() - np.log2(1 - calibration.probability(impostor)).mean()
    assert metrics["test_cllr"] == pytest.approx(bits / 2, abs=1e-3)
    assert 0 <= metrics["test_min_cllr"] <= metrics["test_cllr"]
    accepted = (genuine < np.sort(impostor)[len(impostor) // 10]).mean()
    assert metrics["test_tar_at_fmr_1e-1"] == pytest.approx(accepted, abs=1e-3)
    assert figures.tar_impostor_pairs == pairs.impostor_total  # whatever the cap on the pairs of the intervals
    assert "the test part has" in figures.refused["fmr_1e-5"]
    assert 0 <= metrics["test_rank_1"] <= metrics["test_rank_5"] <= 1
    found = search(embed(trained.build(), store.images, rows), pairs.labels, 0)
    assert figures.cmc == {rank: pytest.approx((found.rank <= rank).mean()) for rank in (5, 10)}  # 12 identities
    alarm = np.sort(found.nearest_other)[len(found.nearest_other) // 10]
    right = ((found.rank == 1) & (found.mate < alarm)).mean()
    assert figures.identified == {"0.1": pytest.approx(right)}
    assert figures.searches == evaluation.images - figures.gallery
    page = report_page(evaluation, calibration, trained, manifest, store, "letters")
    assert f"<span>d′</span><b>{metrics['test_d_prime']:.3f}</b>" in page


def test_a_gap_is_counted_and_shown(measured: Measured) -> None:
    evaluation, calibration, *_ = measured
    assert {group.column for group in evaluation.slices} >= {"brightness", "contrast", "sharpness"}
    words = "FNMR 40.00%, in all pairs 10.00%"
    plain = [replace(group, gap="") for group in evaluation.slices]
    gap = replace(plain[0], column="camera", value="phone", other="tablet", gap=words)
    assert replace(evaluation, slices=[*plain, gap]).metrics()["slice_gaps"] == 1
    shown = describe(Facts("letters", calibration, replace(evaluation, slices=[*plain, gap]), {}))
    assert (
        f"1 of {len(plain) + 1} groups of pairs do measurably worse, such as camera, phone with tablet: {words}"
        in shown
    )
    assert "worse" not in describe(Facts("letters", calibration, replace(evaluation, slices=plain), {}))
    assert "slice_gaps" not in replace(evaluation, slices=[]).metrics()


def test_an_evaluation_from_before_the_figures_still_loads(measured: Measured, tmp_path: Path) -> None:
    evaluation, calibration, trained, manifest, store, _ = measured
    evaluation.save(tmp_path)
    saved = read_json(tmp_path / "evaluation.json")
    del saved["figures"]
    write_json(tmp_path / "evaluation.json", saved)
    old = Evaluation.load(tmp_path)
    assert old.figures is None
    assert "test_cllr" not in old.metrics()
    assert "Separation and search" not in report_page(old, calibration, trained, manifest, store, "letters")


def test_the_report_says_the_verdict(measured: Measured) -> None:
    evaluation, calibration, trained, manifest, store, _ = measured
    page = report_page(evaluation, calibration, trained, manifest, store, "a <model> & more")
    assert "a &lt;model&gt; &amp; more: verification report" in page
    assert f'<p class="verdict">{verdict(evaluation)}</p>' in page
    assert len(evaluation.model.curves.thresholds) == len(evaluation.model.curves.fmr)


def test_image_config_travels_with_the_weights(measured: Measured, tmp_path: Path) -> None:
    measured[2].save(tmp_path)
    assert TrainedEncoder.load(tmp_path).images == ImageConfig(size=16, color="grey", invert=True)

import re
from pathlib import Path

import numpy as np
import pytest

from siamese_core.artifact import hash_folder
from siamese_core.calibration import Calibration, calibrate
from siamese_core.config import CalibrationConfig, EncoderConfig, ImageConfig, SplitConfig
from siamese_core.embedding import embed
from siamese_core.encoders import make_encoder
from siamese_core.evaluation import Evaluation, evaluate, pixel_vectors
from siamese_core.manifest import Manifest
from siamese_core.model_card import model_card
from siamese_core.pairs import pair_distances, part_pairs
from siamese_core.report import report_page, verdict
from siamese_core.split import Split, make_split
from siamese_core.store import ImageStore
from siamese_core.trained import TrainedEncoder

CONFIG = CalibrationConfig(bootstrap=50)
Measured = tuple[Evaluation, Calibration, TrainedEncoder, Manifest, ImageStore, Split]


@pytest.fixture(scope="module")
def measured(ingested: tuple[Manifest, ImageStore]) -> Measured:
    manifest, store = ingested
    split = make_split(manifest, SplitConfig(salt="a"))
    config = EncoderConfig(width=4, embedding_dim=8)
    encoder = make_encoder(config, 1, seed=0)
    history = [{"step": 1, "loss": 2.0, "validation_eer": 0.3}, {"step": 2, "loss": 1.0, "validation_eer": 0.2}]
    trained = TrainedEncoder(encoder.state_dict(), config, store.config, history, 2)
    rows, pairs = part_pairs(manifest, split, "calibration", CONFIG, 0)
    calibration = calibrate(pair_distances(embed(encoder, store.images, rows), pairs), CONFIG, len(rows), 0)
    evaluation = evaluate(
        lambda rows: embed(encoder, store.images, rows), calibration, manifest, store, split, CONFIG, 0
    )
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


def test_the_report_is_self_contained_and_says_the_verdict(measured: Measured) -> None:
    evaluation, calibration, trained, manifest, store, _ = measured
    page = report_page(evaluation, calibration, trained, manifest, store, "a <model> & more")
    assert "a &lt;model&gt; &amp; more: verification report" in page
    text = re.sub(r"base64,[^\"]*", "", page).replace("http://www.w3.org", "")  # SVG's vocabulary, never fetched
    assert "//" not in text
    assert "<script" not in page
    assert "<link" not in page
    assert page == report_page(evaluation, calibration, trained, manifest, store, "a <model> & more")


def test_the_card_has_verdict_points_refusals_and_lineage(measured: Measured) -> None:
    evaluation, calibration, trained, *_ = measured
    card = model_card("letters", trained, calibration, evaluation, {"data": "abc123"})
    assert verdict(evaluation) in card
    assert all(f"| {name} |" in card for name in evaluation.model.points)
    assert all(why in card for why in calibration.refused.values())
    assert "- data: `abc123`" in card


def test_pixel_vectors_ignore_light_and_are_bounded() -> None:
    images = np.random.default_rng(0).integers(0, 100, (5, 70, 70, 3), dtype=np.uint8)
    vectors = pixel_vectors(np.concatenate([images, images + 100]), np.arange(10))
    assert vectors.shape == (10, 35 * 35)
    np.testing.assert_allclose(vectors[:5], vectors[5:], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (pixel_vectors(np.full((1, 16, 16, 1), 7, np.uint8), np.arange(1)) == 0).all()


def test_image_config_travels_with_the_weights(measured: Measured, tmp_path: Path) -> None:
    measured[2].save(tmp_path)
    assert TrainedEncoder.load(tmp_path).images == ImageConfig(size=16, color="grey", invert=True)

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from siamese_core import Verifier
from siamese_core.artifact import read_json, write_json
from siamese_core.calibration.operating_points import calibrate
from siamese_core.checksums import CHECKSUMS
from siamese_core.config import CalibrationConfig, EncoderConfig, ImageConfig
from siamese_core.errors import ModelError, UnreadableImageError
from siamese_core.metrics.pairs import make_pairs, pair_distances
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder


@pytest.fixture
def verifier() -> Verifier:
    config, images = EncoderConfig(width=4, embedding_dim=8), ImageConfig(size=16, color="grey")
    state = make_encoder(config, 1, seed=0).state_dict()
    points = np.random.default_rng(0).normal(size=(60, 8))
    distances = pair_distances(points, make_pairs(np.repeat(np.arange(20), 3), 10**6, 10**6, 0))
    return Verifier(
        TrainedEncoder(state, config, images, [], 0), calibrate(distances, CalibrationConfig(bootstrap=20), 60, 0)
    )


def noise(seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (30, 30), dtype=np.uint8))


def test_saved_and_loaded_it_answers_the_same(verifier: Verifier, tmp_path: Path) -> None:
    verifier.save(tmp_path / "new" / "folder")
    again = Verifier.load(tmp_path / "new" / "folder")
    assert again.verify(noise(0), noise(1)) == verifier.verify(noise(0), noise(1))
    assert not list(tmp_path.rglob("*.pkl"))


def test_the_answer_is_the_definition(verifier: Verifier) -> None:
    a, b = verifier.embed([noise(0), noise(1)]).astype(float)
    answer = verifier.verify(noise(0), noise(1), "fmr_1e-1")
    assert answer.distance == pytest.approx(((a - b) ** 2).sum())
    assert answer.same == (answer.distance < answer.threshold)
    assert answer.operating_point == "fmr_1e-1"
    assert verifier.verify(noise(0), noise(1)) == verifier.verify(noise(0), noise(1), verifier.calibration.default)
    same = verifier.verify(noise(0), noise(0))
    assert same.distance == pytest.approx(0, abs=1e-9)
    assert same.same


def test_paths_bytes_pictures_and_arrays_are_one_image(verifier: Verifier, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise(3).save(path)
    sources = [path, str(path), path.read_bytes(), noise(3), np.asarray(noise(3))]
    embeddings = verifier.embed(sources)
    assert embeddings.shape == (5, 8)
    np.testing.assert_allclose(embeddings, embeddings[:1].repeat(5, 0), atol=1e-6)
    assert verifier.embed([]).shape == (0, 8)


def test_without_a_default_a_caller_must_name_a_point(verifier: Verifier, tmp_path: Path) -> None:
    calibration = replace(verifier.calibration, default=None, refused={"fmr_1e-2": "It needs more identities."})
    Verifier(verifier.trained, calibration).save(tmp_path)
    undecided = Verifier.load(tmp_path)
    with pytest.raises(ModelError, match=r"fmr_1e-2 was refused: It needs more identities\. Name one of eer, a"):
        undecided.verify(noise(0), noise(1))
    assert undecided.verify(noise(0), noise(1), "eer") == verifier.verify(noise(0), noise(1), "eer")
    assert undecided.embed([noise(0)]).shape == (1, 8)


def test_a_missing_model_image_or_point_is_named(verifier: Verifier, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"encoder\.safetensors, encoder\.json, calibration\.json missing"):
        Verifier.load(tmp_path)
    with pytest.raises(UnreadableImageError, match="no such file"):
        verifier.verify("nowhere.png", noise(0))
    with pytest.raises(ModelError, match=r"No operating point 'fmr_1e-9'\. There are: eer"):
        verifier.verify(noise(0), noise(1), "fmr_1e-9")


@pytest.mark.parametrize("name", ["encoder.safetensors", "encoder.json", "calibration.json", "history.json"])
def test_a_changed_file_is_named(verifier: Verifier, tmp_path: Path, name: str) -> None:
    verifier.save(tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[-1] ^= 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"{name} has changed since the model was written"):
        Verifier.load(tmp_path)


def test_an_edited_threshold_decides_nothing(verifier: Verifier, tmp_path: Path) -> None:
    verifier.save(tmp_path)
    values = read_json(tmp_path / "calibration.json")
    for point in values["points"].values():
        point["threshold"] = 99.0
    write_json(tmp_path / "calibration.json", values)
    with pytest.raises(ModelError, match=r"calibration\.json has changed"):
        Verifier.load(tmp_path)


def test_a_model_without_hashes_loads_and_says_so(
    verifier: Verifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    verifier.save(tmp_path)
    (tmp_path / CHECKSUMS).unlink()
    with caplog.at_level("INFO", logger="siamese_core"):
        again = Verifier.load(tmp_path)
    assert again.verify(noise(0), noise(1)) == verifier.verify(noise(0), noise(1))
    assert "has no SHA256SUMS" in caplog.text

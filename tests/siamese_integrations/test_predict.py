"""The registered model's code, called as MLflow calls it."""

import base64
import io
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.exceptions import MlflowException
from PIL import Image

from siamese_core.calibration.operating_points import calibrate
from siamese_core.config import CalibrationConfig, EncoderConfig, ImageConfig
from siamese_core.data.decoding_memory import DecodingMemory
from siamese_core.errors import SiameseError, UnreadableImageError
from siamese_core.metrics.pairs import make_pairs, pair_distances
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.verifier import Verifier
from siamese_integrations import mlflow_model
from siamese_integrations.mlflow_model import SiameseModel, _from_base64, _from_text

BREAKS = (" ", "\n", "\r\n", "\t")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SiameseModel:
    config, images = EncoderConfig(width=4, embedding_dim=8), ImageConfig(size=16, color="grey", max_pixels=10_000)
    state = make_encoder(config, 1, seed=0).state_dict()
    points = np.random.default_rng(0).normal(size=(60, 8))
    distances = pair_distances(points, make_pairs(np.repeat(np.arange(20), 3), 10**6, 10**6, 0))
    calibration = calibrate(distances, CalibrationConfig(bootstrap=20), 60, 0)
    folder = tmp_path_factory.mktemp("model") / "verifier"
    Verifier(TrainedEncoder(state, config, images, [], 0), calibration).save(folder)
    model = SiameseModel()
    model.load_context(SimpleNamespace(artifacts={"verifier": str(folder)}))
    return model


@pytest.fixture
def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 30), dtype=np.uint8))


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "true")


def embed(model: SiameseModel, *values: object) -> pd.DataFrame:
    return model.predict(None, pd.DataFrame({"image": pd.Series(values, dtype=object)}))


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_every_form_of_an_image_is_the_same_image(model: SiameseModel, picture: Image.Image, tmp_path: Path) -> None:
    data = png(picture)
    path = tmp_path / "a.png"
    path.write_bytes(data)
    text = base64.b64encode(data).decode()
    files = [path, str(path), data, bytearray(data), memoryview(data), Image.open(path)]
    decoded = [picture, np.asarray(picture), np.asarray(picture)[..., None], np.asarray(picture.convert("RGB"))]
    texts = [text, f"data:image/png;base64,{text}", base64.encodebytes(data).decode()]
    result = embed(model, *files, *decoded, *texts)
    assert result["error"].isna().all(), result["error"].tolist()
    embeddings = np.stack(result["embedding"])
    np.testing.assert_allclose(embeddings, embeddings[:1].repeat(len(embeddings), 0), atol=1e-6)


@given(data=st.binary(max_size=60), url=st.booleans(), pad=st.booleans(), cuts=st.lists(st.integers(0, 90), max_size=5))
def test_base64_is_read_in_all_its_forms(data: bytes, url: bool, pad: bool, cuts: list[int]) -> None:
    text = (base64.urlsafe_b64encode if url else base64.b64encode)(data).decode()
    text = text if pad else text.rstrip("=")
    for number, cut in enumerate(sorted(cuts, reverse=True)):
        text = text[:cut] + BREAKS[number % len(BREAKS)] + text[cut:]
    assert _from_base64(text) == data


@given(st.binary(max_size=60), st.sampled_from("!$%&,:é\0\ud800"), st.integers(0, 80))
def test_what_is_no_base64_is_not_decoded(data: bytes, sign: str, place: int) -> None:
    text = base64.b64encode(data).decode()
    with pytest.raises(UnreadableImageError, match="not base64 text"):
        _from_text(text[:place] + sign + text[place:])


def test_text_that_no_path_can_be_is_base64(model: SiameseModel) -> None:
    """The longest name of a file is 255 bytes; longer text without a slash is an error of the system, not "no file"."""
    noise = np.random.default_rng(1)
    for _ in range(40):
        text = base64.urlsafe_b64encode(png(Image.fromarray(noise.integers(0, 256, (15, 15), dtype=np.uint8)))).decode()
        assert len(text) > 255
        assert embed(model, text)["error"].tolist() == [None]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("", "the text is empty"),
        (" \n", "the text is empty"),
        ("nowhere.png", "no such file, and not base64 text: 'nowhere.png'"),
        ("x" * 5001, "no such file, and not base64 text"),
        ("a\0b", "no such file, and not base64 text: 'a\\x00b'"),
        (Path("nowhere.png"), "no such file"),
        (Path("a\0b"), "no such file"),
        (Path("n" * 300), "cannot be read: File name too long"),
        (Path("/"), "a folder, not a file"),
        (None, "not NoneType"),
        (float("nan"), "not float"),
        (7, "not int"),
        ([1, 2], "not list"),
        (b"", "empty file"),
        (b"no image", "not an image"),
        (np.zeros((4, 4), np.float32), "must be"),
        (np.zeros((0, 4), np.uint8), "must be"),
        (np.zeros((4, 4, 2), np.uint8), "must be"),
        (np.zeros((101, 101), np.uint8), "too large: 101×101"),
        (Image.new("RGB", (101, 101)), "too large: 101×101"),
        (Image.new("L", (0, 3)), "no pixels: 0×3"),
        (Image.new("F", (4, 4)), "floating-point"),
    ],
)
def test_a_bad_image_costs_its_row_alone(model: SiameseModel, picture: Image.Image, value: object, words: str) -> None:
    result = embed(model, value, picture)
    assert words in result["error"][0]
    assert result["embedding"][0] is None
    assert result["error"][1] is None
    pairs = {"image_a": pd.Series([value, picture], dtype=object), "image_b": pd.Series([picture] * 2, dtype=object)}
    pair = model.predict(None, pd.DataFrame(pairs))
    assert pair["error"][0].startswith("image_a: ")
    assert pair["same"].tolist() == [None, True]


def test_a_truncated_picture_costs_its_row_alone(model: SiameseModel, picture: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(picture)[:-200])
    result = embed(model, Image.open(path), path, picture)
    assert all("cannot be decoded" in error for error in result["error"][:2])
    assert result["error"][2] is None


@pytest.mark.usefixtures("serving")
def test_a_server_reads_base64_and_nothing_of_its_own(
    model: SiameseModel, picture: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.png"
    picture.save(path)
    os.symlink(path, link := tmp_path / "link.png")
    text = base64.b64encode(path.read_bytes()).decode()
    result = embed(model, text, str(path), str(link), path, f"file://{path}", np.asarray(picture))
    assert result["error"][0] is None
    assert all("base64 text" in error for error in result["error"][1:])
    assert str(tmp_path) not in " ".join(result["error"][1:])


@pytest.mark.usefixtures("serving")
def test_a_server_decodes_within_its_memory(
    model: SiameseModel, picture: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_model, "SERVER", DecodingMemory(100_000, strict=True))
    large = base64.b64encode(png(Image.new("RGBA", (99, 99)))).decode()
    result = embed(model, large, base64.b64encode(png(picture)).decode())
    assert "too large: decoding needs 0 MB of memory, more than the 0 MB here" in result["error"][0]
    assert result["error"][1] is None


@pytest.mark.usefixtures("serving")
def test_a_server_answers_an_error_without_a_traceback(model: SiameseModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """To any exception that is not its own, MLflow adds the traceback."""
    for table, params, words in (
        (pd.DataFrame({"photo": ["x"]}), None, "Give the columns image_a and image_b, or image"),
        (
            pd.DataFrame({"image_a": ["x"], "image_b": ["x"]}),
            {"operating_point": "fmr_0"},
            "No operating point 'fmr_0'",
        ),
    ):
        with pytest.raises(MlflowException, match=words) as caught:
            model.predict(None, table, params)
        assert caught.value.get_http_status_code() == 400
        assert "stack_trace" not in caught.value.serialize_as_json()
    monkeypatch.delattr(model, "_verifier")
    with pytest.raises(MlflowException, match="the server's log says why") as caught:
        model.predict(None, pd.DataFrame({"image": ["AAAA"]}))
    assert caught.value.get_http_status_code() == 500
    assert "_verifier" not in caught.value.serialize_as_json()


def test_a_wrong_table_is_an_error_in_words(model: SiameseModel) -> None:
    with pytest.raises(SiameseError, match=r"the table has \['photo'\]"):
        model.predict(None, pd.DataFrame({"photo": ["x"]}))

"""The registered model's code, without a registry."""

from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import PythonModelContext
from PIL import Image

from siamese_core.calibration.operating_points import calibrate
from siamese_core.config import CalibrationConfig, EncoderConfig, ImageConfig
from siamese_core.errors import ModelError
from siamese_core.metrics.pairs import make_pairs, pair_distances
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.verifier import Verifier
from siamese_integrations.mlflow_model import SiameseModel
from siamese_integrations.mlflow_registry import register


@pytest.fixture
def undecided(tmp_path: Path) -> SiameseModel:
    """A model whose default was refused: 10 identities cannot support FMR 0.01."""
    encoder, images = EncoderConfig(width=4, embedding_dim=8), ImageConfig(size=16, color="grey")
    points = np.random.default_rng(0).normal(size=(40, 8))
    distances = pair_distances(points, make_pairs(np.repeat(np.arange(10), 4), 10**6, 10**6, 0))
    calibration = calibrate(distances, CalibrationConfig(bootstrap=20), 40, 0)
    trained = TrainedEncoder(make_encoder(encoder, 1, seed=0).state_dict(), encoder, images, [], 0)
    Verifier(trained, calibration).save(tmp_path / "verifier")
    model = SiameseModel()
    model.load_context(PythonModelContext({"verifier": str(tmp_path / "verifier")}, {}))
    return model


@pytest.fixture
def pairs(tmp_path: Path) -> pd.DataFrame:
    """A picture with itself, and with nothing."""
    Image.linear_gradient("L").resize((16, 16)).save(tmp_path / "a.png")
    return pd.DataFrame({"image_a": [str(tmp_path / "a.png")] * 2, "image_b": [str(tmp_path / "a.png"), "nowhere.png"]})


def test_without_a_default_every_row_says_so_until_a_point_is_named(
    undecided: SiameseModel, pairs: pd.DataFrame
) -> None:
    for params in ({}, {"operating_point": ""}, None):
        answer = undecided.predict(None, pairs, params)
        assert answer["same"].tolist() == [None, None]
        assert answer["distance"][0] == pytest.approx(0, abs=1e-9)
        assert "no default operating point, because fmr_1e-2 was refused: FMR 0.01 needs" in answer["error"][0]
        assert "Name one of eer, accuracy, fmr_1e-1." in answer["error"][0]
        assert answer["error"][1].startswith("image_b: no such file")
    named = undecided.predict(None, pairs, {"operating_point": "fmr_1e-1"})
    assert named["same"].tolist() == [True, None]
    assert named["error"][0] is None
    with pytest.raises(ModelError, match="No operating point 'fmr_1e-9'"):
        undecided.predict(None, pairs, {"operating_point": "fmr_1e-9"})


def test_the_registered_signature_says_that_there_is_no_default(
    undecided: SiameseModel, pairs: pd.DataFrame, tmp_path: Path
) -> None:
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    try:
        experiment = mlflow.create_experiment("tiny", artifact_location=str(tmp_path / "artifacts"))
        with mlflow.start_run(experiment_id=experiment):
            number = register("tiny", tmp_path / "verifier", "A card.", {}, "content")
        model = mlflow.pyfunc.load_model(f"models:/tiny/{number}")
    finally:
        mlflow.set_tracking_uri(before)
    (parameter,) = model.metadata.signature.params.params
    assert (parameter.name, parameter.default) == ("operating_point", "")
    assert "no default operating point" in model.predict(pairs)["error"][0]
    assert model.predict(pairs, params={"operating_point": "eer"})["same"][0] is True

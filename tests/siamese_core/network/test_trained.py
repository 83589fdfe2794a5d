import json
from pathlib import Path

import pytest
import torch

from siamese_core.config import EncoderConfig, ImageConfig
from siamese_core.errors import ModelError
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder

CONFIG = EncoderConfig(width=4, embedding_dim=8)
EVENTS = [{"step": 25, "kind": "warning", "message": "close to collapse"}]
HISTORY = [{"step": 50, "loss": 1.5, "validation_eer": 0.25}]


@pytest.fixture
def trained() -> TrainedEncoder:
    state = make_encoder(CONFIG, 1, seed=0).state_dict()
    return TrainedEncoder(state, CONFIG, ImageConfig(size=16, color="grey"), HISTORY, 50, EVENTS)


def rewrite(folder: Path, format_number: int | None) -> None:
    record = json.loads((folder / "encoder.json").read_text())
    assert record.pop("format") == 1
    if format_number is not None:
        record["format"] = format_number
    (folder / "encoder.json").write_text(json.dumps(record))


@pytest.mark.parametrize("format_number", [1, None])  # models of 0.1 carry no number
def test_it_round_trips_with_and_without_a_format_number(
    trained: TrainedEncoder, tmp_path: Path, format_number: int | None
) -> None:
    trained.save(tmp_path)
    rewrite(tmp_path, format_number)
    loaded = TrainedEncoder.load(tmp_path)
    for name in ("encoder", "images", "history", "best_step", "events"):
        assert getattr(loaded, name) == getattr(trained, name), name
    assert loaded.state.keys() == trained.state.keys()
    assert all(torch.equal(loaded.state[name], value) for name, value in trained.state.items())
    assert loaded.summary()["validation_eer"] == 0.25


def test_another_format_is_refused_in_words(trained: TrainedEncoder, tmp_path: Path) -> None:
    trained.save(tmp_path)
    rewrite(tmp_path, 2)
    with pytest.raises(ModelError, match=r"encoder\.json has format 2; this version .* reads format 1"):
        TrainedEncoder.load(tmp_path)


def test_a_record_that_is_none_is_refused_in_words(trained: TrainedEncoder, tmp_path: Path) -> None:
    trained.save(tmp_path)
    (tmp_path / "encoder.json").write_text('{"encoder": {}}')
    with pytest.raises(ModelError, match=r"encoder\.json does not hold the right values"):
        TrainedEncoder.load(tmp_path)

"""A run that is killed and started again ends with the same bits as one that is not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from siamese_core.config import EncoderConfig, SplitConfig, TrainingConfig, TripletConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import make_split
from siamese_core.data.store import ImageStore
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.training.checkpoint import CheckpointFile, Snapshot
from siamese_core.training.loop import train, training_images
from siamese_core.triplets.offline import build_triplets
from tests.conftest import REPOSITORY

ENCODER = EncoderConfig(width=8, embedding_dim=16)
# With everything that has state: moving average, refreshed groups, symmetries, a recovery from collapse.
CONFIG = TrainingConfig(
    steps=80,
    evaluate_every=20,
    identities_per_batch=8,
    images_per_identity=2,
    mining="batch_hard",
    learning_rate=0.01,
    warmup=0.0,
    weight_average=0.9,
    refresh_every=20,
    symmetries=4,
    sibling_fraction=0.25,
)


class Killed(BaseException):
    pass


def fit(ingested: tuple[Manifest, ImageStore], file: CheckpointFile | None = None) -> TrainedEncoder:
    manifest, store = ingested
    split = make_split(manifest, SplitConfig(salt="a"))
    triplets = build_triplets(make_encoder(ENCODER, 1, 0), manifest, store, split, TripletConfig(500), 0.2, 0)
    data = training_images(manifest, store, split)
    checkpoint = (lambda run: CheckpointFile(file.path, run)) if file else None
    return train(data, triplets.table, triplets.graph, ENCODER, CONFIG, 0, checkpoint=checkpoint)[0]


@pytest.fixture(scope="module")
def straight(ingested: tuple[Manifest, ImageStore]) -> TrainedEncoder:
    return fit(ingested)


def same(first: TrainedEncoder, second: TrainedEncoder) -> bool:
    assert first.history == second.history
    assert first.events == second.events
    assert first.best_step == second.best_step
    return all(torch.equal(first.state[name], second.state[name]) for name in first.state)


@pytest.mark.parametrize("saves", [1, 2, 4])
def test_k_steps_and_the_rest_are_one_run_bit_for_bit(
    ingested: tuple[Manifest, ImageStore],
    straight: TrainedEncoder,
    saves: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = CheckpointFile(tmp_path / "run.safetensors", "")
    save, done = CheckpointFile.save, []

    def save_and_die(self: CheckpointFile, snapshot: Snapshot) -> None:
        save(self, snapshot)
        done.append(snapshot.values["step"])
        if len(done) == saves:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "save", save_and_die)
        with pytest.raises(Killed):
            fit(ingested, file)
    assert any(event["kind"] == "recovery" for event in straight.events)
    torch.manual_seed(99)  # whatever happened in between
    assert same(fit(ingested, file), straight)
    assert f"going on at step {20 * saves} of" in capsys.readouterr().out


SCRIPT = """
import sys, tempfile
from pathlib import Path
from dataclasses import replace
from siamese_core.config import ImageConfig
from siamese_core.training.checkpoint import CheckpointFile
from siamese_core.data.ingest import ingest
from tests.siamese_core.training import test_resume as t
data, path = map(Path, sys.argv[1:])
with tempfile.TemporaryDirectory() as folder:
    found = ingest(data, Path(folder), ImageConfig(size=16, color="grey", invert=True))
    t.fit((found.manifest, found.store), CheckpointFile(path, ""))
"""


def test_a_process_that_is_killed_goes_on(
    glyphs: Path,
    ingested: tuple[Manifest, ImageStore],
    straight: TrainedEncoder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = CheckpointFile(tmp_path / "run.safetensors", "")
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(glyphs), str(file.path)], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    while not file.path.exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert same(fit(ingested, file), straight)
    assert "going on at step" in capsys.readouterr().out

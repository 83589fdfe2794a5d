"""A run that is killed and started again ends with the same bits as one that is not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from siamese_core.config import TrainingConfig
from siamese_core.data.dataset import Dataset
from siamese_core.network.trained import TrainedEncoder
from siamese_core.training.checkpoint import CheckpointFile, State
from siamese_core.training.loop import train
from siamese_core.training.recipe import Recipe
from siamese_core.triplets.offline import Triplets
from tests.conftest import REPOSITORY
from tests.siamese_core.training.conftest import ENCODER

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


def fit(data: Dataset, triplets: Triplets, file: CheckpointFile | None = None) -> TrainedEncoder:
    checkpoint = (lambda run: CheckpointFile(file.path, run)) if file else None
    return train(data, triplets, Recipe(ENCODER, CONFIG, 0), checkpoint=checkpoint)[0]


@pytest.fixture(scope="module")
def straight(data: Dataset, triplets: Triplets) -> TrainedEncoder:
    return fit(data, triplets)


def same(first: TrainedEncoder, second: TrainedEncoder) -> bool:
    assert first.history == second.history
    assert first.events == second.events
    assert first.best_step == second.best_step
    return all(torch.equal(first.state[name], second.state[name]) for name in first.state)


@pytest.mark.parametrize("saves", [1, 2, 4])
def test_k_steps_and_the_rest_are_one_run_bit_for_bit(
    data: Dataset,
    triplets: Triplets,
    straight: TrainedEncoder,
    saves: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    file = CheckpointFile(tmp_path / "run.safetensors", "")
    save, done = CheckpointFile.save, []

    def save_and_die(self: CheckpointFile, state: State) -> None:
        save(self, state)
        done.append(state["history"]["rows"][-1]["step"])
        if len(done) == saves:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "save", save_and_die)
        with pytest.raises(Killed):
            fit(data, triplets, file)
    assert any(event["kind"] == "recovery" for event in straight.events)
    torch.manual_seed(99)  # whatever happened in between
    assert same(fit(data, triplets, file), straight)
    assert done == [20 * (save + 1) for save in range(saves)]
    assert f"resuming the interrupted run at step {20 * saves}" in caplog.messages


SCRIPT = """
import sys, tempfile
from pathlib import Path
from siamese_core.config import ImageConfig, SplitConfig, TripletConfig
from siamese_core.data.read_dataset import read_dataset
from siamese_core.network.encoders import make_encoder
from siamese_core.training.checkpoint import CheckpointFile
from siamese_core.triplets.offline import build_triplets
from tests.siamese_core.training import test_resume as t
folder, path = map(Path, sys.argv[1:])
with tempfile.TemporaryDirectory() as store:
    images = ImageConfig(size=16, color="grey", invert=True)
    data = read_dataset(folder, Path(store), images, SplitConfig(salt="a"))
    triplets = build_triplets(make_encoder(t.ENCODER, 1, 0), data, TripletConfig(500), 0.2, 0)
    t.fit(data, triplets, CheckpointFile(path, ""))
"""


def test_a_process_that_is_killed_goes_on(
    glyphs: Path,
    data: Dataset,
    triplets: Triplets,
    straight: TrainedEncoder,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    file = CheckpointFile(tmp_path / "run.safetensors", "")
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(glyphs), str(file.path)], env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    while not file.path.exists() and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert same(fit(data, triplets, file), straight)
    assert "resuming the interrupted run at step" in caplog.text

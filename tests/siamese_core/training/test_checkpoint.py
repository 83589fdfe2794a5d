import os
from pathlib import Path

import numpy as np
import pytest
import torch

from siamese_core.config import TrainingConfig
from siamese_core.training.checkpoint import CheckpointFile, Snapshot, fingerprint

SNAPSHOT = Snapshot({"weights": torch.arange(6.0).view(2, 3), "rng": torch.get_rng_state()}, {"step": 7, "eer": 0.1})


def test_what_is_saved_is_loaded_and_only_the_last(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "deep" / "run.safetensors", "a")
    assert file.load() is None
    file.save(Snapshot({"old": torch.zeros(1)}, {}))
    file.save(SNAPSHOT)
    loaded = file.load()
    assert loaded is not None
    assert loaded.values == SNAPSHOT.values
    assert loaded.tensors.keys() == SNAPSHOT.tensors.keys()
    assert all(torch.equal(loaded.tensors[name], value) for name, value in SNAPSHOT.tensors.items())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["run.safetensors"]


def test_tensors_in_channels_last_order_keep_their_values(tmp_path: Path) -> None:
    weights = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    file = CheckpointFile(tmp_path / "run.safetensors", "a")
    file.save(Snapshot({"weights": weights}, {}))
    loaded = file.load()
    assert loaded is not None
    assert torch.equal(loaded.tensors["weights"], weights)


def test_another_run_does_not_go_on_from_here(tmp_path: Path) -> None:
    CheckpointFile(tmp_path / "run.safetensors", "a").save(SNAPSHOT)
    assert CheckpointFile(tmp_path / "run.safetensors", "b").load() is None


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_said_and_not_used(
    tmp_path: Path, damage: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    file = CheckpointFile(tmp_path / "run.safetensors", "a")
    file.save(SNAPSHOT)
    content = file.path.read_bytes()
    file.path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert file.load() is None
    assert "cannot be read" in capsys.readouterr().out


def test_a_kill_while_writing_leaves_the_last_snapshot(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "run.safetensors", "a")
    file.save(SNAPSHOT)
    child = os.fork()
    if child == 0:  # the child dies between writing and renaming
        Path.replace = lambda *_: os._exit(9)  # type: ignore[assignment,method-assign]
        file.save(Snapshot({"half": torch.zeros(1)}, {}))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    loaded = file.load()
    assert loaded is not None
    assert loaded.values == SNAPSHOT.values


def test_the_fingerprint_follows_every_part() -> None:
    base = fingerprint(TrainingConfig(), np.arange(3), ["a"], 0)
    assert base == fingerprint(TrainingConfig(), np.arange(3), ["a"], 0)
    others = [
        fingerprint(TrainingConfig(margin=0.3), np.arange(3), ["a"], 0),
        fingerprint(TrainingConfig(), np.arange(4), ["a"], 0),
        fingerprint(TrainingConfig(), np.arange(3), ["b"], 0),
        fingerprint(TrainingConfig(), np.arange(3), ["a"], 1),
    ]
    assert len({base, *others}) == 5

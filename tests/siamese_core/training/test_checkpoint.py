import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from siamese_core.config import TrainingConfig
from siamese_core.training.checkpoint import CheckpointFile, GlobalRandom, fingerprint

STATE = {
    "learner": {"moments": {"0": {"step": torch.tensor(3.0)}, "10": {"step": torch.tensor(4.0)}}, "average": {}},
    "weights": torch.arange(6.0).view(2, 3),
    "history": {"rows": [{"step": 7, "loss": 0.1}], "best": float("inf")},
}


@pytest.fixture
def file(tmp_path: Path) -> CheckpointFile:
    return CheckpointFile(tmp_path / "deep" / "run.safetensors", "a")


def assert_same(left: Any, right: Any) -> None:
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for name in left:
            assert_same(left[name], right[name])
    elif isinstance(left, torch.Tensor):
        assert left.dtype == right.dtype
        assert torch.equal(left, right)
    else:
        assert left == right


def test_a_saved_tree_is_loaded_and_only_the_last(file: CheckpointFile) -> None:
    assert file.load() is None
    file.save({"old": torch.zeros(1)})
    file.save(STATE)
    assert_same(file.load(), STATE)
    assert [path.name for path in file.path.parent.iterdir()] == ["run.safetensors"]


def test_tensors_in_channels_last_order_keep_their_values(file: CheckpointFile) -> None:
    weights = torch.randn(4, 3, 3, 3).to(memory_format=torch.channels_last)
    file.save({"weights": weights})
    assert_same(file.load(), {"weights": weights})


def test_another_run_does_not_resume_from_here(file: CheckpointFile) -> None:
    file.save(STATE)
    assert CheckpointFile(file.path, "b").load() is None


@pytest.mark.parametrize("number", [None, "1", "99"])
def test_another_format_starts_over_in_words(
    file: CheckpointFile, number: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    file.save(STATE)
    with safe_open(file.path, "pt") as saved:
        header, weights = saved.metadata(), saved.get_tensor("weights")
    header.pop("format")
    save_file({"weights": weights}, file.path, header | ({"format": number} if number else {}))
    assert file.load() is None
    assert f"has format {number or 1}, and this version" in caplog.text
    assert "starting over" in caplog.text


@pytest.mark.parametrize("damage", [b"", b"nonsense", None])
def test_a_damaged_file_is_said_and_not_used(
    file: CheckpointFile, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    file.save(STATE)
    content = file.path.read_bytes()
    file.path.write_bytes(content[: len(content) // 2] if damage is None else damage)
    assert file.load() is None
    assert "cannot be read" in caplog.text


def test_a_kill_while_writing_leaves_the_last_state(file: CheckpointFile) -> None:
    file.save(STATE)
    child = os.fork()
    if child == 0:  # the child dies between writing and renaming
        Path.replace = lambda *_: os._exit(9)  # type: ignore[assignment,method-assign]
        file.save({"half": torch.zeros(1)})
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert_same(file.load(), STATE)


def test_the_global_generator_continues_from_its_state() -> None:
    state = GlobalRandom().state_dict()
    expected = torch.rand(3)
    torch.manual_seed(99)
    GlobalRandom().load_state_dict(state)
    assert torch.equal(torch.rand(3), expected)


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

"""The examples run as their first lines say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, REPOSITORY / "examples" / f"{name}.py", *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, glyphs: Path) -> tuple[Path, str]:
    """A folder with a model, and what training it printed."""
    model = tmp_path_factory.mktemp("model") / "exported"
    return model, run("train_without_zenml", model, glyphs)


def test_training_without_zenml_prints_errors_below_those_of_raw_pixels(training: tuple[Path, str]) -> None:
    eer, pixels = map(float, re.findall(r"([\d.]+)%", training[1].splitlines()[0]))
    assert eer < pixels
    assert "fmr_1e-1" in training[1]


def test_two_images_are_verified(training: tuple[Path, str], glyphs: Path) -> None:
    first, second = sorted(next(folder for folder in sorted(glyphs.iterdir())).iterdir())[:2]
    printed = run("verify_two_images", training[0], first, second)
    assert re.match(r"(same|different), probability of the same identity [\d.]+%\n  eer", printed)


def test_a_miner_of_ones_own_learns() -> None:
    eers = dict(re.findall(r"(\w+): EER ([\d.]+)%", run("own_miner")))
    assert set(eers) == {"semi_hard", "soft_semi_hard"}
    assert all(float(eer) < 15 for eer in eers.values()), eers


def test_every_example_is_run_here() -> None:
    names = {path.stem for path in (REPOSITORY / "examples").glob("*.py")}
    assert names == {"train_without_zenml", "verify_two_images", "own_miner"}

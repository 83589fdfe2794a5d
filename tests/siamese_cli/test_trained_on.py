"""`siamese evaluate` says so where the people of its pairs trained the model."""

import itertools
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from siamese_cli.main import main
from siamese_core.data.dataset import Dataset
from siamese_core.network.trained_on import TrainedOn
from siamese_core.verifier import Verifier
from tests.siamese_core.evaluation.untrained import untrained

Evaluate = Callable[[TrainedOn | None, str], tuple[list[str] | None, str]]


@pytest.fixture
def evaluate(dataset: Dataset, glyphs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Evaluate:
    """Measure a model with a record on four people; gives those that it names, and its first line."""
    verifier = untrained(dataset)

    def call(record: TrainedOn | None, below: str) -> tuple[list[str] | None, str]:
        Verifier(replace(verifier.trained, trained_on=record), verifier.calibration).save(tmp_path / "model")
        images = [f"{folder.name}/{path.name}" for folder in people(glyphs) for path in sorted(folder.iterdir())[:2]]
        root = glyphs.parent if below else glyphs
        rows = [
            f"{below}{a},{below}{b},{int(a.split('/')[0] == b.split('/')[0])}"
            for a, b in itertools.combinations(images, 2)
        ]
        (tmp_path / "pairs.csv").write_text("\n".join(["path_a,path_b,same", *rows]))
        command = ["evaluate", "--model", str(tmp_path / "model"), "--pairs", str(tmp_path / "pairs.csv")]
        answers = []
        for json_option in ([], ["--json"]):
            assert main([*command, "--images", str(root), *json_option]) == 0
            answers.append(capsys.readouterr().out)
        found: list[str] | None = json.loads(answers[1])["trained_on"]
        return found, answers[0].splitlines()[0]

    return call


def people(glyphs: Path) -> list[Path]:
    return sorted(glyphs.iterdir())[:4]


@pytest.mark.parametrize("below", ["", "glyphs/"])
@pytest.mark.parametrize("prefix", ["", "glyphs/"])
def test_people_of_the_training_are_named(evaluate: Evaluate, glyphs: Path, below: str, prefix: str) -> None:
    """Whatever folder the training and the pairs start from."""
    first, second, *_ = (folder.name for folder in people(glyphs))
    named, words = evaluate(TrainedOn.of([f"{prefix}{first}", f"{prefix}{second}", "nobody"]), below)
    assert named == [f"{below}{first}", f"{below}{second}"]
    assert words.startswith(
        f"Warning: 2 of these folders trained this model or one that it started from ({below}{first}, "
    )


def test_strangers_need_no_warning(evaluate: Evaluate) -> None:
    named, words = evaluate(TrainedOn.of(["nobody"]), "")
    assert named == []
    assert words.startswith(f"{os.sep}")


@pytest.mark.parametrize("record", [None, TrainedOn.of(["nobody"], None)])
def test_where_nobody_recorded_it_that_is_said(evaluate: Evaluate, record: TrainedOn | None) -> None:
    named, words = evaluate(record, "")
    assert named is None
    assert words.startswith("Note: not recorded who trained this model.")

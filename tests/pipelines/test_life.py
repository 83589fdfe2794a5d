"""The short life of a verifier that is retrained: what a user's nights look like."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from siamese_core.data.glyphs import make_glyphs
from tests.conftest import QUICK, Project

NAME = "life"


class Life:
    """A checkout, the folder that deliveries arrive in, and what was retrained from it."""

    def __init__(self, project: Project, data: Path, later: Path) -> None:
        self.project, self.data, self.later = project, data, later
        parameters = {**QUICK, "data_dir": str(data), "model_name": NAME}
        parameters["training"] = {**QUICK["training"], "warm_start": True}  # type: ignore[dict-item]
        self.config = project.folder / "configs" / "life.yaml"
        steps = {"train": {"step_operator": True}}
        self.config.write_text(yaml.safe_dump({"parameters": parameters, "steps": steps}))

    def retrain(self) -> subprocess.CompletedProcess[str]:
        return self.project.run("siamese", "retrain", "-c", str(self.config))

    def start(self) -> subprocess.Popen[str]:
        binary = Path(sys.executable).parent / "siamese"
        return subprocess.Popen(
            [str(binary), "retrain", "-c", str(self.config)],
            cwd=self.project.folder,
            env={**os.environ, "PYTHONPATH": str(self.project.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def history(self) -> list[dict[str, str]]:
        done = self.project.run("siamese", "history", "--json", NAME)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, str]] = json.loads(done.stdout)
        return found

    def champion(self) -> str:
        return next(row["version"] for row in self.history() if "champion" in row["aliases"])


@pytest.fixture(scope="module")
def life(project: Project, session_folder: Path) -> Life:
    later, data = session_folder / "life-later", session_folder / "life"
    make_glyphs(later, characters=90, seed=4)
    data.mkdir()
    for folder in sorted(later.iterdir())[::3]:  # the first delivery: every third character
        shutil.move(folder, data / folder.name)
    return Life(project, data, later)


def statuses() -> dict[str, str]:
    from zenml.client import Client

    run = Client().get_pipeline("retraining_pipeline").last_run
    return {name: str(step.status.value) for name, step in run.steps.items()}


def running(life: Life) -> tuple[list[str], list[str]]:
    """The runs that ZenML and MLflow show as running."""
    from mlflow.tracking import MlflowClient
    from zenml.client import Client

    tracker = MlflowClient(life.project.run("siamese", "tracking-uri").stdout.strip())
    experiments = [experiment.experiment_id for experiment in tracker.search_experiments()]
    tracked = tracker.search_runs(experiments, "attributes.status = 'RUNNING'")
    runs = Client().list_pipeline_runs(in_progress=True).items
    return [run.name for run in runs], [run.info.run_name for run in tracked]


def output(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr


# The tests of this module are one story and run in this order.


def test_1_the_first_training_makes_a_champion(life: Life) -> None:
    done = life.retrain()
    assert done.returncode == 0, output(done)
    assert "starting fresh: there is no champion yet" in output(done)
    assert life.champion() == "1"


def test_2_nothing_changed_trains_nothing_and_says_so(life: Life) -> None:
    done = life.retrain()
    assert done.returncode == 0, output(done)
    assert "nothing has changed since life version 1" in output(done)
    assert "were not read again" in output(done) or "files in" in output(done)
    found = statuses()
    assert {found.pop("ingest"), found.pop("conclude")} == {"completed"}
    assert set(found.values()) == {"cached"}
    assert len(life.history()) == 1


def test_3_new_identities_make_a_better_champion(life: Life) -> None:
    for folder in sorted(life.later.iterdir()):
        shutil.move(folder, life.data / folder.name)
    done = life.retrain()
    assert done.returncode == 0, output(done)
    assert "starting from the champion, version 1" in output(done)
    newest = life.history()[0]
    assert newest["version"] == "2"
    assert newest["aliases"].split(", ").count("champion") == 1
    assert "better" in newest["decision"]
    assert "on the same test pairs" in newest["decision"]


def test_4_shuffled_labels_are_rejected_with_the_reason(life: Life, session_folder: Path) -> None:
    backup = session_folder / "life-backup"
    shutil.copytree(life.data, backup)
    generator = random.Random(0)
    files = sorted(life.data.rglob("*.png"))
    chosen = generator.sample(files, len(files) // 2)
    places = [path.parent for path in chosen]
    generator.shuffle(places)
    for number, (path, place) in enumerate(zip(chosen, places, strict=True)):
        path.rename(place / f"delivered-{number}.png")
    done = life.retrain()
    newest = life.history()[0]
    assert life.champion() == "2"
    assert done.returncode == 0, output(done)
    assert newest["version"] == "3"
    assert newest["decision"].startswith("rejected because ")
    assert "against the champion's" in newest["decision"]
    shutil.rmtree(life.data)
    backup.rename(life.data)


def test_5_rollback_brings_the_earlier_champion_back(life: Life) -> None:
    done = life.project.run("siamese", "rollback", NAME)
    assert done.stdout == "life: version 1 is the champion again, instead of 2\n", done.stderr
    assert life.champion() == "1"
    again = life.project.run("siamese", "rollback", NAME)
    assert again.returncode == 2
    assert "version 1 is the oldest champion" in again.stderr
    assert life.champion() == "1"


def test_6_a_killed_run_leaves_the_champion_and_the_next_one_completes(life: Life) -> None:
    shutil.rmtree(next(life.data.iterdir()))  # something has changed
    process = life.start()
    seen = ""
    assert process.stdout
    for line in process.stdout:
        seen += line
        if "training on" in line:
            break
    else:
        pytest.fail(seen)
    os.killpg(process.pid, signal.SIGSTOP)  # or it might end before the others have started
    declined = life.retrain()
    assert declined.returncode == 75
    assert f"{NAME} is busy: retraining_pipeline (process " in declined.stderr
    os.kill(process.pid, signal.SIGKILL)  # of the command alone: the pipeline lives on, under its lock
    assert life.retrain().returncode == 75
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert life.champion() == "1"
    assert len(life.history()) == 3
    done = life.retrain()
    assert done.returncode == 0, output(done)
    assert "which is gone: taking it over" in output(done)
    assert len(life.history()) == 4
    assert statuses()["train"] in ("completed", "cached")  # the latter where training ended just before the stop
    assert running(life) == ([], [])


def test_7_a_failed_run_leaves_the_champion_and_names_the_cause(life: Life) -> None:
    before = life.champion(), len(life.history())
    folders = sorted(life.data.iterdir())
    copied = next(folders[0].glob("*.png"))
    shutil.copy(copied, folders[1] / "copy.png")
    done = life.retrain()
    assert done.returncode == 1
    assert f"{copied.parent.name}/{copied.name} = {folders[1].name}/copy.png" in output(done)
    assert "Traceback" not in output(done)
    assert (life.champion(), len(life.history())) == before


def test_8_pruning_makes_room_and_leaves_what_is_needed(life: Life) -> None:
    from mlflow.tracking import MlflowClient
    from zenml.client import Client

    def prune(*options: str) -> dict[str, Any]:
        done = life.project.run("siamese", "prune", "--keep", "1", "--json", *options)
        assert done.returncode == 0, done.stderr
        value: dict[str, Any] = json.loads(done.stdout)
        return value

    def of_life(lines: list[str]) -> list[str]:
        return [line for line in lines if line.startswith("run ") and f" of {NAME} " in line]

    before = life.history()
    listed, again = prune("--dry-run"), prune("--dry-run")
    assert listed == again
    assert of_life(listed["removed"]), "a night without news"
    assert any(line.startswith("images ") for line in listed["removed"]), "a version that is no champion"
    removed = prune()
    assert removed["removed"] == listed["removed"]
    assert removed["bytes"] > 0
    assert prune()["removed"] == []
    assert life.history() == before
    registry = MlflowClient(life.project.run("siamese", "tracking-uri").stdout.strip())
    trained_by = registry.get_model_version(NAME, life.champion()).tags["zenml_run_id"]
    outputs = [
        value[0] for step in Client().get_pipeline_run(trained_by).steps.values() for value in step.outputs.values()
    ]
    for output in outputs:
        assert output.load() is not None, output.name
    image = str(next(life.data.rglob("*.png")))
    done = life.project.run("siamese", "verify", image, image, "--model", NAME)
    assert done.returncode == 0, done.stderr


def test_history_is_readable(life: Life) -> None:
    done = life.project.run("siamese", "history", NAME)
    assert done.returncode == 0
    assert "champion" in done.stdout
    assert "promoted by hand: rolled back from version 2" in done.stdout
    nobody: Any = life.project.run("siamese", "history", "nobody")
    assert nobody.returncode == 2
    assert "no registered model nobody" in nobody.stderr

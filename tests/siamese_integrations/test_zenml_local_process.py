"""The step operator: real pipeline runs whose train step is a process of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import QUICK, Project


def config(project: Project, name: str, data: Path, settings: dict[str, Any] | None = None, **changes: Any) -> Path:
    """The quick configuration with train and build_triplets on the step operator."""
    parameters = {**QUICK, "data_dir": str(data), "model_name": "processes"}
    parameters["training"] = {**parameters["training"], **changes}
    step = {"step_operator": True, "settings": {"step_operator.local_process": settings or {}}}
    path = project.folder / "configs" / name
    path.write_text(yaml.safe_dump({"parameters": parameters, "steps": {"train": step, "build_triplets": step}}))
    return path


def start(project: Project, path: Path, *options: str) -> subprocess.Popen[str]:
    binary = Path(sys.executable).parent / "zenml"
    return subprocess.Popen(
        [str(binary), "pipeline", "run", "pipelines.training.training_pipeline", "-c", str(path), *options],
        cwd=project.folder,
        # Without what this test run itself may have set: a user's run must show its lines as they come.
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        | {"PYTHONPATH": str(project.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(process: subprocess.Popen[str], wanted: str) -> str:
    """The output up to a line that has the wanted text."""
    assert process.stdout
    seen = ""
    for line in process.stdout:
        seen += line
        if wanted in line:
            return seen
    raise AssertionError(f"{wanted!r} never came:\n{seen}")


def step_processes() -> list[int]:
    """Processes that run a step of this test session's ZenML."""
    mine = f"ZENML_CONFIG_PATH={os.environ['ZENML_CONFIG_PATH']}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            is_step = b"zenml.entrypoints.entrypoint" in (entry / "cmdline").read_bytes()
            if is_step and mine in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def wait_until(holds: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return holds()


def hash_of(step: str, name: str) -> str:
    from zenml.client import Client

    run = Client().get_pipeline("training_pipeline").last_run
    return str(run.steps[step].outputs[name][0].content_hash)


def test_in_a_process_of_its_own_the_bits_are_the_same_and_the_data_folder_is_not_needed(
    project: Project, glyphs: Path, tmp_path: Path
) -> None:
    """The folder is gone before train starts: everything it reads comes through the artifact store."""
    data = tmp_path / "data"
    shutil.copytree(glyphs, data)
    process = start(project, config(project, "processes.yaml", data))
    output = read_until(process, "Step `ingest` has finished")  # split may come from the cache
    shutil.rmtree(data)
    output += process.communicate(timeout=400)[0]
    assert process.returncode == 0, output
    assert "Using step operator `siamese_process` to run step `train`" in output
    assert "training on the CPU" in output
    with_operator = hash_of("train", "encoder"), hash_of("build_triplets", "triplets")
    shutil.copytree(glyphs, data)
    plain = yaml.safe_load((project.folder / "configs" / "processes.yaml").read_text())
    plain["steps"] = {"build_triplets": {"enable_cache": False}, "train": {"enable_cache": False}}
    # A fresh name: with a champion the triplets would be mined by it.
    plain["parameters"]["model_name"] = "no-processes"
    (project.folder / "configs" / "plain.yaml").write_text(yaml.safe_dump(plain))
    done = project.pipeline(project.folder / "configs" / "plain.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (hash_of("train", "encoder"), hash_of("build_triplets", "triplets")) == with_operator


@pytest.mark.parametrize(
    ("settings", "changes", "message"),
    [
        ({}, {"device": "cuda:7"}, "Error: training.device 'cuda:7' is not available here"),
        ({"timeout_s": 8}, {"steps": 100_000}, "Error: Step train was ended after timeout_s = 8 seconds"),
    ],
    ids=["an error of the step", "the time limit"],
)
def test_errors_come_back_in_words_and_no_process_is_left(
    project: Project, glyphs: Path, settings: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    done = project.pipeline(config(project, "failing.yaml", glyphs, settings, **changes))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert step_processes() == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_when_the_run_ends_its_processes_end(project: Project, glyphs: Path, how: signal.Signals) -> None:
    settings = {"visible_devices": "0,1", "env": {"CHOSEN": "by the configuration"}}
    process = start(project, config(project, "endless.yaml", glyphs, settings, steps=100_000 + how))
    read_until(process, "training on")
    (running,) = step_processes()
    environment = Path(f"/proc/{running}/environ").read_bytes().split(b"\0")
    assert {b"CUDA_VISIBLE_DEVICES=0,1", b"CHOSEN=by the configuration"} <= set(environment)
    os.kill(process.pid, how)  # the run alone, as a terminal's Ctrl-C would miss the step's own group
    assert wait_until(lambda: step_processes() == [])
    process.kill()
    process.communicate()


def test_a_misspelt_setting_is_refused() -> None:
    from siamese_integrations.zenml_local_process import LocalProcessSettings

    with pytest.raises(ValueError, match="visible_device"):
        LocalProcessSettings.model_validate({"visible_device": "0"})


def test_a_credential_in_the_settings_is_refused_and_not_repeated() -> None:
    from siamese_integrations.zenml_local_process import LocalProcessSettings

    with pytest.raises(ValueError, match=r"env holds a credential .*: HF_TOKEN") as caught:
        LocalProcessSettings.model_validate({"env": {"HF_TOKEN": "tr0ub4dor", "THREADS": "1"}})
    assert "tr0ub4dor" not in str(caught.value)
    LocalProcessSettings.model_validate({"env": {"THREADS": "1", "URL": "http://host:80"}})


def test_a_train_process_that_is_killed_goes_on_by_the_retry(project: Project, glyphs: Path) -> None:
    from zenml.client import Client

    path = config(project, "retried.yaml", glyphs, steps=180, evaluate_every=30, learning_rate=0.0011)
    plan = yaml.safe_load(path.read_text())
    plan["parameters"]["model_name"] = "retried"
    plan["steps"]["train"]["retry"] = {"max_retries": 2}
    path.write_text(yaml.safe_dump(plan))
    checkpoint = Path(Client().active_stack.artifact_store.path) / "checkpoints" / "retried.safetensors"
    process = start(project, path)
    read_until(process, "training on")
    (running,) = step_processes()
    assert wait_until(checkpoint.exists, seconds=60)
    os.kill(running, signal.SIGKILL)
    output = process.communicate(timeout=400)[0]
    assert process.returncode == 0, output
    assert "resuming the interrupted run at step" in output
    run = Client().get_pipeline("training_pipeline").last_run
    assert run.steps["train"].outputs["encoder"][0].load().history[-1]["step"] == 180

"""One holder at a time, over processes that live, that are killed, and that run on other machines."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from uuid import uuid4

import pytest
from mlflow.tracking import MlflowClient

from siamese_core.errors import BusyError
from siamese_integrations import model_lock as module
from siamese_integrations.model_lock import Holder, check_held, model_lock
from siamese_integrations.processes import Process, _start_of

pytestmark = pytest.mark.usefixtures("registry")

# MLflow is imported once, and the children fork before it opens the database.
_CHILDREN = """
import os, sys, time, mlflow
from siamese_integrations import model_lock as module
mlflow.set_tracking_uri(sys.argv[1])
module._LOOK_EVERY = 0.2
name, marker, turns, children = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])

def work():
    for _ in range(turns):
        with module.model_lock(name, "child", wait=True):
            os.close(os.open(marker, os.O_CREAT | os.O_EXCL))  # fails where another one is inside
            time.sleep(0.01)
            os.unlink(marker)

pids = []
for _ in range(children):
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    pids.append(pid)
assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
"""
_HOLDER = """
import sys, time, mlflow
from siamese_integrations.model_lock import model_lock
mlflow.set_tracking_uri(sys.argv[1])
with model_lock(sys.argv[2], "a long training"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def name() -> str:
    return f"people-{uuid4().hex}"


@pytest.fixture
def other(records: str, name: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, records, name], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def contend(records: str, name: str, marker: Path, turns: int, children: int) -> None:
    command = [sys.executable, "-c", _CHILDREN, records, name, str(marker), str(turns), str(children)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def entries(registry: MlflowClient, name: str) -> list[str]:
    return [model.name for model in registry.search_registered_models() if model.name.startswith(name)]


def leave_lock(registry: MlflowClient, name: str, process: Process, renewed: float) -> Holder:
    """The entry of a holder, as one that did not release it leaves it."""
    holder = Holder(uuid4().hex, "a long training", process, "2026-01-01 00:00:00 UTC", renewed)
    registry.create_registered_model(f"{name}@lock", {"holder": json.dumps(asdict(holder))})
    return holder


def test_of_several_processes_one_is_inside(records: str, registry: MlflowClient, name: str, tmp_path: Path) -> None:
    contend(records, name, tmp_path / "marker", turns=3, children=3)
    assert entries(registry, name) == []


def test_of_several_who_find_a_dead_holder_one_takes_over(
    records: str, registry: MlflowClient, name: str, tmp_path: Path
) -> None:
    leave_lock(registry, name, replace(Process.this(), started="another boot"), time.time())
    contend(records, name, tmp_path / "marker", turns=1, children=4)
    assert entries(registry, name) == []


def test_a_living_holder_is_named_and_a_killed_one_replaced(
    name: str, other: subprocess.Popen[str], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        pytest.raises(BusyError, match=rf"{name} is busy: a long training \(process {other.pid} on "),
        model_lock(name, "mine"),
    ):
        pytest.fail("two holders")
    other.send_signal(signal.SIGKILL)  # not waited for: a process that only its parent still lists is gone too
    while _start_of(other.pid):
        time.sleep(0.01)
    with model_lock(name, "mine"):
        check_held(name)
    assert f"left by a long training (process {other.pid} on " in caplog.text


def test_who_waits_gets_it_next(name: str, other: subprocess.Popen[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    ending = subprocess.Popen(["sh", "-c", f"sleep 1; kill {other.pid}"])
    with model_lock(name, "mine", wait=True):
        check_held(name)
    assert "waiting: " in caplog.text
    ending.wait()


def test_the_holder_and_the_processes_that_it_starts_go_on_under_its_lock(records: str, name: str) -> None:
    with model_lock(name, "outer"):
        with model_lock(name, "inner"):
            check_held(name)
        check_held(name)
        code = _HOLDER.replace("time.sleep(600)", "pass")
        done = subprocess.run([sys.executable, "-c", code, records, name], capture_output=True, text=True)
        assert done.stdout == "held\n", done.stderr
        check_held(name)
    assert "SIAMESE_MODEL_LOCK" not in os.environ
    with pytest.raises(BusyError, match="was lost"):
        check_held(name)


@pytest.mark.parametrize(("age", "free"), [(0, False), (500, False), (700, True)])
def test_a_holder_on_another_machine_is_believed_for_ten_minutes(
    registry: MlflowClient, name: str, age: float, free: bool
) -> None:
    leave_lock(registry, name, Process("elsewhere", 1, "then"), time.time() - age)
    if free:
        with model_lock(name, "mine"):
            check_held(name)
        return
    with pytest.raises(BusyError, match="process 1 on elsewhere"), model_lock(name, "mine"):
        pytest.fail("two holders")


def test_a_holder_says_that_it_is_alive(registry: MlflowClient, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEW_EVERY", 0.05)
    with model_lock(name, "mine"):
        first = module._holder(registry, name)
        assert first
        while (now := module._holder(registry, name)) and now.renewed == first.renewed:
            time.sleep(0.05)
        assert now
        assert now.renewed > first.renewed


def test_a_holder_whose_lock_was_taken_notices_and_leaves_the_next_ones_alone(
    registry: MlflowClient, name: str
) -> None:
    with model_lock(name, "suspended for an hour"):
        registry.delete_registered_model(f"{name}@lock")
        leave_lock(registry, name, Process("elsewhere", 1, "then"), time.time())
        with pytest.raises(BusyError, match="was lost to a long training"):
            check_held(name)
    assert entries(registry, name) == [f"{name}@lock"]


def test_a_process_is_told_from_a_later_one_with_its_number() -> None:
    this = Process.this()
    assert not this.gone
    assert replace(this, started="earlier").gone
    assert not replace(this, machine="elsewhere", started="earlier").gone

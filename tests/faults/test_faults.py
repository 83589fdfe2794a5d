"""Kills, and disks, clocks, databases and registries that fail: the champion answers, and the next run repairs all."""

import errno
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.experiment import Experiment
from tests.faults.faults import ENDLESS
from tests.faults.kills import trial
from tests.faults.workplace import Child

# Half a minute each, and more on a machine at work.
pytestmark = pytest.mark.slow

PATIENCE = 400.0


def failure(child: Child) -> str:
    """The words with which a run failed; empty if it went well."""
    assert child.wait(PATIENCE), "the run hangs"
    try:
        child.result()
    except RuntimeError as error:
        return str(error)
    return ""


def assert_repaired(experiment: Experiment) -> None:
    """The champion answers now, and a run without a fault ends as if there had never been one."""
    assert list(experiment.reading_problems()) == []
    assert list(experiment.rerun_problems()) == []


@contextmanager
def own_disk(store: Path, aside: Path) -> Iterator[None]:
    """Put a copy of the artifact store on a file system of its own, where it is gone afterwards."""
    shutil.copytree(store, aside)
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(store)], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this user may not mount a file system")
    try:
        shutil.copytree(aside, store, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(store)], check=True)


def remount(store: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(store)], check=True)


def used(store: Path) -> int:
    state = os.statvfs(store)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


@pytest.mark.parametrize("number", range(3))
def test_a_kill(retraining: Experiment, number: int) -> None:
    done = trial(retraining, number)
    assert done["killed"]
    assert done["problems"] == []


@pytest.mark.parametrize(
    "free", [pytest.param(32, marks=pytest.mark.slow), pytest.param(256, marks=pytest.mark.slow), 1024]
)
def test_a_full_disk(retraining: Experiment, work_folder: Path, free: int) -> None:
    store = retraining.go_back().store
    with own_disk(store, work_folder / "aside"):
        remount(store, f"size={used(store) + free * 1024}")
        assert "No space left on device" in failure(retraining.start()) or "disk is full" in retraining.place.log()
        assert list(retraining.reading_problems()) == []
        remount(store, "size=1g")
        assert_repaired(retraining)


def test_a_read_only_store(retraining: Experiment, work_folder: Path) -> None:
    store = retraining.go_back().store
    with own_disk(store, work_folder / "aside"):
        remount(store, "ro")
        words = failure(retraining.start())
        assert "ead-only" in words or "readonly" in words
        assert list(retraining.reading_problems()) == []
        remount(store, "rw")
        assert_repaired(retraining)


SLOW_WRITES = [
    pytest.param(share, marks=pytest.mark.slow) for share in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
]


@pytest.mark.parametrize("share", [*SLOW_WRITES, 0.95])
def test_a_write_fails(faulty: Experiment, share: float) -> None:
    """An I/O error in one write to the artifact store and MLflow's records, at a share of all of a run's writes."""
    faulty.go_back()
    place = int(share * faulty.writes)
    failure(faulty.start("fail_writes", faulty.place.store, place, 1, errno.EIO))
    assert_repaired(faulty)


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.35, 0.65, 0.95])
def test_all_writes_fail(faulty: Experiment, share: float) -> None:
    """The disk of the whole workplace, ZenML's records too, is full from one write on."""
    faulty.go_back()
    place = int(share * faulty.writes)
    assert failure(faulty.start("fail_writes", faulty.place.folder / "zenml", place, ENDLESS, errno.ENOSPC))
    assert_repaired(faulty)


def test_the_clock_jumps(faulty: Experiment) -> None:
    """A day ahead, two days back, right again, every third of a second."""
    faulty.go_back()
    assert failure(faulty.start("jump_clock", 0.3, 24, -48, 0)) == ""
    assert_repaired(faulty)


@pytest.mark.slow
@pytest.mark.parametrize("hours", [-1000.0, 1000.0])
def test_the_clock_is_wrong(faulty: Experiment, hours: float) -> None:
    faulty.go_back()
    assert failure(faulty.start("jump_clock", 1000, hours)) == ""
    assert_repaired(faulty)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold a write transaction in a database."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("seconds", [3, pytest.param(90, marks=pytest.mark.slow)])
@pytest.mark.parametrize("database", ["zenml/local_stores/default_zen_store/zenml.db", "mlflow.db"])
def test_a_locked_database(retraining: Experiment, database: str, seconds: int) -> None:
    place = retraining.go_back()
    child = retraining.start()
    child.wait_for_work(0.5 * retraining.seconds)
    with locked(place.store / database if database == "mlflow.db" else place.folder / database):
        time.sleep(seconds)
    words = failure(child)
    assert words == "" or seconds > 3
    assert_repaired(retraining)


LEAVES_FILES = pytest.mark.xfail(strict=False, reason="MLflow's and our temporary folders in register outlive a kill")


@pytest.mark.parametrize("call", [pytest.param(1, marks=LEAVES_FILES), 2])
def test_a_run_is_killed_before_an_alias(retraining: Experiment, call: int) -> None:
    """The first call makes the new version the challenger, the second the champion."""
    retraining.go_back()
    child = retraining.start("kill_before", "set_registered_model_alias", call)
    with pytest.raises(EOFError):  # it never answers
        child.result()
    assert_repaired(retraining)


@contextmanager
def registry_server(database: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """An MLflow server over the records of a workplace."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{database}"]
    more = ["--no-serve-artifacts", "--default-artifact-root", str(database.parent), "--workers", "1"]
    process = subprocess.Popen(
        [*command, *more, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(600):
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health"):
                break
            time.sleep(0.2)
        else:
            pytest.fail("the server does not start")
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("_create_model_version", 1),
        ("update_model_version", 1),
        ("set_registered_model_alias", 1),
        ("set_registered_model_alias", 2),
    ],
)
def test_the_registry_dies_in_the_middle(retraining: Experiment, method: str, call: int) -> None:
    """Its server is killed between the parts of a registration; the run fails, and the next one completes it."""
    place = retraining.go_back()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place.call("use_server", f"http://127.0.0.1:{port}")
    with registry_server(place.store / "mlflow.db", port) as server:
        assert failure(retraining.start("kill_before", method, call, server.pid))
        server.wait()
    with registry_server(place.store / "mlflow.db", port):
        assert_repaired(retraining)


def test_the_champion_answers_at_every_moment(retraining: Experiment) -> None:
    """A reader asks again and again while a retraining makes another champion."""
    place = retraining.go_back()
    reader = place.start("watch")
    run = retraining.start()
    assert failure(run) == ""
    (place.folder / "enough").touch()
    answers = reader.result()
    assert len(answers) > 3
    assert [version for version, _ in dict.fromkeys(map(tuple, answers))] == ["1", "2"]

"""Faults that meet a child, set in it before its work begins."""

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import threading
import time
from itertools import count, cycle
from pathlib import Path

ENDLESS = 2**62


def compile_library(folder: Path) -> Path | None:
    """Build the library to preload; None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    library = folder / "faults.so"
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None)  # what was preloaded is part of the process


def fail_writes(folder: Path, good: int, bad: int, code: int = errno.EIO) -> None:
    """Let `good` writes below a folder pass and the next `bad` fail."""
    _library().fail_writes(os.fsencode(folder), ctypes.c_long(good), ctypes.c_long(bad), code)


def count_writes(folder: Path | None = None) -> int:
    """The writes below a folder from now on; without one, their number so far."""
    library = _library()
    if not hasattr(library, "count_writes"):
        return 0
    if folder:
        fail_writes(folder, ENDLESS, 0)
    library.count_writes.restype = ctypes.c_long
    return int(library.count_writes())


def jump_clock(every: float, *hours: float) -> None:
    """Set the wall clock off by so many hours, one after the other and again, a change every few seconds."""

    def jump() -> None:
        for each in cycle(hours):
            _library().shift_clock(ctypes.c_long(int(each * 3600)))
            time.sleep(every)

    threading.Thread(target=jump, daemon=True).start()


def kill_before(name: str, call: int, group: int = 0) -> None:
    """Kill a process group, this one if none is named, when MLflow's client calls a method for the so many-th time."""
    from mlflow.tracking import MlflowClient

    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "1"  # of a server that will not come back while the run lasts
    method, calls = getattr(MlflowClient, name), count(1)

    def killing(*arguments: object, **options: object) -> object:
        if next(calls) == call:
            os.killpg(group, signal.SIGKILL)
        return method(*arguments, **options)

    setattr(MlflowClient, name, killing)

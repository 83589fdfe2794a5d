"""What people see of a run's process."""

import os
import subprocess
import sys

import pytest

PROGRAM = r"""
import logging
import siamese_integrations.quiet_libraries
import zenml.client
from siamese_core.errors import DataError
from siamese_integrations.zenml_output import show_plainly

show_plainly()
show_plainly()
for name in ("siamese_core.data.ingest", "siamese_integrations.great_expectations_suite", "steps.ingest"):
    logging.getLogger(name).info(f"100% of {name}")
logging.getLogger("siamese_core.data.split").warning("careful")
logging.getLogger("siamese_core.data.split").debug("detail")
logging.getLogger("zenml").error("ZenML cannot locate and import the data type of this artifact 'x.Y'.")
try:
    raise DataError("no images")
except DataError:
    logging.getLogger("zenml").exception("Step failed")
logging.getLogger("steps.ingest").info("%s", "\x1b[2J\nfine.png")
logging.getLogger("sqlalchemy").warning("no answer from %s\nat all", "mysql://root:pw@db")
try:
    raise RuntimeError("http://ada:pw@host")
except RuntimeError:
    logging.getLogger("zenml").exception("Step failed")
raise DataError("no images")
"""


@pytest.mark.parametrize("verbosity", ["INFO", "WARN"])
def test_our_lines_come_once_without_a_prefix_and_our_errors_without_a_traceback(verbosity: str) -> None:
    environment = {**os.environ, "ZENML_LOGGING_VERBOSITY": verbosity}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:8] == [
        "100% of siamese_core.data.ingest",
        "100% of siamese_integrations.great_expectations_suite",
        "100% of steps.ingest",
        "careful",
        "Step failed",
        "\\x1b[2J\\nfine.png",
        "no answer from mysql://***@db",
        "at all",
    ]
    assert lines[8:10] == ["Step failed", "Traceback (most recent call last):"]
    assert lines[-1] == "RuntimeError: http://***@host"
    assert "pw" not in done.stdout
    assert done.stderr == "\nError: no images\n"


FAILURES = """
import logging, sqlite3, threading
import siamese_integrations.quiet_libraries
from siamese_integrations.zenml_output import show_plainly
logging.basicConfig(format="%(message)s")
show_plainly()
full = OSError(28, "No space left on device", "/data/images.u8")
database = sqlite3.OperationalError("database or disk is full")

class Broken(logging.Handler):
    def emit(self, record):
        try:
            raise full
        except OSError:
            self.handleError(record)

def fail(error):
    raise error

logging.getLogger().addHandler(Broken())
try:
    fail(full)
except OSError:
    logging.getLogger("zenml").exception("Step failed\\n[SQL: UPDATE step_run]\\n[parameters: (1)]")
thread = threading.Thread(target=fail, args=(database,))
thread.start()
thread.join()
try:
    fail(database)
except sqlite3.OperationalError as error:
    raise RuntimeError("MLflow") from error
"""


def test_a_full_disk_is_one_sentence_wherever_it_strikes() -> None:
    done = subprocess.run([sys.executable, "-c", FAILURES], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "Step failed\n\nError: the database cannot be used: database or disk is full\n"


def test_zenml_where_it_may_not_write_is_one_sentence() -> None:
    environment = {**os.environ, "ZENML_CONFIG_PATH": "/sys/zenml"}  # not even root may write there
    command = [sys.executable, "-m", "siamese_integrations.zenml_command", "pipeline", "run", "x.y"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("\nError: /sys/zenml")
    assert len(done.stderr.splitlines()) == 2


def test_a_run_that_finds_another_one_at_work_ends_with_a_code_of_its_own() -> None:
    program = PROGRAM.replace("DataError", "BusyError")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (75, "\nError: no images\n")

"""What people see of a run's process."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
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
raise DataError("no images")
"""


@pytest.mark.parametrize("verbosity", ["INFO", "WARN"])
def test_our_lines_come_once_without_a_prefix_and_our_errors_without_a_traceback(verbosity: str) -> None:
    environment = {**os.environ, "ZENML_LOGGING_VERBOSITY": verbosity}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "100% of siamese_core.data.ingest",
        "100% of siamese_integrations.great_expectations_suite",
        "100% of steps.ingest",
        "careful",
        "Step failed",
    ]
    assert done.stderr == "\nError: no images\n"


def test_a_run_that_finds_another_one_at_work_ends_with_a_code_of_its_own() -> None:
    program = PROGRAM.replace("DataError", "BusyError")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (75, "\nError: no images\n")

"""One fork server and one start of a retraining for all tests of this folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.experiment import Experiment
from tests.faults.faults import compile_library
from tests.faults.workplace import start_fork_server


@pytest.fixture(scope="session")
def library(session_folder: Path) -> Path | None:
    return compile_library(session_folder)


@pytest.fixture(scope="session")
def fork_server(library: Path | None) -> None:
    start_fork_server(library)


@pytest.fixture(scope="session")
def retraining(session_folder: Path, fork_server: None) -> Experiment:
    """A champion, and identities that came after it."""
    return Experiment("retraining", session_folder / "faults")


@pytest.fixture
def faulty(retraining: Experiment, library: Path | None) -> Experiment:
    """The same, where writes can be made to fail and the clock can jump."""
    if library is None:
        pytest.skip("no C compiler: writes cannot be made to fail")
    return retraining


@pytest.fixture
def work_folder(session_folder: Path) -> Iterator[Path]:
    folder = session_folder / "faults-work"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)

"""An MLflow registry of the tests' own."""

from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient


@pytest.fixture(scope="session")
def records(session_folder: Path) -> str:
    """The URI of an MLflow database."""
    uri = f"sqlite:///{session_folder}/registry.db"
    client = MlflowClient(uri)
    client.create_experiment("tests", artifact_location=str(session_folder / "registry-artifacts"))
    return uri


@pytest.fixture
def registry(records: str) -> Iterator[MlflowClient]:
    """The database as MLflow's registry of this process."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(records)
    yield MlflowClient()
    mlflow.set_tracking_uri(before)

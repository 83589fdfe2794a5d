"""The place of MLflow's records, and MLflow's errors in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from siamese_core.errors import ModelError, first_line, plain_words

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient


@contextmanager
def registry() -> Iterator[MlflowClient]:
    """Open MLflow's records.

    Raises:
        ModelError: In place of MLflow's own errors.
    """
    uri = use_tracking()
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    try:
        yield MlflowClient()
    except MlflowException as error:
        raise ModelError(f"MLflow at {uri}: {plain_words(error) or first_line(error)}") from error


def use_tracking() -> str:
    """Point MLflow at the stack's records, unless the user has pointed it elsewhere.

    Returns:
        The tracking URI.

    Raises:
        ModelError: MLflow is not installed, or there is no stack yet.
    """
    import siamese_integrations.quiet_libraries  # noqa: F401

    # MLflow alone would try a server that does not answer for four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    try:
        import mlflow
    except ModuleNotFoundError as error:
        raise ModelError(
            "Registered models need MLflow (pip install 'siamese-pipelines[registry]'); a folder needs nothing more."
        ) from error
    mlflow.set_tracking_uri(uri := tracking_uri())
    return uri


def tracking_uri() -> str:
    """Find the tracking URI: `MLFLOW_TRACKING_URI` if it is set, else that of the project's ZenML stack.

    Raises:
        ModelError: There is no stack yet, or no ZenML that could have one.
    """
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        return uri
    import siamese_integrations.quiet_libraries  # noqa: F401

    os.environ.setdefault("ZENML_LOGGING_VERBOSITY", "ERROR")
    try:
        from siamese_integrations.zenml_stack import tracker_uri
    except ModuleNotFoundError as error:
        raise ModelError(
            "Set MLFLOW_TRACKING_URI, or install ZenML, whose stack knows it: "
            "pip install 'siamese-pipelines[pipelines]'."
        ) from error
    if uri := tracker_uri():
        return uri
    raise ModelError("There is no stack yet: run `make stack`, or set MLFLOW_TRACKING_URI.")

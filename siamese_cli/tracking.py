"""Where MLflow's records are."""

import os

from siamese_core.errors import ModelError


def use_tracking() -> str:
    """Points MLflow at the stack's records, unless the user has pointed it elsewhere; returns the URI."""
    import siamese_integrations.quiet_libraries  # noqa: F401

    uri = tracking_uri()
    import mlflow

    mlflow.set_tracking_uri(uri)
    return uri


def tracking_uri() -> str:
    """`MLFLOW_TRACKING_URI` where it is set, else the tracker of the project's ZenML stack, from any folder.

    Raises:
        ModelError: The stack has not been made yet.
    """
    if given := os.environ.get("MLFLOW_TRACKING_URI"):
        return given
    import siamese_integrations.quiet_libraries  # noqa: F401

    os.environ.setdefault("ZENML_LOGGING_VERBOSITY", "ERROR")
    from infra.bootstrap_stack import tracker_uri

    uri = tracker_uri()
    if uri is None:
        raise ModelError("There is no stack yet: run `make stack`, or set MLFLOW_TRACKING_URI.")
    return uri

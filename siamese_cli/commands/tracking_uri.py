"""`siamese tracking-uri`: the place of MLflow's records."""

from siamese_cli import tracking
from siamese_cli.options import command
from siamese_cli.output import Answer


@command("export MLFLOW_TRACKING_URI=$(siamese tracking-uri)")
def tracking_uri() -> Answer:
    """Print the tracking URI of MLflow.

    It is MLFLOW_TRACKING_URI if that is set, else that of the ZenML stack which `make stack` makes.
    """
    uri = tracking.tracking_uri()
    return Answer({"tracking_uri": uri}, uri)

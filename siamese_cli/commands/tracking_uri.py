"""`siamese tracking-uri`: the place of MLflow's records."""

import click

from siamese_cli.options import json_option
from siamese_cli.output import Output


@click.command(
    epilog="""\b
Example:
  export MLFLOW_TRACKING_URI=$(siamese tracking-uri)"""
)
@json_option
@click.pass_obj
def tracking_uri(output: Output) -> None:
    """Print the tracking URI of MLflow.

    It is MLFLOW_TRACKING_URI if that is set, else that of the ZenML stack which `make stack` makes.
    """
    from siamese_cli.tracking import tracking_uri

    uri = tracking_uri()
    output.answer({"tracking_uri": uri}, uri)

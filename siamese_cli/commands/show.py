"""`siamese show`: one model."""

import click

from siamese_cli.options import json_option, model_option
from siamese_cli.output import Output


@click.command(
    epilog="""\b
Example:
  siamese show --model people/3"""
)
@model_option
@json_option
@click.pass_obj
def show(output: Output, model: str | None) -> None:
    """Show a model: its error rates, its thresholds, its report.

    The error rates are those on test identities, which neither training nor calibration has seen.
    """
    from siamese_cli.show import describe, facts

    known = facts(model)
    output.answer(known.as_json(), describe(known))

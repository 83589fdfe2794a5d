"""`siamese history`, `promote` and `rollback`: the versions of a registered model."""

import click

from siamese_cli.options import json_option
from siamese_cli.output import Output

_name = click.argument("name", metavar="NAME")


@click.command(
    epilog="""\b
Example:
  siamese history people"""
)
@_name
@json_option
@click.pass_obj
def history(output: Output, name: str) -> None:
    """List the versions of the registered model NAME.

    The newest comes first, each with its aliases, its equal error rate and the reason why it was promoted or not.
    """
    from siamese_cli.versions import describe, history

    versions = history(name)
    output.answer(versions, describe(versions))


@click.command(
    epilog="""\b
Examples:
  siamese promote people 3
  siamese promote people/3
  siamese promote people@challenger"""
)
@_name
@click.argument("version", metavar="[VERSION]", required=False)
@json_option
@click.pass_obj
def promote(output: Output, name: str, version: str | None) -> None:
    """Make a version of the registered model NAME its champion.

    Whatever the promotion gate has decided about it.
    """
    from siamese_cli.versions import promote

    model, number = promote(name, version)
    output.answer({"champion": number}, f"{model}: version {number} is the champion")


@click.command(
    epilog="""\b
Example:
  siamese rollback people"""
)
@_name
@json_option
@click.pass_obj
def rollback(output: Output, name: str) -> None:
    """Make the previous champion of NAME the champion again."""
    from siamese_cli.versions import rollback

    model, before, now = rollback(name)
    output.answer(
        {"champion": now, "was": before}, f"{model}: version {now} is the champion again, instead of {before}"
    )

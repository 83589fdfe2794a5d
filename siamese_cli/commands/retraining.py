"""`siamese retrain` and `schedule`: the retraining pipeline of a checkout, now or every night."""

from pathlib import Path

import click

from siamese_cli.checkout import checkout
from siamese_cli.options import config_option, json_option
from siamese_cli.output import Output


@click.command(
    epilog="""\b
Example:
  siamese retrain -c configs/retraining.yaml"""
)
@config_option
@click.option("--wait", is_flag=True, help="Wait for a run in progress instead of declining.")
@json_option
@click.pass_obj
def retrain(output: Output, config: Path, wait: bool) -> int:
    """Run the retraining pipeline, one run at a time.

    The pipeline is that of the checkout around the working directory, or of the one that siamese was installed from.
    The exit code is 75 if another run is in progress, else that of the run.
    """
    from siamese_cli.schedule import retrain

    code = retrain(checkout(), config, wait, quiet=output.json)
    if output.json:
        output.answer({"exit_code": code}, "")
    return code


@click.group(no_args_is_help=False)
@json_option
def schedule() -> None:
    """Retrain on a schedule, with systemd or cron."""


@schedule.command(
    epilog="""\b
Example:
  siamese schedule install -c configs/retraining.yaml --at 'Mon 02:30'"""
)
@config_option
@click.option(
    "--at",
    default="*-*-* 03:00:00",
    metavar="CALENDAR",
    show_default=True,
    help="A calendar expression as in systemd.time(7).",
)
@json_option
@click.pass_obj
def install(output: Output, config: Path, at: str) -> None:
    """Write the units of a systemd timer for this user and this checkout, and start it."""
    from siamese_cli.schedule import install

    _answer(output, install(checkout(), config, at))


@schedule.command(
    epilog="""\b
Example:
  siamese schedule show"""
)
@json_option
@click.pass_obj
def show(output: Output) -> None:
    """Print the units that are installed."""
    from siamese_cli.schedule import show

    _answer(output, show())


@schedule.command(
    epilog="""\b
Example:
  siamese schedule remove"""
)
@json_option
@click.pass_obj
def remove(output: Output) -> None:
    """Stop the timer and remove its units."""
    from siamese_cli.schedule import remove

    _answer(output, remove())


def _answer(output: Output, words: str) -> None:
    output.answer({"message": words}, words)

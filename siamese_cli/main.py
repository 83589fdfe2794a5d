"""The `siamese` command: its commands, which import what is slow when they run."""

import os
import sys
from collections.abc import Sequence

import click

from siamese_cli.commands.check_config import check_config
from siamese_cli.commands.completion import COMPLETE, completion
from siamese_cli.commands.data import data
from siamese_cli.commands.embed import embed
from siamese_cli.commands.evaluate import evaluate
from siamese_cli.commands.prune import prune
from siamese_cli.commands.registry import history, promote, rollback
from siamese_cli.commands.retrain import retrain
from siamese_cli.commands.schedule import schedule
from siamese_cli.commands.show import show
from siamese_cli.commands.tracking_uri import tracking_uri
from siamese_cli.commands.verify import verify
from siamese_cli.exit_codes import ExitCode, run
from siamese_cli.output import Answer
from siamese_core import __version__
from siamese_integrations.private_files import keep_files_private

_QUESTIONS = [verify, embed, evaluate, show]
_VERSIONS = [history, promote, rollback, retrain, schedule, prune]
_TOOLS = [check_config, tracking_uri, data, completion]


class _InOrder(click.Group):
    """A group that lists its commands in the order in which they were given."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.command(
    cls=_InOrder,
    commands=[*_QUESTIONS, *_VERSIONS, *_TOOLS],
    invoke_without_command=True,
    epilog="""\
Every command ends with exit code 0 when it has done its work and with 2 when it could not, for whatever reason.
Code 1 is a negative answer: verify found two different identities, embed could not read some of the files, or
check-config found mistakes. retrain ends with 1 when the run failed and with 75 when another run is in progress.

To see the traceback of an error, set SIAMESE_DEBUG=1.

\b
Example:
  siamese verify --model people ada.jpg grace.jpg""",
)
@click.version_option(__version__, message="%(version)s")
@click.pass_context
def siamese(context: click.Context) -> Answer:
    """Verify faces, characters or other identities by comparing images."""
    return Answer(None, "" if context.invoked_subcommand else context.get_help(), ExitCode.TROUBLE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        An `ExitCode`, or the code that a retraining run ended with.
    """
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(siamese, {}, "siamese", COMPLETE, instruction)
    keep_files_private()
    return run(siamese, sys.argv[1:] if arguments is None else arguments)

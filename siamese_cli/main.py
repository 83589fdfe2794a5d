"""The `siamese` command: a table of its commands, each imported when it is asked for."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from siamese_cli.exit_codes import ExitCode, run
from siamese_core import __version__

# Command → its module in siamese_cli.commands, where a function has the command's name.
_MODULES = {
    "verify": "verify",
    "embed": "embed",
    "evaluate": "evaluate",
    "show": "show",
    "history": "registry",
    "promote": "registry",
    "rollback": "registry",
    "retrain": "retraining",
    "schedule": "retraining",
    "check-config": "check_config",
    "tracking-uri": "tracking_uri",
    "data": "data",
    "completion": "completion",
}
COMPLETE = "_SIAMESE_COMPLETE"


class _LazyGroup(click.Group):
    """A group whose commands are imported one by one, so that none pays for another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = import_module(f"siamese_cli.commands.{_MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] in _MODULES or args[0].startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        raise click.NoSuchCommand(args[0], possibilities=_MODULES, ctx=ctx)


@click.command(
    cls=_LazyGroup,
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
def siamese(context: click.Context) -> int:
    """Verify faces, characters or other identities by comparing images."""
    if context.invoked_subcommand:
        return ExitCode.DONE
    click.echo(context.get_help())
    return ExitCode.TROUBLE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        An `ExitCode`, or the code that a retraining run ended with.
    """
    if instruction := os.environ.get(COMPLETE):
        from click.shell_completion import shell_complete

        return shell_complete(siamese, {}, "siamese", COMPLETE, instruction)
    return run(siamese, sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())

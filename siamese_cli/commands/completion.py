"""`siamese completion`: completion of commands and options by the Tab key."""

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog="""\b
Examples:
  siamese completion bash > ~/.local/share/bash-completion/completions/siamese
  siamese completion zsh > ~/.zfunc/_siamese     # with fpath+=~/.zfunc in ~/.zshrc
  siamese completion fish > ~/.config/fish/completions/siamese.fish

\b
For the present shell alone:
  eval "$(siamese completion bash)\""""
)
@click.argument("shell", metavar="SHELL", type=click.Choice(list(_SHELLS)))
def completion(shell: str) -> None:
    """Print the completion script for bash, zsh or fish.

    The script completes commands, options and file names in new shells once it is where the shell looks for it.
    """
    from siamese_cli.main import COMPLETE, siamese

    click.echo(_SHELLS[shell](siamese, {}, "siamese", COMPLETE).source())

"""`siamese completion`: completion of commands and options by the Tab key."""

import click

from siamese_cli.options import command
from siamese_cli.output import Answer

COMPLETE = "_SIAMESE_COMPLETE"


@command(
    "siamese completion bash > ~/.local/share/bash-completion/completions/siamese",
    "siamese completion zsh > ~/.zfunc/_siamese     # with fpath+=~/.zfunc in ~/.zshrc",
    "siamese completion fish > ~/.config/fish/completions/siamese.fish",
    'eval "$(siamese completion bash)"              # for the present shell alone',
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> Answer:
    """Print the completion script for bash, zsh or fish.

    The script completes commands, options and file names in new shells once it is where the shell looks for it.
    """
    from click.shell_completion import get_completion_class

    maker = get_completion_class(shell)
    assert maker is not None
    script = maker(context.find_root().command, {}, "siamese", COMPLETE).source()
    return Answer({"script": script}, script)

"""Decorators that the commands share."""

from collections.abc import Callable
from pathlib import Path

import click

from siamese_cli.output import Answer

PATH = click.Path(path_type=Path)
EXISTING = click.Path(exists=True, path_type=Path)
JSON = click.Option(
    ["--json"], is_flag=True, expose_value=False, help="Print the answer, or the error, as one JSON document."
)

model_option = click.option(
    "--model",
    metavar="MODEL",
    help="A registered model: NAME (its champion), NAME@ALIAS or NAME/VERSION, with or without models:/ in front. "
    "Or a folder: an exported verifier, or one made by `mlflow artifacts download`. Where a folder and a registered "
    "model have the same name, the folder is taken; models:/NAME always means the registered model and ./NAME the "
    "folder.  [default: the only champion in the registry]",
)

config_option = click.option(
    "-c",
    "--config",
    required=True,
    type=click.Path(exists=True, dir_okay=False, resolve_path=True, path_type=Path),
    metavar="FILE",
    help="The run configuration, such as configs/faces.yaml.",
)


def command(*examples: str) -> Callable[[Callable[..., Answer]], click.Command]:
    """Make a function a command with `--json`, and show examples of its use below its help."""
    title = "\b\nExample:" if len(examples) == 1 else "\b\nExamples:"

    def decorate(function: Callable[..., Answer]) -> click.Command:
        made = click.command(epilog="\n  ".join([title, *examples]))(function)
        made.params.append(JSON)
        return made

    return decorate

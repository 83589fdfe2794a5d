"""Options that several commands share."""

from pathlib import Path

import click

PATH = click.Path(path_type=Path)

json_option = click.option(
    "--json", is_flag=True, expose_value=False, help="Print the answer, or the error, as one JSON document."
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
    type=PATH,
    metavar="FILE",
    help="The run configuration, such as configs/faces.yaml.",
)

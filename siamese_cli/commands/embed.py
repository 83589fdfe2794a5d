"""`siamese embed`: many images at once."""

from pathlib import Path

import click

from siamese_cli.exit_codes import ExitCode
from siamese_cli.options import PATH, json_option, model_option
from siamese_cli.output import Output


@click.command(
    epilog="""\b
Example:
  siamese embed --model people photos/ -o photos.npz"""
)
@click.argument("inputs", metavar="FOLDER_OR_FILE...", nargs=-1, required=True, type=PATH)
@click.option(
    "-o",
    "--output",
    "file",
    required=True,
    type=PATH,
    metavar="OUT.npz",
    help="The file to write, with the arrays `paths` and `embeddings`.",
)
@model_option
@json_option
@click.pass_obj
def embed(output: Output, inputs: tuple[Path, ...], file: Path, model: str | None) -> int:
    """Write the embeddings of images to an .npz file.

    Folders are searched at any depth. Files that are no images are named and skipped; the exit code is then 1.
    """
    from siamese_cli.embedding import embed_files

    count, skipped = embed_files(inputs, file, model)
    for path, reason in skipped.items():
        click.echo(f"skipped {path}: {reason}", err=True)
    output.answer(
        {"output": file, "embedded": count, "skipped": skipped},
        f"{count:,} embeddings in {file}" + (f", {len(skipped):,} files skipped" if skipped else ""),
    )
    return ExitCode.NO if skipped else ExitCode.DONE

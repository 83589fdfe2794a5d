"""`siamese embed`: many images at once."""

from pathlib import Path

import click

from siamese_cli.exit_codes import ExitCode
from siamese_cli.options import EXISTING, PATH, command, model_option
from siamese_cli.output import Answer, note


@command("siamese embed --model people photos/ -o photos.npz")
@click.argument("inputs", metavar="FOLDER_OR_FILE...", nargs=-1, required=True, type=EXISTING)
@click.option(
    "-o",
    "--output",
    required=True,
    type=PATH,
    metavar="OUT.npz",
    help="The file to write, with the arrays `paths` and `embeddings`.",
)
@model_option
def embed(inputs: tuple[Path, ...], output: Path, model: str | None) -> Answer:
    """Write the embeddings of images to an .npz file.

    Folders are searched at any depth. Files that are no images are named and skipped; the exit code is then 1.
    """
    from siamese_cli.embedding import embed_files

    count, skipped = embed_files(inputs, output, model)
    for path, reason in skipped.items():
        note(f"skipped {path}: {reason}")
    return Answer(
        {"output": output, "embedded": count, "skipped": skipped},
        f"{count:,} embeddings in {output}" + (f", {len(skipped):,} files skipped" if skipped else ""),
        ExitCode.NO if skipped else ExitCode.DONE,
    )

"""`siamese data`: data sets that need no download."""

from pathlib import Path

import click

from siamese_cli.options import PATH, json_option
from siamese_cli.output import Output


@click.group(no_args_is_help=False)
@json_option
def data() -> None:
    """Make a data set that needs no download."""


@data.command(
    epilog="""\b
Example:
  siamese data glyphs data/glyphs"""
)
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--characters", type=int, metavar="N", help="Number of characters, drawn at random.  [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random draws.")
@json_option
@click.pass_obj
def glyphs(output: Output, folder: Path, characters: int | None, seed: int) -> None:
    """Draw characters in matplotlib's typefaces into DIR, one folder for each character."""
    from siamese_core.data.glyphs import make_glyphs

    count, images = make_glyphs(folder, characters, seed)
    output.answer({"characters": count, "images": images}, f"{images:,} images of {count:,} characters in {folder}")

"""`siamese data`: data sets that need no download."""

from pathlib import Path

import click

from siamese_cli.options import JSON, PATH, command
from siamese_cli.output import Answer


@command("siamese data glyphs data/glyphs")
@click.argument("folder", metavar="DIR", type=PATH)
@click.option("--characters", type=int, metavar="N", help="Number of characters, drawn at random.  [default: all]")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the random draws.")
def glyphs(folder: Path, characters: int | None, seed: int) -> Answer:
    """Draw characters in matplotlib's typefaces into DIR, one folder for each character."""
    from siamese_core.data.glyphs import make_glyphs

    count, images = make_glyphs(folder, characters, seed)
    value = {"characters": count, "images": images}
    return Answer(value, f"{images:,} images of {count:,} characters in {folder}")


data = click.Group(
    "data", commands=[glyphs], help="Make a data set that needs no download.", params=[JSON], no_args_is_help=False
)

"""`siamese prune`: room on the disk, from runs that nothing needs any more."""

import click

from siamese_cli.checkout import ask, checkout
from siamese_cli.options import command
from siamese_cli.output import Answer


@command("siamese prune --dry-run", "siamese prune --keep 1")
@click.option(
    "--keep",
    default=5,
    show_default=True,
    type=click.IntRange(min=0),
    metavar="N",
    help="Newest runs of each model name that stay whole.",
)
@click.option("--dry-run", is_flag=True, help="List what would be removed, and remove nothing.")
def prune(keep: int, dry_run: bool) -> Answer:
    """Remove old runs with their images, checkpoints and earlier ingests.

    Registered models stay, all of them. The runs of versions with an alias, such as the champion's, stay whole; of
    those of other registered versions only the decoded images go. Runs in progress are left alone.
    """
    value = ask(checkout(), "infra.prune", str(keep), *(["--dry-run"] if dry_run else []))
    verb = "would free" if dry_run else "freed"
    return Answer(value, "\n".join([*value["removed"], f"{verb} {value['bytes'] / 1e6:,.1f} MB"]))

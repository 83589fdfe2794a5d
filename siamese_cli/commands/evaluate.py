"""`siamese evaluate`: error rates on images of one's own."""

from pathlib import Path

import click

from siamese_cli.options import PATH, command, model_option
from siamese_cli.output import Answer


@command(
    "siamese evaluate --model people --pairs pairs.csv --images photos/",
    "siamese evaluate --model people --one-shot 20 --images photos/",
)
@click.option("--pairs", type=PATH, metavar="FILE", help="A CSV path_a,path_b,same[,fold], or a file in LFW's format.")
@click.option("--one-shot", "way", type=int, metavar="N", help="N-way one-shot tasks among folders in one folder.")
@click.option(
    "--images", type=PATH, metavar="ROOT", help="The folder that paths start from.  [default: the folder of FILE]"
)
@model_option
def evaluate(pairs: Path | None, way: int | None, images: Path | None, model: str | None) -> Answer:
    """Measure a model on your own pairs, or by one-shot tasks.

    Use people that the model was not trained on; otherwise the results are optimistic.
    """
    if (pairs is None) == (way is None):
        raise click.UsageError("Give either --pairs FILE or --one-shot N.")
    from siamese_cli.evaluation import evaluate_one_shot, evaluate_pairs_file

    if pairs:
        return evaluate_pairs_file(model, pairs, images or pairs.parent)
    if images is None:
        raise click.UsageError("--one-shot N needs --images ROOT, a folder of folders of images.")
    return evaluate_one_shot(model, images, way or 0)

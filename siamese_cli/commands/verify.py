"""`siamese verify`: one pair of images."""

from pathlib import Path

import click

from siamese_cli.exit_codes import ExitCode
from siamese_cli.models import load_verifier
from siamese_cli.options import PATH, command, model_option
from siamese_cli.output import Answer


@command('siamese verify --model people@champion ada.jpg grace.jpg && echo "the same person"')
@click.argument("image_a", metavar="A", type=PATH)
@click.argument("image_b", metavar="B", type=PATH)
@click.option("--operating-point", metavar="NAME", help="Such as fmr_1e-2.  [default: the model's own, if it has one]")
@model_option
def verify(image_a: Path, image_b: Path, operating_point: str | None, model: str | None) -> Answer:
    """Tell whether images A and B show the same identity.

    The exit code is 0 if they do, 1 if they do not, and 2 if there is no answer.
    """
    result = load_verifier(model).verify(image_a, image_b, operating_point)
    word, sign, code = ("same", "<", ExitCode.DONE) if result.same else ("different", "≥", ExitCode.NO)
    return Answer(
        result,
        f"{word}: distance {result.distance:.4f} {sign} {result.threshold:.4f} ({result.operating_point}), "
        f"probability of the same identity {result.probability:.1%}",
        code,
    )

"""`siamese verify`: one pair of images."""

from pathlib import Path

import click

from siamese_cli.exit_codes import ExitCode
from siamese_cli.options import PATH, json_option, model_option
from siamese_cli.output import Output


@click.command(
    epilog="""\b
Example:
  siamese verify --model people@champion ada.jpg grace.jpg && echo "the same person\""""
)
@click.argument("image_a", metavar="A", type=PATH)
@click.argument("image_b", metavar="B", type=PATH)
@click.option("--operating-point", metavar="NAME", help="Such as fmr_1e-2.  [default: the model's own]")
@model_option
@json_option
@click.pass_obj
def verify(output: Output, image_a: Path, image_b: Path, operating_point: str | None, model: str | None) -> int:
    """Tell whether images A and B show the same identity.

    The exit code is 0 if they do, 1 if they do not, and 2 if there is no answer.
    """
    from dataclasses import asdict

    from siamese_cli.models import load_verifier

    verifier = load_verifier(model)
    result = verifier.verify(image_a, image_b, operating_point)
    word, sign = ("same", "<") if result.same else ("different", "≥")
    output.answer(
        asdict(result),
        f"{word}: distance {result.distance:.4f} {sign} {result.threshold:.4f} ({result.operating_point}), "
        f"probability of the same identity {result.probability:.1%}",
    )
    return ExitCode.DONE if result.same else ExitCode.NO

"""`siamese show`: one model."""

from siamese_cli.options import command, model_option
from siamese_cli.output import Answer


@command("siamese show --model people/3")
@model_option
def show(model: str | None) -> Answer:
    """Show a model: its error rates, its thresholds, its report.

    The error rates are those on test identities, which neither training nor calibration has seen.
    """
    from siamese_cli.show import describe, facts

    model_facts = facts(model)
    return Answer(model_facts.as_json(), describe(model_facts))

"""`siamese check-config`: a run configuration, before the run."""

import json
from pathlib import Path

import click

from siamese_cli.checkout import ask, checkout
from siamese_cli.exit_codes import ExitCode
from siamese_cli.options import PATH, command
from siamese_cli.output import Answer, Output, note


@command("siamese check-config configs/faces.yaml", "siamese check-config --schema > schema.json")
@click.argument("file", metavar="FILE", required=False, type=PATH)
@click.option("--schema", is_flag=True, help="Print the JSON schema of run configurations instead, for editors.")
@click.pass_obj
def check_config(output: Output, file: Path | None, schema: bool) -> Answer:
    """Check a run configuration, without running it.

    It is compared with the pipelines of the checkout around the working directory, or of the one that siamese was
    installed from. Unknown keys, missing keys and values out of range are errors; the exit code is 1 if there are any.
    """
    if schema == (file is not None):
        raise click.UsageError("Give either FILE or --schema.")
    value = ask(checkout(), "infra.check_config", str(file or "--schema"))
    if schema:
        return Answer(value, json.dumps(value, indent=2, ensure_ascii=False))
    if value["ok"]:
        return Answer(value, f"{file}: good")
    if not output.json:
        note(value["error"])
    return Answer(value, "", ExitCode.NO)

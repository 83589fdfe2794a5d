"""`siamese retrain`: the retraining pipeline of a checkout, one run of a model name at a time."""

import subprocess
import sys
from pathlib import Path

import click

from siamese_cli.checkout import checkout, console_script, environment
from siamese_cli.options import command, config_option
from siamese_cli.output import Answer, Output
from siamese_core.errors import SiameseError

_ZENML = "siamese_integrations.zenml_command"
_PIPELINE = "pipelines.retraining.retraining_pipeline"
_WAIT = "SIAMESE_WAIT"  # as in siamese_integrations.model_lock, which would import MLflow here


@command("siamese retrain -c configs/retraining.yaml")
@config_option
@click.option("--wait", is_flag=True, help="Wait for a run in progress instead of declining.")
@click.pass_obj
def retrain(output: Output, config: Path, wait: bool) -> Answer:
    """Run the retraining pipeline, one run at a time.

    The pipeline is that of the checkout around the working directory, or of the one that siamese was installed from.
    It holds the lock of its model name until it ends, whatever becomes of this command. The exit code is 75 if another
    run of that name is in progress, else that of the run.
    """
    root, zenml = checkout(), console_script("zenml")
    if not zenml.is_file():
        raise SiameseError(
            f"Retraining needs ZenML beside {sys.executable}: pip install 'siamese-pipelines[pipelines]'"
        )
    call = [sys.executable, "-P", "-m", _ZENML, "pipeline", "run", _PIPELINE, "-c", str(config)]
    variables = {**environment(root), "PYTHONUNBUFFERED": "1"}
    if wait:
        variables[_WAIT] = "1"
    if not sys.stdout.isatty():
        variables.setdefault("ZENML_LOGGING_COLORS_DISABLED", "true")
    code = subprocess.run(call, cwd=root, env=variables, stdout=2 if output.json else None).returncode
    return Answer({"exit_code": code}, "", code)

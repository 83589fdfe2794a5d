"""`siamese retrain`: the retraining pipeline of a checkout, one run at a time."""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from siamese_cli.checkout import checkout, console_script, environment
from siamese_cli.exit_codes import ExitCode
from siamese_cli.options import command, config_option
from siamese_cli.output import Answer, Output
from siamese_core.errors import SiameseError

_ZENML = "siamese_integrations.zenml_command"
_PIPELINE = "pipelines.retraining.retraining_pipeline"


@command("siamese retrain -c configs/retraining.yaml")
@config_option
@click.option("--wait", is_flag=True, help="Wait for a run in progress instead of declining.")
@click.pass_obj
def retrain(output: Output, config: Path, wait: bool) -> Answer:
    """Run the retraining pipeline, one run at a time.

    The pipeline is that of the checkout around the working directory, or of the one that siamese was installed from.
    The exit code is 75 if another run is in progress, else that of the run.
    """
    root, zenml = checkout(), console_script("zenml")
    if not zenml.is_file():
        raise SiameseError(
            f"Retraining needs ZenML beside {sys.executable}: pip install 'siamese-pipelines[pipelines]'"
        )
    # ZenML keeps state in the checkout that two runs at once would overwrite, and two trainings only slow each other.
    with _lock(root / ".zen" / "retrain.lock", wait) as free:
        if free:
            call = [sys.executable, "-P", "-m", _ZENML, "pipeline", "run", _PIPELINE, "-c", str(config)]
            variables = {**environment(root), "PYTHONUNBUFFERED": "1"}
            code = subprocess.run(call, cwd=root, env=variables, stdout=2 if output.json else None).returncode
        else:
            click.echo("declined: another retraining run is in progress (--wait waits for it)", err=True)
            code = ExitCode.BUSY
    return Answer({"exit_code": code}, "", code)


@contextmanager
def _lock(path: Path, wait: bool) -> Iterator[bool]:
    """Hold the lock inside the block; yields whether it is held. It ends with the process, however that ends."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True

"""The checkout: pipelines, steps and stack run from there and are not installed.

Its code runs in a process of its own, with the checkout first on the path: another project's `pipelines` is then never
taken for ours, and an installed `siamese_core` never mixes with the checkout's.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from siamese_core.errors import SiameseError

_PARTS = ("siamese_core", "siamese_integrations", "steps", "pipelines/retraining.py", "infra")


def checkout() -> Path:
    """Find the checkout: around the working directory, else where this code lies.

    Raises:
        SiameseError: There is none.
    """
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parents[1]):
        if all((folder / part).exists() for part in _PARTS):
            return folder
    raise SiameseError(
        f"{click.get_current_context().command_path} needs a checkout of siamese pipelines: "
        "run it inside one, or install from one with `pip install --editable`."
    )


def environment(root: Path) -> dict[str, str]:
    """Environment of a process that imports the checkout's packages before any others."""
    path = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def console_script(name: str) -> Path:
    """Place of a command that this Python's environment brings."""
    return Path(sys.executable).parent / name


def ask(root: Path, module: str, *arguments: str) -> Any:
    """Run a module of the checkout, and read the JSON in the last line that it prints.

    Raises:
        SiameseError: It fails, such as where ZenML is not installed.
    """
    # -P: the working directory does not come first on the path.
    command = [sys.executable, "-P", "-m", module, *arguments]
    done = subprocess.run(command, env=environment(root), capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[-1]
        raise SiameseError(f"{module} of the checkout {root} fails: {reason}")
    return json.loads(done.stdout.splitlines()[-1])

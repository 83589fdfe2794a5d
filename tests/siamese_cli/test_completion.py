"""Completion by the Tab key, as the shells ask for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from siamese_cli.main import main

SIAMESE = Path(sys.executable).parent / "siamese"


def complete(*words: str) -> list[str]:
    """Ask for what may follow, by click's protocol for bash."""
    variables = {"_SIAMESE_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = subprocess.run([SIAMESE], env={**os.environ, **variables}, capture_output=True, text=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


def test_commands_and_options_are_completed() -> None:
    assert complete("siamese", "ver") == ["verify"]
    assert complete("siamese", "re") == ["retrain"]
    assert "--operating-point" in complete("siamese", "verify", "--")
    assert complete("siamese", "schedule", "in") == ["install"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_SIAMESE_COMPLETE" in capsys.readouterr().out


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_completes_with_the_script() -> None:
    script = """
        eval "$(siamese completion bash)"
        COMP_WORDS=(siamese tr) COMP_CWORD=1
        _siamese_completion siamese
        echo "${COMPREPLY[@]}"
    """
    path = f"{SIAMESE.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert done.stdout.split() == ["tracking-uri"], done.stderr

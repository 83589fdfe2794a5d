"""The end of every command: its exit code, and the words for what went wrong.

| code | verify               | embed              | check-config | retrain                    | others   |
|------|----------------------|--------------------|--------------|----------------------------|----------|
| 0    | same identity        | all files embedded | no mistakes  | the run succeeded          | done     |
| 1    | different identities | some files skipped | mistakes     | the run failed             |          |
| 2    | no answer            | nothing written    | no answer    | nothing was run            | failed   |
| 75   |                      |                    |              | another run is in progress | the same |

Code 2 covers everything else that can happen: wrong usage, a missing model, a server that does not answer, a full disk,
Ctrl-C, and exceptions that nobody expected. `siamese_cli.entry` gives it where a process cannot do so itself.
"""

import io
import os
import sys
import traceback
from collections.abc import Sequence
from enum import IntEnum
from itertools import takewhile
from typing import TextIO

import click

from siamese_cli.output import Answer, Output, log_lines
from siamese_core.errors import BusyError, plain_words
from siamese_core.messages import presentable_lines

_DEBUG = "SIAMESE_DEBUG"
_LONGEST = 300


class ExitCode(IntEnum):
    """Codes of the table."""

    DONE = 0
    NO = 1
    TROUBLE = 2
    BUSY = 75  # EX_TEMPFAIL of sysexits.h: try again later


def run(group: click.Group, arguments: Sequence[str]) -> int:
    """Run a command to its end, whatever that is.

    Returns:
        The code that the command returned, or 75 or 2 after an exception.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # an answer must not fail for a sign that a locale lacks
    output = Output(json="--json" in takewhile("--".__ne__, arguments))
    context = None
    try:
        context = group.make_context(group.name, list(arguments), obj=output)
        with context, log_lines():
            answer: Answer = group.invoke(context)
        output.answer(answer)
        code = answer.code
    except click.exceptions.Exit as end:  # --help, --version
        code = ExitCode.TROUBLE if end.exit_code else ExitCode.DONE
    except BaseException as error:
        if os.environ.get(_DEBUG):
            print(presentable_lines(traceback.format_exc()), file=sys.stderr)
        output.fail(_place(error, context), _words(error))
        code = ExitCode.BUSY if isinstance(error, BusyError) else ExitCode.TROUBLE
    for stream in (sys.stdout, sys.stderr):
        _settle(stream)
    return code


def _place(error: BaseException, context: click.Context | None) -> str:
    """Name the command that failed."""
    if isinstance(error, click.UsageError) and error.ctx:
        return error.ctx.command_path
    return f"siamese {context.invoked_subcommand}" if context and context.invoked_subcommand else "siamese"


def _words(error: BaseException) -> str:
    match error:
        case click.UsageError():
            usage = error.ctx.command_path if error.ctx else "siamese"
            return f"{error.format_message()} See {usage} --help."
        case KeyboardInterrupt():
            return "interrupted"
        case BrokenPipeError():
            return ""  # nobody reads any more
        case _ if words := plain_words(error):
            return words
        case OSError() if error.strerror:
            return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        case _:
            name, lines = type(error).__name__, str(error).strip().splitlines()
            reason = f"{name}: {lines[0][:_LONGEST]}" if lines else name
            return f"unexpected {reason} ({_DEBUG}=1 shows the traceback)"


def _settle(stream: TextIO | None) -> None:
    """Point a stream that takes no more at nothing: Python would otherwise end with a code of its own, 120."""
    if stream:
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

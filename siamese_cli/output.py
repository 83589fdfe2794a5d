"""Output of every command: the answer on stdout, in words or as JSON, and everything else on stderr."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, TextIO

from siamese_core.messages import escape_lines, presentable

_LOGGERS = ("siamese_cli", "siamese_core", "siamese_integrations")


class Answer(NamedTuple):
    """Answer of a command.

    Attributes:
        value: For machines: JSON values, paths and dataclasses.
        words: For people; nothing is printed if empty.
        code: The exit code.
    """

    value: Any
    words: str
    code: int = 0


@dataclass(frozen=True)
class Output:
    """The form of a command's answer.

    Attributes:
        json: Print exactly one JSON document, errors included, instead of words.
    """

    json: bool

    def answer(self, answer: Answer) -> None:
        """Print the answer; a full disk or a closed pipe is an error here and not when Python ends."""
        if text := _to_json(answer.value) if self.json else escape_lines(answer.words):
            print(text, flush=True)

    def fail(self, place: str, words: str) -> None:
        """Print an error: in words on stderr, and for machines on stdout as well."""
        words = presentable(words)
        if self.json:
            _print(_to_json({"error": words}), sys.stdout)
        if words:
            _print(f"{place}: {words}", sys.stderr)


def note(text: str) -> None:
    """Print a line beside the answer, on stderr."""
    _print(presentable(text), sys.stderr)


@contextmanager
def log_lines() -> Iterator[None]:
    """Show the library's messages as plain lines on stderr."""
    import logging  # here: `siamese --help` needs none

    class Presentable(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return presentable(super().format(record))

    handler = logging.StreamHandler()
    handler.setFormatter(Presentable())
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False  # a library's handler at the root would show them again
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
            logger.propagate = True


def _to_json(value: Any) -> str:
    """Write JSON on one line; a number that is not finite becomes null."""
    text = json.dumps(value, default=_plain)
    return json.dumps(json.loads(text, parse_constant=lambda _: None))


def _plain(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else asdict(value)


def _print(text: str, stream: TextIO | None) -> None:
    if stream:
        with suppress(OSError):
            print(text, file=stream, flush=True)

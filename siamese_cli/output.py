"""Output of every command: the answer on stdout, in words or as JSON, and everything else on stderr."""

import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TextIO

_LOGGERS = ("siamese_cli", "siamese_core", "siamese_integrations")


@dataclass(frozen=True)
class Output:
    """The form of a command's answer.

    Attributes:
        json: Print exactly one JSON document, errors included, instead of words.
    """

    json: bool

    def answer(self, value: Any, words: str) -> None:
        """Print the answer, as `value` or in words."""
        print(to_json(value) if self.json else words)

    def fail(self, place: str, words: str) -> None:
        """Print an error: in words on stderr, and for machines on stdout as well."""
        if self.json:
            _print(to_json({"error": words}), sys.stdout)
        if words:
            _print(f"{place}: {words}", sys.stderr)


def to_json(value: Any) -> str:
    """Write JSON on one line; a number that is not finite becomes null."""
    return json.dumps(_finite(value), allow_nan=False, default=os.fspath)


@contextmanager
def log_lines() -> Iterator[None]:
    """Show the library's messages as plain lines on stderr."""
    import logging  # here: `siamese --help` needs none

    handler = logging.StreamHandler()
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


def _finite(value: Any) -> Any:
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): _finite(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_finite(inner) for inner in value]
        case _:
            return value


def _print(text: str, stream: TextIO | None) -> None:
    if stream:
        with suppress(OSError):
            print(text, file=stream, flush=True)

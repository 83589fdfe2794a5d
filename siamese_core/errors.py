"""Errors that a user can act on. Their message names the file, identity or value, and the way out.

ZenML and MLflow record messages where many can read them, so an error holds a presentable one from the start.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence

from siamese_core.messages import presentable

_FULL = "make room (`siamese prune` removes old runs) and run again"
_RIGHTS = "give this user the right to it"
# Failures of the machine and not of the program, with the way out.
_MACHINE = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: "mount it writable, or choose another place",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EIO: "the disk or its connection fails: check them and run again",
    errno.ESTALE: "the network drive was lost: mount it again",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs: the machine has no open files left",
    errno.ENOMEM: "free memory, or use a larger machine",
}
_RUST = re.compile(r"\(os error (\d+)\)")  # in messages of safetensors


class SiameseError(Exception):
    """Base of all errors that are the input's fault and not the program's."""

    def __init__(self, message: str) -> None:
        super().__init__(presentable(message))


class ConfigError(SiameseError):
    """A configuration value or key is wrong."""


class DataError(SiameseError):
    """The images, identities or a table cannot be used as they are."""


class UnreadableImageError(DataError):
    """One image cannot be decoded; the message is the reason, without the file's name."""


class NotAnImageError(UnreadableImageError):
    """The content is of no known image format."""


class ModelError(SiameseError):
    """A model is missing or its files do not fit together."""


class TrainingError(SiameseError):
    """Training cannot go on."""


class BusyError(SiameseError):
    """Another run holds what this one needs; later it will be free."""


def examples(items: Sequence[str], most: int = 5) -> str:
    """The first of many items, for a message."""
    return ", ".join(items[:most]) + (" …" if len(items) > most else "")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def plain_words(error: BaseException) -> str | None:
    """Tell an error that a user can act on in words: of the input, the disk, the rights, the memory or the database.

    Returns:
        A sentence; None for any other error, whose traceback is needed.
    """
    return next(filter(None, map(_words, _causes(error))), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _words(error: BaseException) -> str | None:
    if isinstance(error, SiameseError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory: free some, or use a larger machine"
    if type(error).__name__ == "OperationalError":  # of SQLite, or SQLAlchemy's around it
        return f"the database cannot be used: {first_line(getattr(error, 'orig', None) or error)}"
    rust = _RUST.search(str(error))
    number = int(rust[1]) if rust else getattr(error, "errno", None)
    if number not in _MACHINE:
        return None
    place = f"{name}: " if (name := getattr(error, "filename", None)) else ""
    return f"{place}{os.strerror(number)}: {_MACHINE[number]}"

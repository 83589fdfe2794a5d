"""Errors that a user can act on. Their message names the file, identity or value, and the way out."""

from __future__ import annotations

from collections.abc import Sequence


class SiameseError(Exception):
    """Base of all errors that are the input's fault and not the program's."""


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


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its type where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

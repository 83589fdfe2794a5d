"""Errors that a user can act on. Their message names the file, identity or value, and the way out."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class SiameseError(Exception):
    """Base of all errors that are the input's fault and not the program's."""


class ConfigError(SiameseError):
    """A configuration value or key is wrong."""


class DataError(SiameseError):
    """The images, identities or a table cannot be used as they are."""


class UnreadableImageError(DataError):
    """One image cannot be decoded; the message is the reason, without the file's name."""


class ModelError(SiameseError):
    """A model is missing or its files do not fit together."""


class TrainingError(SiameseError):
    """Training cannot go on."""


@contextmanager
def reading_csv(path: Path, name: str) -> Iterator[None]:
    """Says in words why a user's CSV cannot be read within the `with` block.

    Args:
        path: The file.
        name: What the message calls it where it cannot be opened.

    Raises:
        DataError: It cannot be opened, is not UTF-8, or not CSV.
    """
    try:
        yield
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as CSV: {error}.") from error

"""A file that a user names: its hash, by which a step notices an edited one, and its errors in words."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from siamese_core.artifact import hash_file
from siamese_core.errors import DataError


@dataclass(frozen=True)
class InputFile:
    """A file of this moment.

    Attributes:
        path: With `~` expanded.
        sha256: Of its bytes, in hex; None where there is no such file, which is for its reader to say.
    """

    path: str
    sha256: str | None

    @classmethod
    def of(cls, path: str | None) -> Self | None:
        """The file at a path as it is now; None where the user names none."""
        if path is None:
            return None
        place = Path(path).expanduser()
        return cls(str(place), hash_file(place).hex() if place.is_file() else None)


@contextmanager
def reading_csv(path: Path, name: str) -> Iterator[None]:
    """Turn the errors of reading a user's CSV in the `with` block into words.

    Args:
        path: The file.
        name: Its name in the message where it cannot be opened.

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

"""CSV files that a user names."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siamese_core.errors import DataError


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

"""A file that a user names, with its content's hash: a step that takes one runs again when the file was edited."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from siamese_core.artifact import hash_file


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

"""The identities that trained a model, through all the versions that it started from, as hashes and not by name."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from siamese_core.artifact import read_record, write_record

_FILE, _FORMAT = "trained_on.json", 1
_DIGITS = 32  # 128 bits: no two names of any data set share them by chance


@dataclass(frozen=True)
class TrainedOn:
    """The record that travels with the weights: it tells of a name whether it is among them, and lists none.

    Attributes:
        salt: Hashed together with each name; a version inherits it, so that its record contains that of its parent.
        identities: SHA-256 of salt and name in NFC, 32 hex digits each, sorted.
        parent: The version whose weights it started from, NAME/VERSION; None where it started from no version.
        complete: Whether everyone is recorded; not where training started from weights without a record.
    """

    salt: str
    identities: tuple[str, ...]
    parent: str | None = None
    complete: bool = True

    @classmethod
    def of(cls, identities: Iterable[str], *starts: Self | None) -> Self:
        """Record a training run.

        Args:
            identities: Those that the run learned from.
            starts: The records of the weights that it started from; None for weights without one.
        """
        names = list(identities)
        records = [start for start in starts if start]
        # From the data, so that the same run writes the same bytes; it is no secret in any case.
        salt = records[0].salt if records else hashlib.sha256("\0".join(names).encode()).hexdigest()[:_DIGITS]
        ancestors = {each for start in records for each in start.identities}
        complete = all(start is not None and start.complete for start in starts)
        return cls(salt, tuple(sorted(ancestors | {_hash(salt, name) for name in names})), complete=complete)

    def among(self, identities: Iterable[str]) -> list[str]:
        """Find those of some identities that trained the model, in their order."""
        hashes = set(self.identities)
        return [name for name in identities if _hash(self.salt, name) in hashes]

    def save(self, folder: Path) -> None:
        """Write `trained_on.json`."""
        write_record(folder / _FILE, self, _FORMAT)

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """Read `trained_on.json`; None where there is none, as in models of earlier releases.

        Raises:
            ModelError: Another version wrote it in another format.
        """
        path = folder / _FILE
        return read_record(cls, path, _FORMAT) if path.is_file() else None


def _hash(salt: str, name: str) -> str:
    return hashlib.sha256(f"{salt}\0{unicodedata.normalize('NFC', name)}".encode()).hexdigest()[:_DIGITS]

"""Artifacts are folders: a class saves itself into one and loads itself from one, without pickle.

Saving the same value twice writes the same bytes, so that the hash of the folder is the hash of the value.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    import pandas as pd


class FolderArtifact(Protocol):
    """What every artifact of the pipeline can do."""

    def save(self, folder: Path) -> None:
        """Writes the value into an empty folder."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads the value back; may keep files of the folder open (memory maps)."""

    def summary(self) -> dict[str, Any]:
        """A few figures that people see beside the artifact."""


def write_json(path: Path, value: Any) -> None:
    """Writes JSON; NaN and infinity are refused."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Reads a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Writes a table as Parquet, without its index."""
    table.to_parquet(path, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """Reads a Parquet table."""
    import pandas as pd  # here, so that a verifier starts without it

    return pd.read_parquet(path)


def hash_folder(folder: Path) -> str:
    """SHA-256 of the names and contents of all files below a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        digest.update(len(name).to_bytes(8, "big") + name)
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()

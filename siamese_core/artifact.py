"""Artifacts are folders: a class saves itself into one and loads itself from one, without pickle.

Saving the same value twice writes the same bytes, so that the hash of the folder is the hash of the value.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar, cast, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    import pandas as pd

_T = TypeVar("_T")


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


def from_json(kind: type[_T], value: Any) -> _T:
    """A dataclass from what `asdict` made of it: the types of its fields say how to read each, at any depth.

    Args:
        kind: The dataclass. Fields may be plain values, dataclasses, lists and dictionaries of these with text or
            numbers for keys, or one of these or None.
        value: From JSON; a field that is missing takes its default.
    """
    types = get_type_hints(kind)
    return kind(**{name: _read(types[name], inner) for name, inner in value.items()})


def _read(kind: Any, value: Any) -> Any:
    inner = get_args(kind)
    if value is None or kind is Any:
        return value
    if is_dataclass(kind):
        return from_json(cast(type, kind), value)
    if get_origin(kind) is list:
        return [_read(inner[0], item) for item in value]
    if get_origin(kind) is tuple:
        return tuple(_read(item_kind, item) for item_kind, item in zip(inner, value, strict=True))
    if get_origin(kind) is dict:
        return {inner[0](name): _read(inner[1], item) for name, item in value.items()}
    if get_origin(kind) is UnionType:
        return _read(next(option for option in inner if option is not NoneType), value)
    return value


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

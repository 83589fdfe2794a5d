"""Artifacts are folders: a class saves itself into one and loads itself from one, without pickle.

Saving the same value twice writes the same bytes, so that the hash of the folder is the hash of the value.
"""

from __future__ import annotations

import glob
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from siamese_core.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd
    from _typeshed import DataclassInstance

_T = TypeVar("_T")
Values = dict[str, Any]


class FolderArtifact(Protocol):
    """The contract of every artifact of the pipeline."""

    def save(self, folder: Path) -> None:
        """Write the value into an empty folder."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the value back; may keep files of the folder open (memory maps)."""

    def summary(self) -> dict[str, Any]:
        """A few figures that people see beside the artifact."""


def write_json(path: Path, value: Any) -> None:
    """Write JSON; refuse NaN and infinity."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file of `write_json`.

    Raises:
        ModelError: A number in it is not finite: a comparison with it would be answered, and mean nothing.
    """

    def number(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise ModelError(f"{path} holds {text}, which is not a finite number: use another copy of it.")
        return value

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=number, parse_float=number)


def write_record(path: Path, record: DataclassInstance, format_number: int) -> None:
    """Write a dataclass as JSON with the number of its format.

    Args:
        path: The file.
        record: Its fields may be plain values, dataclasses, and lists, tuples and dictionaries of these.
        format_number: Raised by one when a field changes its meaning, comes or goes.
    """
    write_json(path, {"format": format_number, **asdict(record)})


def read_record(
    kind: type[_T], path: Path, format_number: int, older: Mapping[int, Callable[[Values], Values]] | None = None
) -> _T:
    """Read a file of `write_record`.

    Args:
        kind: The dataclass.
        path: The file; one without a number is of format 1.
        format_number: The format that this version writes.
        older: Older formats that it reads too, each with how values of it become those of today.

    Raises:
        ModelError: The file has another format, or does not hold such a record.
    """
    from pydantic import TypeAdapter, ValidationError  # here, so that the other artifacts load without it

    readers = {**(older or {}), format_number: _as_they_are}
    values = read_json(path)
    number = values.pop("format", 1)
    check_format(path, number, readers)
    values = readers[number](values)
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        raise ModelError(f"{path} does not hold the right values: {error.errors()[0]['msg']}.") from error


def check_format(path: Path, number: int, readable: Iterable[int]) -> None:
    """Refuse a file of a format that is not among the readable ones.

    Raises:
        ModelError: It is another format.
    """
    if number not in readable:
        raise ModelError(
            f"{path} has format {number}; this version of siamese-pipelines reads format "
            f"{' and '.join(map(str, readable))}. Use the version that wrote it, or train again."
        )


def _as_they_are(values: Values) -> Values:
    return values


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as Parquet, without its index."""
    table.to_parquet(path, index=False)


def read_table(path: Path) -> pd.DataFrame:
    """Read a Parquet table."""
    import pandas as pd  # here, so that a verifier starts without it

    return pd.read_parquet(path)


def hash_file(path: Path) -> bytes:
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def hash_folder(folder: Path) -> str:
    """SHA-256 of the names and contents of all files below a folder, in the order of their names."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        digest.update(len(name).to_bytes(8, "big") + name)
        digest.update(hash_file(path))
    return digest.hexdigest()


def make_folder(folder: Path) -> Path:
    """Make a folder that must not exist."""
    folder.mkdir()
    return folder


def put_in_place(folder: Path, target: Path) -> None:
    """Move a complete folder to its place in one atomic step, so that no crash or loss of power leaves a part of it.

    Args:
        folder: On the same disk; all its files reach it before they get their name.
        target: Does not exist, or is an empty folder.
    """
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)
    folder.rename(target)
    _sync(target.parent)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file whole or not at all: gives another name, which becomes `path` at the end of the block.

    What a killed process of this machine has left half-written beside it is removed.
    """
    stem = f"{path.name}.partial-{os.uname().nodename}-"
    for other in path.parent.glob(f"{glob.escape(stem)}*"):
        if not _runs(other.name.removeprefix(stem)):
            other.unlink(missing_ok=True)
    partial = path.with_name(f"{stem}{os.getpid()}")
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _runs(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        pass  # another user's, or no process of ours
    return True


def _sync(path: Path) -> None:
    """Bring a file's content, or a folder's names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The metadata CSV that a user brings: a column `path` or `identity`, and properties of each, such as the camera.

Rows are read one by one and those of other images are dropped, so that memory does not grow with the file.
"""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TextIO

from siamese_core.arrays import Indices
from siamese_core.data.manifest import Manifest
from siamese_core.data.names import Names
from siamese_core.errors import DataError
from siamese_core.input_file import reading_csv

# Fewer distinct numbers than this are groups of their own, such as the number of a camera.
FEWEST_NUMBERS = 9
_MISSING = ("", "-", "?", "na", "n/a", "nan", "null", "unknown")
_MOST_COLUMNS = 50
_MOST_STRANGERS = 5
_SEARCHED_NAMES = 100_000  # about a second for a misspelt name
_MOSTLY_NUMBERS = 0.9
_HELP = "The first line must name path or identity and at least one column more, such as path,camera."

# (line, cells of the columns that are not keys; "" for a missing value).
_Row = tuple[int, tuple[str, ...]]


@dataclass(frozen=True)
class Metadata:
    """Properties of some images.

    Attributes:
        key: `path` or `identity`, the subject of the file's rows.
        columns: Name of a column → its value for each image, "" where the file has none.
    """

    key: str
    columns: dict[str, list[str]]


def number(text: str) -> float | None:
    """The finite number that a cell holds, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def read_metadata(path: Path, manifest: Manifest, rows: Indices) -> Metadata:
    """Read the CSV for some images.

    A file with both columns goes by `path`; `identity` is left out.

    Args:
        path: The file, UTF-8, separated by commas.
        manifest: The images that there are; the file may name any of them, quarantined ones too.
        rows: (n,) rows of the image store to report on.

    Raises:
        DataError: The file cannot be read or is empty, its header lacks a column, a path or identity is unknown or
            has two different values, a column of numbers holds something else, or no row is about these images.
    """
    with (
        reading_csv(path, f"evaluation.metadata {path}"),
        path.open(encoding="utf-8-sig", newline="") as file,
    ):
        key, names, values = _read(file, path, manifest)
    _check_numbers(names, values, path)
    subjects = manifest.ok[key].iloc[rows].tolist()
    if not any(subject in values for subject in subjects):
        raise DataError(f"{path} lists no test image, such as {subjects[0]!r}. Add their rows.")
    unknown: _Row = (0, ("",) * len(names))
    cells = [values.get(subject, unknown)[1] for subject in subjects]
    return Metadata(key, {name: [row[i] for row in cells] for i, name in enumerate(names)})


def _read(file: TextIO, path: Path, manifest: Manifest) -> tuple[str, list[str], dict[str, _Row]]:
    """The key, the names of the other columns, and the rows by path or identity."""
    reader = csv.reader(file, skipinitialspace=True)
    header = _header(next(reader, []), path)
    key = "path" if "path" in header else "identity"
    columns = [i for i, name in enumerate(header) if name not in ("path", "identity")]
    names, at, subjects = [header[i] for i in columns], header.index(key), Names(manifest.table[key])
    values: dict[str, _Row] = {}
    strangers: list[tuple[int, str]] = []
    for line, cells in _filled(reader, len(header), path):
        subject = subjects.find(cells[at]) if cells[at].strip() else None
        if subject is None:
            strangers.append((line, cells[at]))
            if len(strangers) == _MOST_STRANGERS:
                break
            continue
        _add(values, subject, (line, tuple(_value(cells[i]) for i in columns)), names, path)
    if strangers:
        raise DataError(_strangers(strangers, key, set(manifest.judged[key]), path))
    if not values:
        raise DataError(f"{path} has a header but no rows.")
    return key, names, values


def _header(cells: list[str], path: Path) -> list[str]:
    header = [cell.strip() for cell in cells]
    if not any(header):
        raise DataError(f"{path} is empty or starts with an empty line. {_HELP}")
    if "" in header:
        raise DataError(f"{path}, line 1: column {header.index('') + 1} has no name; name it or remove it.")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise DataError(f"{path}, line 1: the column {twice[0]!r} comes twice; rename or remove one.")
    if not {"path", "identity"} & set(header):
        raise DataError(f"{path}, line 1: there is no column path or identity{_near_key(header)}. {_HELP}")
    if not set(header) - {"path", "identity"}:
        raise DataError(f"{path}, line 1: there is no column but {' and '.join(header)}. {_HELP}")
    if len(header) > _MOST_COLUMNS:
        raise DataError(f"{path}, line 1: {len(header):,} columns; keep the {_MOST_COLUMNS} that matter most.")
    return header


def _near_key(header: list[str]) -> str:
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if any(separator in cell for cell in header):
            return f" (separated by {name}? Use commas)"
    for name in header:
        if close := get_close_matches(name.lower(), ("path", "identity"), n=1):
            return f" (did you mean {close[0]!r} by {name!r}?)"
    return f", only {', '.join(header[:10])}"


def _filled(reader: Iterator[list[str]], width: int, path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of the rows that are not blank."""
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        line: int = reader.line_num  # type: ignore[attr-defined]  # a csv.reader has it
        if len(cells) != width:
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells where the header names {width}; quote a value with a comma."
            )
        yield line, cells


def _value(cell: str) -> str:
    text = cell.strip()
    return "" if text.lower() in _MISSING else sys.intern(text)  # one copy of a value that repeats


def _add(values: dict[str, _Row], subject: str, row: _Row, names: list[str], path: Path) -> None:
    line, earlier = values.setdefault(subject, row)
    for name, first, second in zip(names, earlier, row[1], strict=True):
        if first != second:
            raise DataError(
                f"{path}, line {row[0]}: {name} of {subject!r} is {second or 'empty'!r}, but {first or 'empty'!r} in "
                f"line {line}; keep one."
            )


def _strangers(strangers: list[tuple[int, str]], key: str, subjects: set[str], path: Path) -> str:
    line, name = strangers[0]
    others = ", ".join(str(number) for number, _ in strangers[1:])
    more = f" The same holds for line{'s' if len(strangers) > 2 else ''} {others}." if others else ""
    if not name.strip():
        return f"{path}, line {line}: {key} is empty; fill it or remove the row.{more}"
    kind = "a file" if key == "path" else "an identity"
    hint = f"such as {min(subjects)!r}"
    if len(subjects) <= _SEARCHED_NAMES and (close := get_close_matches(name.strip(), sorted(subjects), 1, 0.8)):
        hint = f"did you mean {close[0]!r}?"
    return (
        f"{path}, line {line}: {key} {name!r} is not {kind} below data_dir ({hint}); correct or remove the row.{more}"
    )


def _check_numbers(names: list[str], rows: dict[str, _Row], path: Path) -> None:
    """Refuse a column of numbers with a few cells that are none: as text, each number would be a group."""
    for i, name in enumerate(names):
        cells = [(line, values[i]) for line, values in rows.values() if values[i]]
        others = [(line, text) for line, text in cells if number(text) is None]
        numbers = {text for _, text in cells if number(text) is not None}
        if others and len(numbers) >= FEWEST_NUMBERS and len(others) < (1 - _MOSTLY_NUMBERS) * len(cells):
            raise DataError(
                f"{path}, line {others[0][0]}: {name} is {others[0][1]!r}, but a number nearly everywhere else; "
                "correct it, or leave it empty if it is unknown."
            )

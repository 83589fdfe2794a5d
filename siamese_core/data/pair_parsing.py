"""The two formats of a list of pairs: a CSV `path_a,path_b,same[,fold]` in its dialects, and LFW's.

The first line tells which: LFW's holds one or two numbers; a header tells the separator by what it makes sense with.
"""

from __future__ import annotations

import csv
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TextIO

from siamese_core.data.names import nfc
from siamese_core.errors import DataError

_EXAMPLES = 5
_REQUIRED = ("path_a", "path_b", "same")
_ANSWERS = dict.fromkeys(("1", "true", "yes", "t", "y", "1.0", "same", "match", "genuine"), True)
_ANSWERS |= dict.fromkeys(("0", "false", "no", "f", "n", "0.0", "different", "mismatch", "impostor"), False)
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_PATH = re.compile(r"(?:path|file|filename|(?:image|img)(?:_?(?:path|file|name))?|file_?(?:path|name))_?([ab12])")
_SAME = frozenset(
    ["same", "is_same", "issame", "same_person", "same_identity", "label", "match", "is_match", "genuine"]
)
# LFW names no extension.
_LOWER = (".jpg", ".png", ".jpeg", ".webp", ".bmp", ".pgm", ".ppm", ".tif", ".tiff", ".gif", ".heic", ".avif")
_EXTENSIONS = (*_LOWER, *map(str.upper, _LOWER))
_LFW_FIRST_LINE = re.compile(r"\d+(\s+\d+)?\s*")
_LONGEST_LINE = 2**18  # characters; two paths and two numbers are shorter
_HEADER_HELP = "The first line must be path_a,path_b,same or path_a,path_b,same,fold (or LFW's: N, or FOLDS and N)."

# (line, path, path, same, fold); fold 0 where the file has none.
Row = tuple[int, str, str, bool, int]


class Lookup(Protocol):
    """The place where the images of a list are looked for."""

    place: str
    """Its name, as in "are not PLACE"."""
    advice: str
    """The way out for an image that is not there."""

    def folders(self) -> Iterable[str]:
        """Every folder that images may be in, `/`-joined."""

    def find(self, image: str) -> str:
        """The path of an image as the place has it; as it is written where there is none."""

    def why_not(self, image: str) -> str | None:
        """Say in a few words why an image cannot be used; None where it can."""


def read_rows(file: TextIO, path: Path, lookup: Lookup) -> tuple[Iterator[Row], bool]:
    """The rows of a file in either format, and whether they have folds.

    Args:
        file: The file as text.
        path: For messages.
        lookup: Where the images are.

    Raises:
        DataError: The first line is of neither format, or (while the rows are read) a row is wrong.
    """
    lines = _lines(file, path)
    first = next(lines, "")
    if not first.strip():
        raise DataError(f"{path} is empty or starts with an empty line. {_HEADER_HELP}")
    if _LFW_FIRST_LINE.fullmatch(first):
        counts = [int(number) for number in first.split()]
        has_folds = len(counts) == 2
        rows = _lfw_rows(lines, path, lookup, folds=counts[0] if has_folds else 1, each=counts[-1])
    else:
        header, separator = _header(first, path)
        has_folds = "fold" in header
        rows = _csv_rows(lines, path, header, separator)
    return rows, has_folds


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """The rest of a file line by line; a file without ends of lines is not held in memory."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{path} has a line of more than {_LONGEST_LINE:,} characters: it is no list of pairs.")
        yield line


def _header(first: str, path: Path) -> tuple[list[str], str]:
    """The columns by our names, and the separator."""
    for separator in _SEPARATORS:
        header = [_column(name) for name in next(csv.reader([first], delimiter=separator))]
        if sorted(header) in (sorted(_REQUIRED), sorted((*_REQUIRED, "fold"))):
            return header, separator
    raise DataError(f"{path}, line 1: the header is {first.strip()[:200]!r}. {_HEADER_HELP}")


def _column(name: str) -> str:
    plain = re.sub(r"[\s.-]+", "_", name.strip().lower())
    if match := _PATH.fullmatch(plain):
        return "path_a" if match[1] in "a1" else "path_b"
    return "same" if plain in _SAME else plain


def _csv_rows(lines: Iterator[str], path: Path, header: list[str], separator: str) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    a, b, same = (header.index(name) for name in _REQUIRED)
    fold = header.index("fold") if "fold" in header else None
    for cells in reader:
        if not any(cells):
            continue
        line = reader.line_num + 1
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells where the header names {len(header)}; quote a path that "
                f"has a {_SEPARATORS[separator]}."
            )
        number = 0 if fold is None else _fold(cells[fold], path, line)
        yield line, cells[a], cells[b], _answer(cells[same], path, line), number


def _answer(text: str, path: Path, line: int) -> bool:
    answer = _ANSWERS.get(text.strip().lower())
    if answer is None:
        raise DataError(f"{path}, line {line}: same is {text!r}, but must be 1, 0, true or false.")
    return answer


def _fold(text: str, path: Path, line: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number < 2**31:
        raise DataError(
            f"{path}, line {line}: fold is {text!r}, but must be a whole number from 0; remove the column for no folds."
        )
    return number


def _lfw_rows(lines: Iterator[str], path: Path, lookup: Lookup, folds: int, each: int) -> Iterator[Row]:
    if folds * each == 0:
        raise DataError(f"{path}, line 1: promises no pairs; it holds N, or FOLDS and N, both above 0.")
    folders = _Folders(lookup)
    position = -1
    numbered = ((line, text.strip()) for line, text in enumerate(lines, start=2))
    for position, (line, text) in enumerate(pair for pair in numbered if pair[1]):
        fold, within = divmod(position, 2 * each)
        yield line, *_lfw_pair(text, within < each, folders, path, line), fold
    if position + 1 != 2 * each * folds:
        raise DataError(
            f"{path} has {position + 1:,} pairs, but its first line promises {folds:,} × {2 * each:,}: "
            f"{each:,} of each kind" + (f" in each of {folds:,} folds." if folds > 1 else ".")
        )


def _lfw_pair(text: str, same: bool, folders: _Folders, path: Path, line: int) -> tuple[str, str, bool]:
    fields = text.split("\t" if "\t" in text else None)
    expected = "NAME i j (same)" if same else "NAME1 i NAME2 j (different)"
    if len(fields) != (3 if same else 4) or not all(field.isdecimal() for field in (fields[1], fields[-1])):
        raise DataError(
            f"{path}, line {line}: {text!r} where {expected} is expected; each fold lists its same pairs, then as many "
            "different."
        )
    return folders.image(fields[0], fields[1]), folders.image(fields[-2] if not same else fields[0], fields[-1]), same


class _Folders:
    """Folders by their name."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._below: dict[str, list[str]] = defaultdict(list)
        for folder in lookup.folders():
            self._below[nfc(posixpath.basename(folder))].append(folder)

    def image(self, name: str, number: str) -> str:
        """The path of an image; a name without a folder is looked for, and missed, right below the root."""
        folders = self._below.get(nfc(name), [name])
        if len(folders) > 1:
            examples = ", ".join(sorted(folders)[:_EXAMPLES])
            raise DataError(f"{name} has several folders: {examples}; list whole paths, in a CSV path_a,path_b,same.")
        stem = f"{folders[0]}/{name}_{int(number):04d}"
        paths = (self._lookup.find(stem + extension) for extension in _EXTENSIONS)
        return next((path for path in paths if self._lookup.why_not(path) is None), stem + _EXTENSIONS[0])

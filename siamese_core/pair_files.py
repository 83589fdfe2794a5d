"""Lists of pairs that a user brings: a CSV with the columns `path_a,path_b,same[,fold]`, or LFW's pairs format.

The first line tells which: LFW's holds one or two numbers. Rows are read one by one, so that a pair costs a few
bytes and a path is kept once, however many pairs it is in.
"""

from __future__ import annotations

import csv
import io
import os
import posixpath
import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TextIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from siamese_core.artifact import read_json, read_table, write_json, write_table
from siamese_core.errors import DataError, reading_csv
from siamese_core.progress import Progress, track

_REQUIRED = ("path_a", "path_b", "same")
_ANSWERS = {"1": True, "true": True, "0": False, "false": False}
_LFW_FIRST_LINE = re.compile(r"\d+(\s+\d+)?\s*")
_EXAMPLES = 5
_LONGEST_LINE = 2**18  # characters; two paths and two numbers are shorter
_BLOCK = 2**20
_LONG_FILE = 2**25  # bytes; shorter ones are read before a progress bar is of use

# (line, path, path, same, fold); fold 0 where the file has none.
Row = tuple[int, str, str, bool, int]


@dataclass(frozen=True)
class PairList:
    """The pairs of a file, each once.

    Attributes:
        images: Distinct paths below the root, `/`-joined, in the order in which the file first names them.
        pairs: (N, 2) int32 positions in `images`.
        same: (N,) bool, whether the two are one identity (a genuine pair).
        folds: (N,) int32, or None where the file has no folds.
        duplicates: Rows that repeated a pair and are left out; the first row of a pair counts, with its fold.
    """

    images: list[str]
    pairs: npt.NDArray[np.int32]
    same: npt.NDArray[np.bool_]
    folds: npt.NDArray[np.int32] | None
    duplicates: int

    @classmethod
    def empty(cls) -> Self:
        """No pairs at all: nobody asked for any."""
        return cls([], np.empty((0, 2), np.int32), np.empty(0, np.bool_), None, 0)

    def save(self, folder: Path) -> None:
        """Writes `images.parquet` and `pairs.parquet`."""
        write_table(folder / "images.parquet", pd.DataFrame({"path": self.images}, dtype="str"))
        columns = {"a": self.pairs[:, 0], "b": self.pairs[:, 1], "same": self.same}
        columns |= {} if self.folds is None else {"fold": self.folds}
        write_table(folder / "pairs.parquet", pd.DataFrame(columns))
        write_json(folder / "pairs.json", {"duplicates": self.duplicates})

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        table = read_table(folder / "pairs.parquet")
        return cls(
            images=read_table(folder / "images.parquet")["path"].tolist(),
            pairs=table[["a", "b"]].to_numpy(np.int32),
            same=table["same"].to_numpy(np.bool_),
            folds=table["fold"].to_numpy(np.int32) if "fold" in table else None,
            duplicates=read_json(folder / "pairs.json")["duplicates"],
        )

    def summary(self) -> dict[str, Any]:
        """Counts of pairs and images."""
        genuine = int(self.same.sum())
        return {"genuine": genuine, "impostor": len(self.same) - genuine, "images": len(self.images)}


class Lookup(Protocol):
    """Where the images of a list are looked for."""

    place: str
    """Where that is, as in "are not PLACE"."""
    advice: str
    """What to do about an image that is not there."""

    def folders(self) -> Iterable[str]:
        """Every folder that images may be in, `/`-joined."""

    def why_not(self, image: str) -> str | None:
        """Why an image cannot be used, in a few words, or None where it can."""


class FilesBelow:
    """Looks for files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.place = f"below {root}"
        self.advice = "Name the folder that the paths start from with --images."

    def folders(self) -> Iterable[str]:
        """Every folder below the root."""
        for folder, names, _ in os.walk(self._root):
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self._root).replace(os.sep, "/")

    def why_not(self, image: str) -> str | None:
        """Whether the file, or its folder, does not exist."""
        path = self._root / image
        if os.path.isfile(path):
            return None
        return "no such file" if path.parent.is_dir() else "no such folder"


def read_pairs(path: Path, root: Path) -> PairList:
    """Reads a file of pairs whose images are files below a folder; see `read_pairs_of`."""
    return read_pairs_of(path, FilesBelow(root))


def read_pairs_of(path: Path, lookup: Lookup) -> PairList:
    """Reads a file of pairs, in either format.

    A CSV has the columns `path_a,path_b,same` and, if it likes, `fold`, in any order; same is 1, 0, true or false;
    paths are below the root, or absolute. LFW's format (Huang et al. 2007, "Labeled Faces in the Wild") starts with
    N or FOLDS and N, tab-separated; then come, for each fold, N lines `NAME i j` (same) and N lines
    `NAME1 i NAME2 j` (different). The image is NAME/NAME_000i.jpg; the folder NAME lies anywhere below the root.

    Args:
        path: The file, UTF-8.
        lookup: Where the images are.

    Raises:
        DataError: The file cannot be read or is empty, a row is wrong, an image does not exist, a pair is listed
            as both same and different or is an image with itself, or one kind of pairs is missing (from a fold).
    """
    with reading_csv(path, str(path)), _open(path) as file:
        return _read(file, path, lookup)


class _Watched(io.FileIO):
    """A file whose reading is counted."""

    progress: Progress | None = None

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        if self.progress is not None:
            self.progress.advance(count or 0)
        return count


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    """The file as text; how far a long one is read shows."""
    raw = _Watched(path)
    with io.TextIOWrapper(io.BufferedReader(raw, _BLOCK), encoding="utf-8-sig", newline="") as file:
        if (size := os.fstat(raw.fileno()).st_size) < _LONG_FILE:
            yield file
            return
        with track(f"read {path.name}", size, "bytes") as raw.progress:
            yield file


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    """The rest of a file line by line; a file without ends of lines is not held in memory."""
    while line := file.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise DataError(f"{path} has a line of more than {_LONGEST_LINE:,} characters: it is no list of pairs.")
        yield line


def _read(file: TextIO, path: Path, lookup: Lookup) -> PairList:
    lines = _lines(file, path)
    first = next(lines, "")
    if not first.strip():
        raise DataError(f"{path} is empty or starts with an empty line. {_HEADER_HELP}")
    if _LFW_FIRST_LINE.fullmatch(first):
        counts = [int(number) for number in first.split()]
        has_folds = len(counts) == 2
        rows = _lfw_rows(lines, path, lookup, folds=counts[0] if has_folds else 1, each=counts[-1])
    else:
        header = _header(first, path)
        has_folds = "fold" in header
        rows = _csv_rows(lines, path, header)
    return _collect(rows, path, lookup, has_folds)


_HEADER_HELP = "The first line must be path_a,path_b,same or path_a,path_b,same,fold (or LFW's: N, or FOLDS and N)."


def _header(first: str, path: Path) -> list[str]:
    header = [name.strip() for name in next(csv.reader([first]))]
    if sorted(header) not in (sorted(_REQUIRED), sorted((*_REQUIRED, "fold"))):
        raise DataError(f"{path}, line 1: the header is {first.strip()[:200]!r}. {_HEADER_HELP}")
    return header


def _csv_rows(lines: Iterator[str], path: Path, header: list[str]) -> Iterator[Row]:
    reader = csv.reader(lines, skipinitialspace=True)
    a, b, same = (header.index(name) for name in _REQUIRED)
    fold = header.index("fold") if "fold" in header else None
    for cells in reader:
        if not cells:
            continue
        line = reader.line_num + 1
        if len(cells) != len(header):
            raise DataError(
                f"{path}, line {line}: {len(cells)} cells where the header names {len(header)}; quote a path that "
                "has a comma."
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
    for position, (line, text) in enumerate(found for found in numbered if found[1]):
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
    """Finds the folder of a name."""

    def __init__(self, lookup: Lookup) -> None:
        self._below: dict[str, list[str]] = defaultdict(list)
        for folder in lookup.folders():
            self._below[posixpath.basename(folder)].append(folder)

    def image(self, name: str, number: str) -> str:
        """The path of an image; a name without a folder is looked for, and missed, right below the root."""
        folders = self._below.get(name, [name])
        if len(folders) > 1:
            listed = ", ".join(sorted(folders)[:_EXAMPLES])
            raise DataError(f"{name} has several folders: {listed}; list whole paths, in a CSV path_a,path_b,same.")
        return f"{folders[0]}/{name}_{int(number):04d}.jpg"


class _Images:
    """Numbers images in the order in which they come; `a.jpg` and `./a.jpg` are one."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.lines: list[int] = []
        self._numbers: dict[str, int] = {}

    def number(self, path: str, line: int) -> int:
        found = self._numbers.get(path)
        return self._add(path, line) if found is None else found

    def _add(self, path: str, line: int) -> int:
        plain = posixpath.normpath(path)
        number = self._numbers.setdefault(plain, len(self.paths))
        if number == len(self.paths):
            self.paths.append(plain)
            self.lines.append(line)
        self._numbers[path] = number
        return number


def _collect(rows: Iterable[Row], path: Path, lookup: Lookup, has_folds: bool) -> PairList:
    images = _Images()
    flat, answers, numbers = array("i"), array("b"), array("i")
    for line, path_a, path_b, same, fold in rows:
        first, second = images.number(path_a, line), images.number(path_b, line)
        if first == second:
            raise DataError(f"{path}, line {line}: compares {path_a!r} with itself, which proves nothing; remove it.")
        flat.append(first)
        flat.append(second)
        answers.append(same)
        if has_folds:
            numbers.append(fold)
    if not answers:
        raise DataError(f"{path} has a header but no pairs.")
    _refuse_missing(images, path, lookup)
    pairs = np.frombuffer(flat, np.int32).reshape(-1, 2)
    answered = np.frombuffer(answers, np.bool_)
    kept = _first_rows(pairs, answered, images.paths, path)
    folds = np.frombuffer(numbers, np.int32)[kept] if has_folds else None
    listed = PairList(images.paths, pairs[kept], answered[kept], folds, int((~kept).sum()))
    _check_kinds(listed, path)
    return listed


def _refuse_missing(images: _Images, path: Path, lookup: Lookup) -> None:
    listed = zip(images.paths, images.lines, strict=True)
    missing = [(image, line, why) for image, line in listed if (why := lookup.why_not(image))]
    if not missing:
        return
    examples = ", ".join(f"{image} (line {line}, {why})" for image, line, why in missing[:_EXAMPLES])
    more = " …" if len(missing) > _EXAMPLES else ""
    raise DataError(
        f"{len(missing):,} of the {len(images.paths):,} images in {path} are not {lookup.place}: "
        f"{examples}{more}. {lookup.advice}"
    )


def _first_rows(
    pairs: npt.NDArray[np.int32], same: npt.NDArray[np.bool_], images: list[str], path: Path
) -> npt.NDArray[np.bool_]:
    """(N,) bool: the first row of each pair, whichever image comes first in it."""
    keys = pairs.min(axis=1).astype(np.int64) * len(images) + pairs.max(axis=1)
    order = np.argsort(keys, kind="stable")
    again = keys[order[1:]] == keys[order[:-1]]
    contradictions = np.flatnonzero(again & (same[order[1:]] != same[order[:-1]]))
    if len(contradictions):
        a, b = (images[image] for image in pairs[order[contradictions[0]]])
        raise DataError(f"{path} lists {a!r} and {b!r} as same and as different; remove the wrong row.")
    kept = np.ones(len(pairs), np.bool_)
    kept[order[1:][again]] = False
    return kept


def _check_kinds(listed: PairList, path: Path) -> None:
    if listed.same.all() or not listed.same.any():
        there, absent = ("same", "different") if listed.same.all() else ("different", "same")
        raise DataError(f"{path} has only {there} pairs ({len(listed.same):,}); add {absent} pairs: both are needed.")
    if listed.folds is None:
        return
    genuine, impostor = (set(np.unique(listed.folds[chosen]).tolist()) for chosen in (listed.same, ~listed.same))
    if incomplete := sorted(genuine ^ impostor):
        there = "same" if incomplete[0] in genuine else "different"
        raise DataError(f"{path}: fold {incomplete[0]} has only {there} pairs; each fold needs both kinds.")
    if len(genuine) < 2:
        raise DataError(f"{path} has only one fold; name at least 2, or remove the column for none.")

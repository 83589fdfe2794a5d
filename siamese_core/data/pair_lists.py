"""Lists of pairs that a user brings, in either format of `pair_parsing`.

Rows are read one by one: a pair costs a few bytes, and a path is stored once, however many pairs it is in.
"""

from __future__ import annotations

import codecs
import io
import os
import posixpath
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TextIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from siamese_core.arrays import Indices
from siamese_core.artifact import read_record, read_table, write_record, write_table
from siamese_core.data.ignored import ignored
from siamese_core.data.manifest import Manifest
from siamese_core.data.names import nfc
from siamese_core.data.pair_parsing import Lookup, Row, read_rows
from siamese_core.errors import DataError, examples
from siamese_core.input_file import reading_csv
from siamese_core.progress import Progress, track

_FORMAT = 1
_BLOCK = 2**20
_LONG_FILE = 2**25  # bytes; shorter ones are read before a progress bar is of use


@dataclass(frozen=True)
class _Counts:
    """The part of a list that goes into JSON."""

    duplicates: int


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
        """Write `images.parquet`, `pairs.parquet` and `pairs.json`."""
        write_table(folder / "images.parquet", pd.DataFrame({"path": self.images}, dtype="str"))
        columns = {"a": self.pairs[:, 0], "b": self.pairs[:, 1], "same": self.same}
        columns |= {} if self.folds is None else {"fold": self.folds}
        write_table(folder / "pairs.parquet", pd.DataFrame(columns))
        write_record(folder / "pairs.json", _Counts(self.duplicates), _FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a folder that `save` wrote."""
        table = read_table(folder / "pairs.parquet")
        return cls(
            images=read_table(folder / "images.parquet")["path"].tolist(),
            pairs=table[["a", "b"]].to_numpy(np.int32),
            same=table["same"].to_numpy(np.bool_),
            folds=table["fold"].to_numpy(np.int32) if "fold" in table else None,
            duplicates=read_record(_Counts, folder / "pairs.json", _FORMAT).duplicates,
        )

    def summary(self) -> dict[str, Any]:
        """Counts of pairs and images."""
        genuine = int(self.same.sum())
        return {"genuine": genuine, "impostor": len(self.same) - genuine, "images": len(self.images)}


class FilesBelow:
    """Images that are files below a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._children: dict[Path, dict[str, str]] = {}
        self.place = f"below {root}"
        self.advice = "Name the folder that the paths start from with --images."

    def folders(self) -> Iterable[str]:
        """Every folder below the root but those of systems and tools."""
        for folder, names, _ in os.walk(self._root):
            for name in names:
                path = os.path.relpath(os.path.join(folder, name), self._root).replace(os.sep, "/")
                if not ignored(path):
                    yield path

    def find(self, image: str) -> str:
        """The path of the file, which may be spelt in another Unicode form or without outer blanks."""
        exact, plain = posixpath.normpath(image), posixpath.normpath(image.strip())
        if exact != plain and os.path.isfile(self._root / exact):
            return exact
        if plain.isascii() or os.path.isfile(self._root / plain):
            return plain
        return self._in_another_form(plain)

    def _in_another_form(self, image: str) -> str:
        """The path whose parts are the same in NFC; as it is written where there is none."""
        path = ""
        for part in image.split("/"):
            path = posixpath.join(path, self._names_in(self._root / path).get(nfc(part), part))
        return path

    def _names_in(self, folder: Path) -> dict[str, str]:
        """The names in a folder by their NFC; a folder is listed once."""
        if folder not in self._children:
            self._children[folder] = {nfc(name): name for name in os.listdir(folder)} if folder.is_dir() else {}
        return self._children[folder]

    def why_not(self, image: str) -> str | None:
        """Tell a missing file from a missing folder."""
        path = self._root / image
        if os.path.isfile(path):
            return None
        return "no such file" if path.parent.is_dir() else "no such folder"


def read_pairs(path: Path, root: Path) -> PairList:
    """Read a file of pairs whose images are files below a folder; see `read_pairs_of`."""
    return read_pairs_of(path, FilesBelow(root))


def read_pairs_of(path: Path, lookup: Lookup) -> PairList:
    """Read a file of pairs, in either format.

    A CSV has the columns `path_a,path_b,same` and optionally `fold`, in any order, under other common names too
    (`image1`, `label`), separated by commas, semicolons, tabs or bars; same is 1, 0, true, false, yes, no, same,
    different; paths are below the root, or absolute. LFW's format (Huang et al. 2007, "Labeled Faces in the Wild")
    starts with N or FOLDS and N, tab-separated; then come, for each fold, N lines `NAME i j` (same) and N lines
    `NAME1 i NAME2 j` (different). The image is NAME/NAME_000i.jpg, or has another extension; the folder NAME lies
    anywhere below the root.

    Args:
        path: The file, UTF-8, or UTF-16 with its mark, as spreadsheets write it.
        lookup: Where the images are.

    Raises:
        DataError: The file cannot be read or is empty, a row is wrong, an image does not exist, a pair is listed
            as both same and different or is an image with itself, or one kind of pairs is missing (from a fold).
    """
    with reading_csv(path, str(path)), _open(path) as file:
        rows, has_folds = read_rows(file, path, lookup)
        return _collect(rows, path, lookup, has_folds)


def rows_of(manifest: Manifest, images: list[str]) -> Indices:
    """(n,) int64 rows of the image store, by the paths of readable images."""
    paths = manifest.ok["path"].to_numpy().astype(str)
    order = np.argsort(paths, kind="stable")
    return order[np.searchsorted(paths, images, sorter=order)]


class _WatchedFile(io.FileIO):
    """A file whose reading is counted."""

    progress: Progress | None = None

    def readinto(self, buffer: Any) -> int | None:
        count = super().readinto(buffer)
        if self.progress is not None:
            self.progress.advance(count or 0)
        return count


@contextmanager
def _open(path: Path) -> Iterator[TextIO]:
    """Open a file as text, with a progress bar where it is long."""
    raw = _WatchedFile(path)
    buffer = io.BufferedReader(raw, _BLOCK)
    encoding = "utf-16" if buffer.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    with io.TextIOWrapper(buffer, encoding=encoding, newline="") as file:
        if (size := os.fstat(raw.fileno()).st_size) < _LONG_FILE:
            yield file
            return
        with track(f"read {path.name}", size, "bytes") as raw.progress:
            yield file


class _Images:
    """Numbers of images in the order in which they come; `a.jpg` and `./a.jpg` are one."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self.paths: list[str] = []
        self.lines: list[int] = []
        self._numbers: dict[str, int] = {}

    def number(self, path: str, line: int) -> int:
        number = self._numbers.get(path)
        return self._add(path, line) if number is None else number

    def _add(self, path: str, line: int) -> int:
        plain = self._lookup.find(path)
        number = self._numbers.setdefault(plain, len(self.paths))
        if number == len(self.paths):
            self.paths.append(plain)
            self.lines.append(line)
        self._numbers[path] = number
        return number


def _collect(rows: Iterable[Row], path: Path, lookup: Lookup, has_folds: bool) -> PairList:
    images = _Images(lookup)
    flat_pairs, answers, fold_numbers = array("i"), array("b"), array("i")
    for line, path_a, path_b, same, fold in rows:
        first, second = images.number(path_a, line), images.number(path_b, line)
        if first == second:
            raise DataError(f"{path}, line {line}: compares {path_a!r} with itself, which proves nothing; remove it.")
        flat_pairs.append(first)
        flat_pairs.append(second)
        answers.append(same)
        if has_folds:
            fold_numbers.append(fold)
    if not answers:
        raise DataError(f"{path} has a header but no pairs.")
    _refuse_missing(images, path, lookup)
    pairs = np.frombuffer(flat_pairs, np.int32).reshape(-1, 2)
    answer = np.frombuffer(answers, np.bool_)
    first_rows = _first_rows(pairs, answer, images.paths, path)
    folds = np.frombuffer(fold_numbers, np.int32)[first_rows] if has_folds else None
    duplicates = int((~first_rows).sum())
    pair_list = PairList(images.paths, pairs[first_rows], answer[first_rows], folds, duplicates)
    _check_kinds(pair_list, path)
    return pair_list


def _refuse_missing(images: _Images, path: Path, lookup: Lookup) -> None:
    places = zip(images.paths, images.lines, strict=True)
    missing = [f"{image} (line {line}, {why})" for image, line in places if (why := lookup.why_not(image))]
    if not missing:
        return
    raise DataError(
        f"{len(missing):,} of the {len(images.paths):,} images in {path} are not {lookup.place}: "
        f"{examples(missing)}. {lookup.advice}"
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
    first = np.ones(len(pairs), np.bool_)
    first[order[1:][again]] = False
    return first


def _check_kinds(pairs: PairList, path: Path) -> None:
    if pairs.same.all() or not pairs.same.any():
        there, absent = ("same", "different") if pairs.same.all() else ("different", "same")
        raise DataError(f"{path} has only {there} pairs ({len(pairs.same):,}); add {absent} pairs: both are needed.")
    if pairs.folds is None:
        return
    genuine, impostor = (set(np.unique(pairs.folds[kind]).tolist()) for kind in (pairs.same, ~pairs.same))
    if incomplete := sorted(genuine ^ impostor):
        there = "same" if incomplete[0] in genuine else "different"
        raise DataError(f"{path}: fold {incomplete[0]} has only {there} pairs; each fold needs both kinds.")
    if len(genuine) < 2:
        raise DataError(f"{path} has only one fold; name at least 2, or remove the column for none.")

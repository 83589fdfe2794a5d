"""Lists of pairs that a user brings: a CSV with the columns `path_a,path_b,same[,fold]`, or LFW's pairs format.

The first line tells which: LFW's holds one or two numbers. Rows are read one by one, so that a pair costs a few
bytes and a path is kept once, however many pairs it is in.
"""

from __future__ import annotations

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
from siamese_core.artifact import read_json, read_table, write_json, write_table
from siamese_core.data.csv_files import reading_csv
from siamese_core.data.manifest import Manifest
from siamese_core.data.pair_formats import Lookup, Row, read_rows
from siamese_core.data.split import Split
from siamese_core.errors import DataError
from siamese_core.progress import Progress, track

_EXAMPLES = 5
_BLOCK = 2**20
_LONG_FILE = 2**25  # bytes; shorter ones are read before a progress bar is of use


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
        rows, has_folds = read_rows(file, path, lookup)
        return _collect(rows, path, lookup, has_folds)


def read_held_out_pairs(path: Path, manifest: Manifest, split: Split) -> PairList:
    """Reads a file of pairs of the manifest's images, all of test identities.

    Args:
        path: CSV `path_a,path_b,same[,fold]` with paths as in the manifest (below `data_dir`), or LFW's format, whose
            NAME is a folder anywhere below `data_dir`.
        manifest: The images that there are; their files are not looked at.
        split: Their parts.

    Raises:
        DataError: The file is wrong, an image is unknown or in quarantine, or an identity is not in the test part:
            the encoder or the thresholds have seen it, and what such a pair measures is no promise about strangers.
    """
    listed = read_pairs_of(path, _InManifest(manifest))
    identities = manifest.ok["identity"].to_numpy()[rows_of(manifest, listed.images)]
    _refuse_seen(sorted(set(identities.tolist())), split, path)
    return listed


def rows_of(manifest: Manifest, images: list[str]) -> Indices:
    """(n,) int64 rows of the image store, by the paths of readable images."""
    paths = manifest.ok["path"].to_numpy().astype(str)
    order = np.argsort(paths, kind="stable")
    return order[np.searchsorted(paths, images, sorter=order)]


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


class _InManifest:
    """Looks for images among the files that ingest found."""

    place = "among the readable images of data_dir"
    advice = "Remove their pairs, mend the files, or write each path as it is below data_dir, such as {}."

    def __init__(self, manifest: Manifest) -> None:
        table = manifest.table
        self._reasons = dict(zip(manifest.quarantined["path"], manifest.quarantined["reason"], strict=True))
        self._paths = set(table["path"].tolist())
        self._folders = {folder for identity in table["identity"].unique() for folder in _with_parents(identity)}
        self.advice = self.advice.format(next(iter(manifest.ok["path"]), "NAME/1.jpg"))

    def folders(self) -> Iterable[str]:
        """Every folder with an image at some depth."""
        return self._folders

    def why_not(self, image: str) -> str | None:
        """Whether it is in quarantine, and for what reason, or unknown."""
        if image in self._reasons:
            return f"in quarantine: {self._reasons[image]}"
        if image in self._paths:
            return None
        return "no such image" if posixpath.dirname(image) in self._folders else "no such folder"


def _with_parents(folder: str) -> Iterable[str]:
    while folder:
        yield folder
        folder = posixpath.dirname(folder)


def _refuse_seen(identities: list[str], split: Split, path: Path) -> None:
    parts = dict(zip(split.table["identity"], split.table["split"], strict=True))
    seen = [(identity, parts[identity]) for identity in identities if parts[identity] != "test"]
    if not seen:
        return
    examples = ", ".join(f"{identity} ({part})" for identity, part in seen[:_EXAMPLES])
    more = " …" if len(seen) > _EXAMPLES else ""
    raise DataError(
        f"{path} compares {len(identities):,} identities, of which {len(seen):,} do not test: {examples}{more}. "
        "Training or calibration sees them, so the figure would be no promise about strangers. List every identity of "
        "the file as test in split_file (a CSV identity,split), or remove these pairs."
    )

"""From a folder tree to a manifest and an image store: every file is found, read once, and accounted for.

A later ingest of the same folder reads new and changed files only; the rest it takes from the earlier one.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from siamese_core.arrays import Indices, Pixels
from siamese_core.artifact import read_table, write_table
from siamese_core.config import DataConfig, ImageConfig
from siamese_core.data.identities import name_identities
from siamese_core.data.ignored import ignored
from siamese_core.data.links import Links
from siamese_core.data.manifest import Manifest, make_table
from siamese_core.data.quarantine import Row, printable, read_or_quarantine
from siamese_core.data.store import ImageStore, write_store
from siamese_core.errors import DataError
from siamese_core.progress import Progress, track

logger = logging.getLogger(__name__)

_IN_FLIGHT_PER_WORKER = 8
# A file that was written this shortly before it was listed may be written again within the clock's resolution.
_RACY_NS = 2_000_000_000

_Read = tuple[Row, Pixels | None]


class FileEntry(NamedTuple):
    """A file in a directory listing.

    Attributes:
        path: Below data_dir; may hold surrogates where the name is not valid UTF-8.
        size: In bytes; -1 where the file cannot be looked at.
        mtime_ns: Time of the last change, in nanoseconds.
        ctime_ns: Time of the last change of the content, name or rights, which nobody can set back.
        inode: Number of the file in its file system, which stays with it when it is renamed.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True)
class IngestIndex:
    """Sizes and times by which a later ingest recognises unchanged files; no other step reads it.

    Attributes:
        table: Columns of `FileEntry`, one row a file, in the manifest's order.
        listed_ns: Time of the listing, in nanoseconds.
    """

    table: pd.DataFrame
    listed_ns: int

    def save(self, folder: Path) -> None:
        """Write `index.parquet`."""
        write_table(folder / "index.parquet", self.table.assign(listed_ns=self.listed_ns))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `index.parquet`."""
        table = read_table(folder / "index.parquet")
        return cls(table.drop(columns="listed_ns"), int(table["listed_ns"].iloc[0]))

    def summary(self) -> dict[str, Any]:
        """The number of files."""
        return {"files": len(self.table)}


@dataclass(frozen=True)
class Ingested:
    """The result of an ingest, and the start of the next.

    Attributes:
        manifest: Every file.
        store: The readable images, in the manifest's order.
        index: For the next ingest.
        reused: Number of files taken from the earlier ingest.
    """

    manifest: Manifest
    store: ImageStore
    index: IngestIndex
    reused: int = field(default=0, compare=False)

    def check(self) -> None:
        """Make sure that its parts belong together.

        Raises:
            DataError: They do not.
        """
        same_files = self.manifest.table["path"].equals(self.index.table["path"])
        if not same_files or len(self.manifest.ok) != len(self.store):
            raise DataError("its manifest, images and index are not of one ingest")


def ingest(
    data_dir: Path,
    folder: Path,
    config: ImageConfig,
    workers: int | None = None,
    previous: Ingested | None = None,
    data: DataConfig | None = None,
) -> Ingested:
    """Read all files below `data_dir`, in parallel, with memory for a few images at a time.

    Args:
        data_dir: A folder of folders of images, at any depth.
        folder: An existing folder for the image store's files.
        config: Preparation of the images.
        workers: Threads that decode (Pillow works outside Python's lock); the number of cores if not given.
        previous: An earlier ingest of the same folder with the same configuration and code: its files of unchanged
            size, times and inode are not read again, and where no image has changed its store is the result's.
        data: The way from folders to identities.

    Raises:
        DataError: The folder is missing, has no files, none of them can be read, or the merge file is wrong.
    """
    listed_ns = time.time_ns()
    logger.info(f"looking through {data_dir}")
    data = data or DataConfig()
    links = Links(data_dir, data.follow_links)
    files = list_files(data_dir, links)
    if not files:
        raise DataError(f"{data_dir} has no files. Expected one folder of images for each identity.")
    index = IngestIndex(pd.DataFrame([file._replace(path=printable(file.path)) for file in files]), listed_ns)
    previous = previous or _nothing(config, index)
    old = _unchanged(index, previous)  # (n,) row of the earlier manifest, or -1
    new = [file.path for file, row in zip(files, old, strict=True) if row < 0]
    rows: list[Row] = []
    with track("ingest", len(files), "files") as progress:
        first, fresh = _until_an_image(_read_all(data_dir, new, config, workers or os.cpu_count() or 1, links))
        images = _images(old, previous, chain(first, fresh), rows, progress)
        if _has_all(old, previous) and not any(pixels is not None for _, pixels in first):
            store = previous.store
            deque(images, maxlen=0)  # for the rows and the progress
        else:
            store = write_store(folder, config, images)
    table = _merge(old, previous.manifest.table, make_table(rows))
    manifest = Manifest(name_identities(table, data))
    if manifest.ok.empty:
        raise DataError(f"None of the {len(files):,} files below {data_dir} is a usable image:\n{_examples(manifest)}")
    return Ingested(manifest, store, index, reused=int((old >= 0).sum()))


def list_files(data_dir: Path, links: Links) -> list[FileEntry]:
    """List all files below a folder, sorted by path; a link to a folder that is not followed is listed as a file.

    Raises:
        DataError: There is no such folder, or it cannot be listed.
    """
    if not os.path.exists(data_dir):
        raise DataError(f"data_dir {data_dir} does not exist (looked from {Path.cwd()}).")
    if not os.path.isdir(data_dir):
        raise DataError(f"data_dir {data_dir} is a file. Expected a folder with one folder of images an identity.")
    files: list[FileEntry] = []
    seen: set[tuple[int, int]] = set()

    def keep(error: OSError) -> None:
        """List a folder that cannot be listed as if it were a file, whose quarantine tells why; stop at data_dir."""
        path = os.path.relpath(error.filename, data_dir)
        if path == ".":
            raise DataError(f"The folder {data_dir} cannot be listed: {error.strerror}.") from error
        files.append(FileEntry(path, -1, 0, 0, 0))

    for folder, below, names in os.walk(data_dir, followlinks=True, onerror=keep):
        prefix = os.path.relpath(f"{folder}/", data_dir)
        place = _place(folder)
        if place in seen:
            below.clear()
            continue
        if place and (prefix == "." or not ignored(prefix)):  # a link may show the files of a hidden folder
            seen.add(place)
        names += links.leave(folder, below)
        files += [_look_at(f"{folder}/{name}", name if prefix == "." else f"{prefix}/{name}") for name in names]
    return sorted(files, key=lambda file: file.path.split("/"))


def image_files(folder: Path) -> list[Path]:
    """List the files below a folder, sorted, but those of systems and tools; follow links.

    Raises:
        DataError: There is no such folder, or it cannot be listed.
    """
    links = Links(folder, follow=True)
    paths = (file.path for file in list_files(folder, links))
    return [folder / path for path in paths if not ignored(path) and not links.verdict(path)]


def _place(folder: str) -> tuple[int, int] | None:
    """Device and inode of a folder; None where it has vanished, which each of its files will tell."""
    try:
        stat = os.stat(folder)
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def _look_at(file: str, path: str) -> FileEntry:
    try:
        stat = os.stat(file)
    except OSError:  # a broken link, say; reading it will tell why
        return FileEntry(path, -1, 0, 0, 0)
    return FileEntry(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def _nothing(config: ImageConfig, index: IngestIndex) -> Ingested:
    """An ingest of no files."""
    store = ImageStore(np.empty(0, np.uint8), config, Path())
    return Ingested(Manifest(make_table([])), store, IngestIndex(index.table.head(0), 0))


def _unchanged(index: IngestIndex, previous: Ingested) -> Indices:
    """(n,) int64: each file's row in the earlier manifest, or -1 if it is new, changed or could not be read then."""
    table = previous.index.table.reset_index(names="row")
    readable = previous.manifest.table["sha256"] != ""  # what the disk or the rights refused may be there now
    safe = readable & (table["size"] >= 0) & (table["mtime_ns"] < previous.index.listed_ns - _RACY_NS)
    table = table[safe].drop_duplicates("path", keep=False)  # of two such, one has a name that is not valid UTF-8
    return index.table.merge(table, how="left")["row"].fillna(-1).to_numpy(np.int64)


def _has_all(old: Indices, previous: Ingested) -> bool:
    """Whether the files have all images of the earlier ingest unchanged, in its order."""
    ok = (previous.manifest.table["status"] == "ok").to_numpy()
    rows = old[old >= 0]
    return np.array_equal(rows[ok[rows]], np.flatnonzero(ok))


def _until_an_image(fresh: Iterator[_Read]) -> tuple[list[_Read], Iterator[_Read]]:
    """Read files up to the first image; what was read, and the rest."""
    entries: list[_Read] = []
    for entry in fresh:
        entries.append(entry)
        if entry[1] is not None:
            break
    return entries, fresh


def _images(
    old: Indices,
    previous: Ingested,
    fresh: Iterator[_Read],
    rows: list[Row],
    progress: Progress,
) -> Iterator[Pixels]:
    """The readable images in the order of the files; the rows of the fresh ones are added to `rows`."""
    ok = (previous.manifest.table["status"] == "ok").to_numpy()
    earlier, image = np.asarray(previous.store.images), np.cumsum(ok) - 1
    for row in old.tolist():
        if row >= 0:
            pixels = earlier[image[row]] if ok[row] else None
        else:
            entry, pixels = next(fresh)
            rows.append(entry)
        if pixels is not None:
            yield pixels
        progress.advance()


def _merge(old: Indices, earlier: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The manifest's table: rows of the earlier one and new rows, in the order of the files."""
    order = np.where(old < 0, len(earlier) + np.cumsum(old < 0) - 1, old)
    return pd.concat([earlier, new], ignore_index=True).iloc[order].reset_index(drop=True)


def _read_all(data_dir: Path, paths: list[str], config: ImageConfig, workers: int, links: Links) -> Iterator[_Read]:
    """Read files in order; at most a few for each worker are in memory at once."""
    pending: deque[Future[_Read]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for path in paths:
            pending.append(pool.submit(read_or_quarantine, data_dir, path, config, links))
            if len(pending) >= workers * _IN_FLIGHT_PER_WORKER:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _examples(manifest: Manifest, count: int = 5) -> str:
    rows = pd.concat([manifest.quarantined, manifest.ignored]).head(count)
    return "\n".join(f"  {path}: {reason}" for path, reason in zip(rows["path"], rows["reason"], strict=True))

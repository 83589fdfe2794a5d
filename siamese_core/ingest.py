"""From a folder tree to a manifest and an image store: every file is found, read once, and accounted for."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from siamese_core.config import ImageConfig
from siamese_core.errors import DataError, UnreadableImageError
from siamese_core.images import Pixels, decode_image, read_file
from siamese_core.manifest import Manifest, make_table
from siamese_core.progress import track
from siamese_core.store import ImageStore, StoreWriter

Row = dict[str, Any]
_IN_FLIGHT_PER_WORKER = 8


def ingest(
    data_dir: Path, folder: Path, config: ImageConfig, workers: int | None = None
) -> tuple[Manifest, ImageStore]:
    """Reads all files below `data_dir`, in parallel, with memory for a few images at a time.

    Args:
        data_dir: A folder of folders of images; an identity is the path of a folder below it, at any depth.
        folder: An existing folder for the image store's files.
        config: How images are prepared.
        workers: Threads that decode (Pillow works outside Python's lock); the number of cores if not given.

    Returns:
        The manifest of every file found, and the store of the readable images in the manifest's order.

    Raises:
        DataError: The folder is missing, has no files, or none of them can be read.
    """
    paths = list_files(data_dir)
    if not paths:
        raise DataError(f"{data_dir} has no files. Expected one folder of images for each identity.")
    rows = []
    with StoreWriter(folder, config) as writer, track("ingest", len(paths), "files") as progress:
        for row, pixels in _read_all(data_dir, paths, config, workers or os.cpu_count() or 1):
            rows.append(row)
            if pixels is not None:
                writer.append(pixels)
            progress.advance()
    manifest = Manifest(make_table(rows))
    if manifest.ok.empty:
        raise DataError(f"None of the {len(paths):,} files below {data_dir} is a usable image:\n{_examples(manifest)}")
    return manifest, ImageStore.load(folder)


def list_files(data_dir: Path) -> list[Path]:
    """All files below a folder, relative to it, sorted; links to folders are followed, loops are not.

    Raises:
        DataError: There is no such folder, or it cannot be listed.
    """
    if not data_dir.exists():
        raise DataError(f"data_dir {data_dir} does not exist (looked from {Path.cwd()}).")
    if not data_dir.is_dir():
        raise DataError(f"data_dir {data_dir} is a file. Expected a folder with one folder of images an identity.")
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(data_dir, followlinks=True, onerror=_refuse):
        stat = os.stat(root)
        if (stat.st_dev, stat.st_ino) in seen:
            folders.clear()
            continue
        seen.add((stat.st_dev, stat.st_ino))
        folders.sort()
        found.extend(Path(root, name).relative_to(data_dir) for name in names)
    return sorted(found)


def _refuse(error: OSError) -> None:
    raise DataError(f"The folder {error.filename} cannot be listed: {error.strerror}.") from error


def _read_all(
    data_dir: Path, paths: Iterable[Path], config: ImageConfig, workers: int
) -> Iterator[tuple[Row, Pixels | None]]:
    """Reads files in order; at most a few for each worker are in memory at once."""
    pending: deque[Future[tuple[Row, Pixels | None]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for path in paths:
            pending.append(pool.submit(_read_one, data_dir, path, config))
            if len(pending) >= workers * _IN_FLIGHT_PER_WORKER:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _read_one(data_dir: Path, path: Path, config: ImageConfig) -> tuple[Row, Pixels | None]:
    row: Row = {"identity": "", "path": _printable(path), "sha256": "", "bytes": 0, "width": 0, "height": 0}
    row |= {
        "mode": "",
        "format": "",
        "brightness": 0.0,
        "contrast": 0.0,
        "status": "quarantined",
        "reason": "",
    }
    try:
        row["identity"] = _identity(path)
        data = read_file(data_dir / path)
        row |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        image = decode_image(data, config)
    except UnreadableImageError as error:
        return row | {"reason": str(error)}, None
    row |= {"width": image.width, "height": image.height, "mode": image.mode, "format": image.format}
    row |= {"brightness": float(image.pixels.mean()), "contrast": float(image.pixels.std())}
    return row | {"status": "ok"}, image.pixels


def _identity(path: Path) -> str:
    identity = path.parent.as_posix()
    if _printable(path) != path.as_posix():
        raise UnreadableImageError("its name is not valid UTF-8")
    if identity == ".":
        raise UnreadableImageError("lies directly in data_dir; an identity is a folder below it")
    return identity


def _printable(path: Path) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _examples(manifest: Manifest, count: int = 5) -> str:
    rows = manifest.quarantined.head(count)
    return "\n".join(f"  {path}: {reason}" for path, reason in zip(rows["path"], rows["reason"], strict=True))

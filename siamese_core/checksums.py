"""Hashes of a model's files beside them, so that a changed file is noticed before it answers anybody.

The file has the format of `sha256sum`, which checks it too: `sha256sum -c SHA256SUMS`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from siamese_core.artifact import hash_file
from siamese_core.errors import ModelError

logger = logging.getLogger(__name__)

CHECKSUMS = "SHA256SUMS"
_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *](?P<name>.+)")


def write_checksums(folder: Path, names: Iterable[str] | None = None) -> None:
    """Write the hashes of files.

    Args:
        folder: Their place.
        names: Below it; all files there if not given.
    """
    if names is None:
        names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [f"{hash_file(folder / name).hex()}  {name}\n" for name in sorted(names) if name != CHECKSUMS]
    (folder / CHECKSUMS).write_text("".join(lines), encoding="utf-8")


def check_files(folder: Path) -> None:
    """Compare the files of a folder with the hashes that were written; without hashes, say so in the log.

    Raises:
        ModelError: A file has changed or is missing, or the hashes themselves are damaged.
    """
    if not (folder / CHECKSUMS).is_file():
        logger.info(f"{folder} has no {CHECKSUMS}, as models of earlier versions: its files were not checked")
        return
    for name, sha256 in _read(folder / CHECKSUMS):
        path = folder / name
        if not path.is_file():
            raise ModelError(f"{path} is missing, though {CHECKSUMS} lists it: fetch the model's files again.")
        if hash_file(path).hex() != sha256:
            raise ModelError(
                f"{path} has changed since the model was written: its SHA-256 is not the one in {CHECKSUMS}. "
                "Fetch the model's files again, or train again."
            )


def _read(path: Path) -> list[tuple[str, str]]:
    """Names and hashes."""
    lines = [_LINE.fullmatch(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    pairs = [(line["name"], line["sha256"]) for line in lines if line]
    if len(pairs) < len(lines) or not pairs or any(Path(name).is_absolute() or ".." in name for name, _ in pairs):
        raise ModelError(f"{path} is damaged: a line is not a SHA-256 and the name of a file beside it.")
    return pairs

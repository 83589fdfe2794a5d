"""The verdict on one file: `ok`, or ignored or quarantined with the reason.

Most reasons of the quarantine come from `images.decode_image`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from siamese_core.arrays import Pixels
from siamese_core.config import ImageConfig
from siamese_core.data.ignored import ignored, sidecar
from siamese_core.data.images import decode_image, read_file
from siamese_core.data.links import Links
from siamese_core.data.names import nfc
from siamese_core.errors import NotAnImageError, UnreadableImageError
from siamese_core.messages import escape_controls

# Columns of the manifest.
Row = dict[str, Any]


def read_or_quarantine(data_dir: Path, path: str, config: ImageConfig, links: Links) -> tuple[Row, Pixels | None]:
    """Read one file.

    Args:
        data_dir: The folder of the data set.
        path: Below it.
        config: Preparation of the image.
        links: Of the data set.

    Returns:
        Its row, and its prepared pixels, (size, size, channels), if it is `ok`.
    """
    row: Row = {"identity": "", "path": printable(path), "sha256": "", "bytes": 0, "width": 0, "height": 0}
    row |= {"mode": "", "format": "", "bit_depth": 0, "largest": 0, "brightness": 0.0, "contrast": 0.0}
    row |= {"status": "quarantined", "reason": ""}
    if rule := ignored(path):
        return row | {"status": "ignored", "reason": rule}, None
    if verdict := links.verdict(path):
        return row | {"status": verdict.status, "reason": printable(verdict.reason)}, None
    data = b""
    try:
        _check_name(path)
        data = read_file(data_dir / path, config)
        row |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        row["identity"] = _identity(path)
        image = decode_image(data, config)
    except UnreadableImageError as error:
        if _lacked_memory(error):  # without a hash the next ingest reads it again
            row["sha256"] = ""
        beside = isinstance(error, NotAnImageError) or "/" not in path
        rule = sidecar(path, data) if beside else None
        return row | ({"status": "ignored", "reason": rule} if rule else {"reason": str(error)}), None
    row |= {"width": image.width, "height": image.height, "mode": image.mode, "format": image.format}
    row |= {"bit_depth": image.bit_depth, "largest": image.largest}
    row |= {"brightness": float(image.pixels.mean()), "contrast": float(image.pixels.std())}
    return row | {"status": "ok"}, image.pixels


def _check_name(path: str) -> None:
    if printable(path) != path:
        try:
            path.encode()
        except UnicodeEncodeError:
            raise UnreadableImageError("its name is not valid UTF-8") from None
        raise UnreadableImageError("its name has control characters")


def _identity(path: str) -> str:
    identity, _, _ = path.rpartition("/")
    if not identity:
        raise UnreadableImageError("lies directly in data_dir; an identity is a folder below it")
    return nfc(identity)


def _lacked_memory(error: UnreadableImageError) -> bool:
    cause = error.__cause__
    return isinstance(cause, MemoryError) or "out of memory" in str(cause)  # the latter by Pillow's decoders


def printable(path: str) -> str:
    """A path that can be written as UTF-8 and on a terminal, whatever bytes the file system holds."""
    return escape_controls(os.fsencode(path).decode("utf-8", "backslashreplace"))

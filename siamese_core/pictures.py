"""Small pictures of stored images, for reports."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from siamese_core.images import Pixels

_TILE, _GAP = 64, 4


def grid(rows: list[list[Pixels]], titles: list[str]) -> bytes:
    """A table of images as PNG.

    Args:
        rows: Images, (H, W, C) uint8; every row as long as `titles`.
        titles: A heading for each column.
    """
    width = len(titles) * (_TILE + _GAP) + _GAP
    height = 16 + max(len(rows), 1) * (_TILE + _GAP) + _GAP
    canvas = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(canvas)
    for column, title in enumerate(titles):
        draw.text((_GAP + column * (_TILE + _GAP), 3), title, fill="black")
    for y, row in enumerate(rows):
        for x, pixels in enumerate(row):
            canvas.paste(_tile(pixels), (_GAP + x * (_TILE + _GAP), 16 + y * (_TILE + _GAP)))
    return _png(canvas)


def thumbnail(pixels: Pixels) -> bytes:
    """One image, (H, W, C) uint8, as a PNG of fixed size."""
    return _png(_tile(pixels))


def _tile(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(np.asarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    return image.convert("RGB").resize((_TILE, _TILE), Image.Resampling.LANCZOS)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()

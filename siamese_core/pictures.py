"""Small pictures of stored images, for reports."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from siamese_core.arrays import Pixels

_TILE, _GAP = 64, 4
_LARGEST = 160


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
    return _encoded(canvas, "PNG")


def photo(pixels: Pixels) -> bytes:
    """One image, (H, W, C) uint8, as a JPEG of at most 160 pixels a side."""
    image = _image(pixels)
    image.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    return _encoded(image, "JPEG", quality=88)


def sheet(images: list[Pixels], columns: int, tile: int) -> bytes:
    """Many images, (H, W, C) uint8, as small tiles of one JPEG, row by row."""
    canvas = Image.new("RGB", (columns * tile, -(-len(images) // columns) * tile), "white")
    for index, pixels in enumerate(images):
        small = _image(pixels).resize((tile, tile), Image.Resampling.LANCZOS)
        canvas.paste(small, (index % columns * tile, index // columns * tile))
    return _encoded(canvas, "JPEG", quality=72)


def _tile(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    return _image(pixels).convert("RGB").resize((_TILE, _TILE), Image.Resampling.LANCZOS)


def _image(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.asarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def _encoded(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()

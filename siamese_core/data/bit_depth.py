"""Images of more than 8 bits a channel: their range, and the way to 8 bits."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageFile

from siamese_core.errors import UnreadableImageError

_SAMPLE_FORMAT, _SIGNED, _WHITE_IS_ZERO = 339, 2, 0
_BITS_IN_RAW_MODE = re.compile(r";(\d+)")
# Pillow keeps the high byte of a colour of 16 bits; read in the other byte order it keeps the low one.
_OTHER_ORDER = {"16L": "16B", "16B": "16L", "16N": "16B" if sys.byteorder == "little" else "16L"}
_COLOURS = ("RGB", "RGBA")


@dataclass(frozen=True)
class BitDepth:
    """Range of an image's channels.

    Attributes:
        bits: Of a channel, in the file.
        signed: Whether half of the range is below 0.
        white_is_zero: Whether a large number is dark.
        raw_mode: Pillow's name of the file's layout; "" for an image in memory.
    """

    bits: int
    signed: bool = False
    white_is_zero: bool = False
    raw_mode: str = ""

    @classmethod
    def of(cls, image: Image.Image) -> BitDepth:
        """The range of an image; that of a colour only before its pixels are loaded."""
        raw_mode = _raw_mode(image)
        tags = getattr(image, "tag_v2", None)
        if tags is None:
            return cls(_bits(image, raw_mode), raw_mode=raw_mode)
        return cls(
            bits=tags.get(ExifTags.Base.BitsPerSample, (1,))[0],
            signed=_SIGNED in tags.get(_SAMPLE_FORMAT, ()),
            white_is_zero=tags.get(ExifTags.Base.PhotometricInterpretation) == _WHITE_IS_ZERO,
            raw_mode=raw_mode,
        )

    def white(self, white_level: int | None) -> int:
        """The number that is white: the one that the user names, or the end of the range."""
        return white_level or int(2 ** (self.bits - self.signed) - 1)


def grey_to_8_bits(image: Image.Image, depth: BitDepth, white_level: int | None) -> npt.NDArray[np.uint8]:
    """Scale a grey image of more than 8 bits; what is darker than black or lighter than white is cut off.

    Args:
        image: (H, W) in a mode that begins with `I`.
        depth: Of its file.
        white_level: The number that is white; the end of the range if None.

    Returns:
        (H, W) uint8.
    """
    white = depth.white(white_level)
    values = _numbers(image, depth).astype(np.int64).clip(0, white)
    return ((white - values if depth.white_is_zero else values) * 255 // white).astype(np.uint8)


def rescale_colours(image: Image.Image, data: bytes, depth: BitDepth, white_level: int | None) -> None:
    """Scale a colour image of 16 bits a channel anew, in place, so that `white_level` is white.

    Args:
        image: Loaded; in mode RGB or RGBA nothing is left of 16 bits but the high ones.
        data: Its file.
        depth: Of the file.
        white_level: The number that is white; the end of the range if None, which is how Pillow scales.

    Raises:
        UnreadableImageError: Pillow cannot give the low bits of this kind of file.
    """
    if image.mode not in _COLOURS or depth.bits <= 8 or white_level is None:
        return
    layout, _, order = depth.raw_mode.partition(";")
    if layout not in _COLOURS or order not in _OTHER_ORDER:
        raise UnreadableImageError(
            f"{depth.bits} bits a channel as {depth.raw_mode}, where images.white_level has no effect; save as RGB"
            " or grey"
        )
    low = Image.open(io.BytesIO(data), formats=[image.format or ""])
    low.tile = [_with_raw_mode(tile, f"{layout};{_OTHER_ORDER[order]}") for tile in low.tile]
    high = np.asarray(image).astype(np.uint32)
    colours = (high << 8 | np.asarray(low)).clip(0, white_level) * np.uint32(255) // np.uint32(white_level)
    colours[..., 3:] = high[..., 3:]  # the alpha channel has a range of its own
    image.frombytes(colours.astype(np.uint8).tobytes())


def largest_number(image: Image.Image, depth: BitDepth) -> int:
    """The largest number of a loaded image of more than 8 bits a channel, of a colour to 8 bits; 0 for other images."""
    if image.mode.startswith("I"):
        return int(_numbers(image, depth).max())
    if depth.bits <= 8 or image.mode not in _COLOURS:
        return 0
    return 257 * int(np.asarray(image)[..., :3].max())


def _numbers(image: Image.Image, depth: BitDepth) -> npt.NDArray[np.integer]:
    numbers = np.asarray(image)
    return numbers if depth.bits < 32 or depth.signed else numbers.view(np.uint32)


def _bits(image: Image.Image, raw_mode: str) -> int:
    if image.mode.startswith("I"):
        return 16
    match = _BITS_IN_RAW_MODE.search(raw_mode) if image.format == "PNG" else None
    return int(match[1]) if match else 1 if image.mode == "1" else 8


def _raw_mode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", [])
    arguments = tiles[0].args if tiles else ""
    return str(arguments if isinstance(arguments, str) else arguments[0] if arguments else "")


def _with_raw_mode(tile: ImageFile._Tile, raw_mode: str) -> ImageFile._Tile:
    more = tile.args[1:] if isinstance(tile.args, tuple) else None
    return tile._replace(args=raw_mode if more is None else (raw_mode, *more))

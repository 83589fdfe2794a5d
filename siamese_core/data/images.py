"""From a file to the square uint8 array that the encoder sees. Ingest, scoring and serving share this code."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps

from siamese_core.arrays import Pixels, blocks
from siamese_core.config import ImageConfig
from siamese_core.data.bit_depth import BitDepth, grey_to_8_bits, largest_number, rescale_colours
from siamese_core.data.decoding_memory import LOCAL, DecodingMemory
from siamese_core.data.image_formats import open_image
from siamese_core.errors import NotAnImageError, UnreadableImageError, first_line

_TURNED_BY_A_QUARTER = (5, 6, 7, 8)

# A larger difference from the background is content: half-way between white paper and a black stroke's soft edge.
_DIFFERENT = 64
# A dot keeps some of the paper around it: content is never smaller than this share of the shorter side.
_SMALLEST_CONTENT = 0.25
_CONTENT_MARGIN = 1.15

# Pixels that are converted at a time.
_BAND = 1_000_000
# Most pixels of the square around content that is wider or higher than its image, as in a long strip.
_LARGEST_FRAME = 4_000_000
# Bytes a pixel: Pillow's (4 where it is not said), those of decoders beside it, those of converting a band, and those
# of scaling colours of 16 bits anew.
_BYTES_OF_MODE = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2}
_BYTES_OF_DECODER = {"WEBP": 12, "AVIF": 12, "HEIF": 12, "JPEG2000": 24}
_BYTES_OF_BAND = 24
_BYTES_OF_COLOURS = 64
# A file of uncompressed pixels with four channels of 16 bits is the largest that there is need for.
_MOST_BYTES_A_PIXEL, _SMALL_FILE = 8, 64_000_000

# Pillow warns of what it mends by itself (EXIF, palettes) and of large sizes, which are checked below.
warnings.filterwarnings("ignore", module=r"PIL\.")

ImageSource = str | Path | bytes | bytearray | memoryview | Image.Image | npt.NDArray[np.uint8]


@dataclass(frozen=True)
class DecodedImage:
    """A prepared image and the facts of the file it came from.

    Attributes:
        pixels: (size, size, channels) uint8.
        width: Width of the upright original, in pixels.
        height: Height of the upright original, in pixels.
        mode: Pillow's mode of the original, such as `RGB`, `1`, `P` or `I;16`.
        format: The file format that was recognised, such as `JPEG`.
        bit_depth: Bits of a channel in the file.
        largest: The largest number of a channel, where it has more than 8 bits; else 0.
    """

    pixels: Pixels
    width: int
    height: int
    mode: str
    format: str
    bit_depth: int
    largest: int


def decode_image(data: bytes, config: ImageConfig, memory: DecodingMemory = LOCAL) -> DecodedImage:
    """Decode the bytes of an image file and prepare them for the encoder.

    Args:
        data: Content of an image file.
        config: Size, colour, crop and inversion.
        memory: Shared with the other threads that decode.

    Returns:
        The prepared pixels with the original's size, mode and format.

    Raises:
        UnreadableImageError: The bytes are empty, not an image, truncated, or have too many pixels.
    """
    if not data:
        raise NotAnImageError("empty file (0 bytes)")
    with _reasons():
        return _decode(data, config, memory)


def load_image(source: ImageSource, config: ImageConfig, memory: DecodingMemory = LOCAL) -> Pixels:
    """Prepare one image of any kind of source.

    Args:
        source: A path, the bytes of an image file, a Pillow image, or an (H, W) or (H, W, C) uint8 array.
        config: Size, colour, crop and inversion.
        memory: Shared with the other threads that decode.

    Returns:
        (size, size, channels) uint8.

    Raises:
        UnreadableImageError: The source is of another kind, or cannot be read or decoded.
    """
    match source:
        case Image.Image():
            return _prepare_given(source, config)
        case np.ndarray():
            return _prepare_given(_from_array(source), config)
        case bytes() | bytearray() | memoryview():
            return decode_image(bytes(source), config, memory).pixels
        case str() | Path():
            return decode_image(read_file(Path(source), config), config, memory).pixels
    raise UnreadableImageError(
        f"no image: expected a path, bytes, a Pillow image or an array, not {type(source).__name__}"
    )


def read_file(path: Path, config: ImageConfig) -> bytes:
    """Read a regular file.

    Args:
        path: The file.
        config: Its limit of pixels.

    Raises:
        UnreadableImageError: There is no such file, it is a folder or a device, it may not be read, or it is larger
            than an image of `images.max_pixels` can be.
    """
    try:
        if not path.exists():
            raise UnreadableImageError("broken link" if path.is_symlink() else "no such file")
        if not path.is_file():
            raise UnreadableImageError(_why_a_folder(path) if path.is_dir() else "not a regular file")
        if (size := path.stat().st_size) > (most := max(_SMALL_FILE, _MOST_BYTES_A_PIXEL * config.max_pixels)):
            raise UnreadableImageError(
                f"too large: {size / 1e6:,.0f} MB, more than the {most / 1e6:,.0f} MB of an image"
            )
        return path.read_bytes()
    except OSError as error:
        raise UnreadableImageError(f"cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise UnreadableImageError("not enough memory to read it") from error


def _why_a_folder(path: Path) -> str:
    try:
        with os.scandir(path):
            return "a folder, not a file"
    except OSError as error:
        return f"a folder that cannot be listed: {error.strerror}"


def prepare(image: Image.Image, config: ImageConfig) -> Pixels:
    """Turn, flatten, crop, resize and, if the configuration says so, invert a decoded image.

    Args:
        image: An image in any of Pillow's modes.
        config: Size, colour, crop and inversion.

    Returns:
        (size, size, channels) uint8.
    """
    mode, depth = "L" if config.color == "grey" else "RGB", BitDepth.of(image)
    upright = _flatten_in_bands(_upright(image), mode, depth, config.white_level)
    square = _content_square(upright, config) if config.framing == "content" else _central_square(upright, config)
    pixels = np.asarray(square, dtype=np.uint8)
    pixels = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    return 255 - pixels if config.invert else pixels


@contextmanager
def _reasons() -> Iterator[None]:
    """Turn whatever Pillow raises in the `with` block into words."""
    try:
        yield
    except Image.DecompressionBombError:
        raise UnreadableImageError("too large: a decompression bomb") from None
    except UnreadableImageError:
        raise
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, struct.error, ValueError, EOFError …
        raise UnreadableImageError(f"cannot be decoded: {first_line(error)}") from error


def _prepare_given(image: Image.Image, config: ImageConfig) -> Pixels:
    """Prepare a caller's image, which Pillow may not have read from its file yet."""
    _check_size(image, config)
    with _reasons():
        return prepare(image, config)


def _check_size(image: Image.Image, config: ImageConfig) -> None:
    width, height = image.size
    if width * height == 0:
        raise UnreadableImageError(f"no pixels: {width}×{height}")
    if width * height > config.max_pixels:
        raise UnreadableImageError(
            f"too large: {width}×{height} pixels, more than {config.max_pixels:,} (images.max_pixels)"
        )


def _decode(data: bytes, config: ImageConfig, memory: DecodingMemory) -> DecodedImage:
    image = open_image(data)
    width, height = image.size
    _check_size(image, config)
    mode, file_format, depth = image.mode, image.format or "unknown", BitDepth.of(image)
    # JPEG can be decoded at 1/2, 1/4 or 1/8; twice the final resolution keeps the resampling clean.
    share = config.crop * (_SMALLEST_CONTENT if config.framing == "content" else 1)
    side = round(2 * config.size / share)
    image.draft(None, (side, side))
    with memory.reserve(_bytes_needed(image, width * height, depth, config)):
        image.load()
        if image.getexif().get(ExifTags.Base.Orientation, 1) in _TURNED_BY_A_QUARTER:
            width, height = height, width
        largest = largest_number(image, depth)
        rescale_colours(image, data, depth, config.white_level)
        return DecodedImage(prepare(image, config), width, height, mode, file_format, depth.bits, largest)


def _bytes_needed(image: Image.Image, pixels: int, depth: BitDepth, config: ImageConfig) -> int:
    """An upper estimate of the memory that decoding and preparing an image takes at once.

    Args:
        image: As opened, for JPEG with the reduced size in which it will be decoded.
        pixels: Of the file.
        depth: Of the file.
        config: Size, colour, crop and inversion.
    """
    here = image.width * image.height
    bytes_a_pixel = _BYTES_OF_MODE.get(image.mode, 4)
    flat = 1 if config.color == "grey" else 4
    # As decoded, with what the decoder holds; turned upright; flattened.
    copies = bytes_a_pixel + _BYTES_OF_DECODER.get(image.format or "", bytes_a_pixel) + max(bytes_a_pixel, flat)
    if depth.bits > 8:
        copies += bytes_a_pixel if config.white_level is None else _BYTES_OF_COLOURS
    total = here * copies + min(here, _BAND) * _BYTES_OF_BAND
    if config.framing == "content":
        total += (2 * here + _LARGEST_FRAME) * flat
    if image.info.get("progressive"):  # all coefficients of the file, 16 bits each
        total += 2 * len(image.getbands()) * pixels
    return total


def _upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF says; itself, and not a copy, where there is nothing to turn."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return ImageOps.exif_transpose(image) if orientation in range(2, 9) else image


def _flatten_in_bands(image: Image.Image, mode: str, depth: BitDepth, white_level: int | None) -> Image.Image:
    """Flatten a large image band by band: on the way from mode to mode there are up to five copies."""
    plain = image.mode == mode and not image.has_transparency_data
    if plain or image.width * image.height <= _BAND:
        return _flatten(image, mode, depth, white_level)
    flat = Image.new(mode, image.size)
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        flat.paste(_flatten(band, mode, depth, white_level), (0, top))
    return flat


def _flatten(image: Image.Image, mode: str, depth: BitDepth, white_level: int | None) -> Image.Image:
    """Convert any mode to `L` or `RGB`: more than 8 bits scaled to 8, transparency laid on white."""
    if image.mode.startswith("I"):
        return Image.fromarray(grey_to_8_bits(image, depth, white_level)).convert(mode)
    if image.mode == "F":
        raise UnreadableImageError("floating-point pixels; save the image with 8 or 16 bits a channel")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert(mode)
    return image if image.mode == mode else image.convert(mode)


def _central_square(image: Image.Image, config: ImageConfig) -> Image.Image:
    width, height = image.size
    side = min(width, height) * config.crop
    left, top = (width - side) / 2, (height - side) / 2
    # The antialiased filter is what makes a 2,000-pixel photo and its 200-pixel copy agree.
    return image.resize((config.size, config.size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def _content_square(image: Image.Image, config: ImageConfig) -> Image.Image:
    """The square around all that differs from the background, with a margin; the background fills what lies outside."""
    background = _background(image)
    columns, rows = _differing(image, background)
    if not columns.any():
        return _central_square(image, config)
    left, right = _extent(columns)
    top, bottom = _extent(rows)
    side = max(right - left, bottom - top, _SMALLEST_CONTENT * min(image.size)) * _CONTENT_MARGIN * config.crop
    half = side / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    around = math.ceil(max(0, half - x, half - y, x + half - image.width, y + half - image.height))
    wide_pixels = (image.width + 2 * around) * (image.height + 2 * around)
    if around and wide_pixels > max(_LARGEST_FRAME, 2 * image.width * image.height):  # a long strip
        return _content_square(image.reduce(math.ceil(math.sqrt(wide_pixels / _LARGEST_FRAME))), config)
    fill = tuple(background.tolist()) if background.ndim else int(background)
    wide = ImageOps.expand(image, around, fill) if around else image
    box = (x - half + around, y - half + around, x + half + around, y + half + around)
    return wide.resize((config.size, config.size), Image.Resampling.BILINEAR, box=box)


def _background(image: Image.Image) -> npt.NDArray[np.int16]:
    """() or (C,): the median of the pixels at the border."""
    width, height = image.size
    sides = ((0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height))
    channels = () if image.mode == "L" else (3,)
    border = np.concatenate([np.asarray(image.crop(side)).reshape(-1, *channels) for side in sides])
    return np.asarray(np.median(border, axis=0)).astype(np.int16)


def _differing(
    image: Image.Image, background: npt.NDArray[np.int16]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(W,) and (H,): the columns and the rows with a pixel that differs from the background, found band by band."""
    columns, rows = np.zeros(image.width, bool), np.zeros(image.height, bool)
    for band in blocks(image.height, max(1, _BAND // image.width)):
        pixels = np.asarray(image.crop((0, band.start, image.width, min(band.stop, image.height))))
        differs = np.abs(pixels.astype(np.int16) - background).reshape(*pixels.shape[:2], -1).max(axis=2) > _DIFFERENT
        columns |= differs.any(axis=0)
        rows[band] = differs.any(axis=1)
    return columns, rows


def _extent(used: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """First used row or column, and the one after the last."""
    places = np.flatnonzero(used)
    return int(places[0]), int(places[-1]) + 1


def _from_array(array: npt.NDArray[np.uint8]) -> Image.Image:
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise UnreadableImageError(
            f"an array must be (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8, not {array.shape} {array.dtype}"
        )
    return Image.fromarray(array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array)

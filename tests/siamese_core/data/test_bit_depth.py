"""Files of more than 8 bits a channel: each number comes out where it belongs, and a range that is not used is told."""

import io
import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from siamese_core.config import ImageConfig, ValidationConfig
from siamese_core.data.data_checks import failures
from siamese_core.data.images import decode_image, load_image
from siamese_core.data.ingest import ingest
from siamese_core.errors import UnreadableImageError
from siamese_integrations.great_expectations_suite import run_checks
from tests.siamese_core.data.test_ignored import image, write

SIDE = 16


def config(color: str = "grey", white_level: int | None = None) -> ImageConfig:
    return ImageConfig(size=SIDE, color=color, white_level=white_level)  # type: ignore[arg-type]


def tiff(numbers: np.ndarray, white_is_zero: bool = False, order: str = "<", deflate: bool = False) -> bytes:
    """A TIFF of (H, W) or (H, W, 3) whole numbers, as section 2 and 6 of TIFF 6.0 say."""
    height, width = numbers.shape[:2]
    channels = numbers.shape[2] if numbers.ndim == 3 else 1
    bits, sign = 8 * numbers.dtype.itemsize, 2 if numbers.dtype.kind == "i" else 1
    pixels = numbers.astype(numbers.dtype.newbyteorder(order)).tobytes()
    pixels = zlib.compress(pixels) if deflate else pixels
    place = 8 + 2 + 12 * 10 + 4
    lists = struct.pack(f"{order}{2 * channels}H", *[bits] * channels, *[sign] * channels)
    short = {258: bits if channels == 1 else place, 339: sign if channels == 1 else place + 2 * channels}
    kind = 2 if channels == 3 else 0 if white_is_zero else 1
    tags = {
        256: width,
        257: height,
        259: 8 if deflate else 1,
        262: kind,
        273: place + len(lists),
        277: channels,
        278: height,
    }
    tags |= {279: len(pixels)} | short
    entries = b""
    for tag, value in sorted(tags.items()):
        count = channels if tag in short else 1
        inline = struct.pack(f"{order}HH", value, 0) if count == 1 and tag in short else struct.pack(f"{order}I", value)
        entries += struct.pack(f"{order}HHI", tag, 3 if tag in short else 4, count) + inline
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return start + entries + bytes(4) + lists + pixels


def png(numbers: np.ndarray) -> bytes:
    """A PNG of 16 bits: grey, RGB or RGBA."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = numbers.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[numbers.shape[2] if numbers.ndim == 3 else 1]
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in numbers)
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


def pixels(data: bytes, **options: Any) -> np.ndarray:
    return decode_image(data, config(**options)).pixels.squeeze()


def ramp(top: int, kind: str, channels: int | None = None) -> np.ndarray:
    """All the way from 0 to the top, one number a pixel; each channel starts elsewhere."""
    numbers = np.linspace(0, top, SIDE * SIDE).astype(np.int64).reshape(SIDE, SIDE)
    if channels:
        numbers = np.stack([np.roll(numbers, 40 * i) for i in range(channels)], axis=-1)
    return numbers.astype(kind)


@pytest.mark.parametrize("top", [255, 1023, 4095, 16383, 65535])
@pytest.mark.parametrize(
    "save",
    [png, tiff, partial(tiff, order=">"), partial(tiff, deflate=True), partial(tiff, order=">", deflate=True)],
    ids=["png", "little", "big", "little deflated", "big deflated"],
)
@pytest.mark.parametrize("channels", [None, 3])
def test_the_white_level_spreads_what_a_file_of_16_bits_holds(top: int, save: Any, channels: int | None) -> None:
    numbers = ramp(top, "u2", channels)
    read = pixels(save(numbers), color="rgb" if channels else "grey", white_level=top)
    assert np.array_equal(read, numbers.astype(np.int64) * 255 // top)
    assert len(np.unique(read)) > 240


@given(st.integers(1, 65535), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_numbers_above_white_are_white_and_order_is_kept(white_level: int, seed: int) -> None:
    numbers = np.random.default_rng(seed).integers(0, 65536, (SIDE, SIDE)).astype("u2")
    read = pixels(png(numbers), white_level=white_level).ravel()
    assert (read[numbers.ravel() >= white_level] == 255).all()
    assert (np.diff(read[np.argsort(numbers, axis=None)].astype(int)) >= 0).all()


def test_alpha_keeps_a_range_of_its_own() -> None:
    numbers = ramp(4095, "u2", 4)
    numbers[..., 3] = 65535
    assert np.array_equal(
        pixels(png(numbers), color="rgb", white_level=4095), numbers[..., :3].astype(int) * 255 // 4095
    )
    with pytest.raises(UnreadableImageError, match=r"16 bits a channel as LA;16B.*images\.white_level"):
        pixels(png(ramp(4095, "u2", 2)), white_level=4095)


@pytest.mark.parametrize(("kind", "top"), [("u2", 2**16 - 1), ("i2", 2**15 - 1), ("u4", 2**32 - 1), ("i4", 2**31 - 1)])
def test_every_whole_number_has_its_full_range(kind: str, top: int) -> None:
    expected = ramp(top, kind).astype(object) * 255 // top
    assert np.array_equal(pixels(tiff(ramp(top, kind))), expected.astype(np.uint8))
    decoded = decode_image(tiff(ramp(top, kind)), config())
    assert (decoded.bit_depth, decoded.largest) == (8 * int(kind[1]), top)


def test_a_part_of_32_bits_is_spread_by_the_white_level() -> None:
    assert np.array_equal(pixels(tiff(ramp(4095, "u4")), white_level=4095), ramp(4095, "i8") * 255 // 4095)


@pytest.mark.parametrize(("kind", "white_level"), [("u1", None), ("u2", None), ("u2", 4095)])
def test_white_is_zero_means_what_it_says(kind: str, white_level: int | None) -> None:
    numbers = ramp(white_level or np.iinfo(kind).max, kind)
    plain, negative = (pixels(tiff(numbers, white), white_level=white_level) for white in (False, True))
    assert np.abs(255 - plain.astype(int) - negative).max() <= 1
    assert negative[0, 0] == 255


def test_8_bits_and_arrays_know_no_white_level() -> None:
    grey = ramp(255, "u1")
    assert np.array_equal(pixels(tiff(grey), white_level=15), grey)
    assert np.array_equal(load_image(grey, config(white_level=15)).squeeze(), grey)


def test_the_orientation_of_deep_images_is_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(ramp(4095, "u2")).save(buffer, "PNG", exif=exif)
    assert np.array_equal(pixels(buffer.getvalue(), white_level=4095), np.rot90(ramp(4095, "i8") * 255 // 4095, -1))


@pytest.mark.parametrize("channels", [None, 3])
def test_a_set_in_a_corner_of_its_range_is_told_until_white_is_named(tmp_path: Path, channels: int | None) -> None:
    rng = np.random.default_rng(0)
    shape = (SIDE, SIDE, channels) if channels else (SIDE, SIDE)
    files = {f"p{i}/{j}.png": png(rng.integers(0, 4096, shape).astype("u2")) for i in range(8) for j in range(2)}
    write(tmp_path / "images", files | {"p0/plain.png": image(1), "p0/bad.png": b""})

    def warnings(white_level: int | None) -> list[Any]:
        (tmp_path / "store").mkdir(exist_ok=True)
        manifest = ingest(tmp_path / "images", tmp_path / "store", config(white_level=white_level)).manifest
        table = manifest.table.set_index("path")
        assert table["bit_depth"].tolist() == [16, 16, 0, 8] + [16] * 14
        assert table.loc["p0/plain.png", "largest"] == 0
        checks, _ = run_checks(manifest, ValidationConfig(warn_decodable=0, min_contrast=0), white_level=white_level)
        return failures(checks, "warning")

    (warning,) = warnings(None)
    assert "images.white_level" in warning.advice
    assert "16 images of 16 bits" in warning.examples[0]
    assert "images.white_level: 4095 would hold them" in warning.examples[0]
    assert warnings(4095) == []
    (warning,) = warnings(1023)
    assert "white is 1,023" in warning.examples[0]

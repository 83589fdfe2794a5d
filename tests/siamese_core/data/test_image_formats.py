"""Phones' and browsers' formats are read like any other; the rest is refused by its name, with the way out."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from siamese_core.config import ImageConfig
from siamese_core.data.images import decode_image, load_image
from siamese_core.data.ingest import ingest
from siamese_core.errors import NotAnImageError, UnreadableImageError
from tests.siamese_core.data.test_ignored import image, write
from tests.siamese_core.data.test_ingest import photo

RGB = ImageConfig(size=16)


def encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_new_formats_give_the_picture(kind: str, mode: str) -> None:
    data = encode(photo(64, 48).convert(mode), kind)
    decoded = decode_image(data, RGB)
    assert (decoded.format, decoded.width, decoded.height, decoded.bit_depth) == (kind, 64, 48, 8)
    expected = load_image(photo(64, 48).convert(mode), RGB).astype(int)
    assert np.abs(decoded.pixels - expected).mean() < 4
    with pytest.raises(UnreadableImageError, match="too large: 64×48"):
        decode_image(data, ImageConfig(size=16, max_pixels=100))


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_phones_turn_their_pictures(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode_image(encode(photo(64, 48), kind, exif=exif), RGB)
    # HEIC's own rotation is undone by its decoder, and it writes pictures upright.
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}[orientation]
    upright = photo(64, 48) if kind == "HEIF" else photo(64, 48).transpose(turn)
    assert (decoded.width, decoded.height) == upright.size
    assert np.abs(decoded.pixels - load_image(upright, RGB).astype(int)).mean() < 6


def test_16_bits_of_jpeg_2000_are_scaled() -> None:
    ramp = np.linspace(0, 65535, 256).astype("u2").reshape(16, 16)
    decoded = decode_image(encode(Image.fromarray(ramp), "JPEG2000"), ImageConfig(size=16, color="grey"))
    assert (decoded.bit_depth, decoded.largest) == (16, 65535)
    assert np.array_equal(decoded.pixels[..., 0], ramp // 257)


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "JPEG2000"])
def test_damaged_ones_are_named(kind: str) -> None:
    data = encode(photo(64, 48), kind)
    for end in (32, len(data) // 2, len(data) - 30):
        with pytest.raises(UnreadableImageError, match=r"damaged (HEIC|AVIF)|cannot be decoded"):
            decode_image(data[:end], RGB)


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL"), (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"), (b"8BPS\0\1", "a Photoshop file"),
        (b"%PDF-1.4", "a document"), (b"<svg xmlns=''>", "SVG"), (b"<?xml version='1.0'?>\n<svg>", "SVG"),
        (b"\0\0\0\x18ftypmp42", "a video"), (b"\0\0\0\x14ftypqt  ", "a video"), (b"\x1aE\xdf\xa3", "a video"),
        (b"FUJIFILMCCD-RAW 0201", "a raw file of a camera"), (b"\0\0\0\x18ftypcrx ", "a raw file of a camera"),
        (bytes(128) + b"DICM", "DICOM"), (b"v/1\x01", "OpenEXR"), (b"PK\3\4", "an archive"), (b"II\xbc\1", "JPEG XR"),
        (b"MM\0*\0\0\0\x08\0\0", "a TIFF of a kind"), (b"\0\0\1\0\1\0", "an icon"),
    ],
)  # fmt: skip
def test_other_formats_are_refused_by_name(start: bytes, name: str) -> None:
    with pytest.raises(NotAnImageError, match=f"^{name}.* not read here; save it as JPEG or PNG$"):
        decode_image(start + bytes(200), RGB)


def test_what_nobody_knows_gets_the_list_of_formats() -> None:
    with pytest.raises(NotAnImageError, match=r"not an image in a known format \(JPEG, .*AVIF, JPEG2000, HEIF\)"):
        decode_image(b"no image at all", RGB)


def test_they_go_through_ingest_and_pictures_of_other_formats_stay_in_quarantine(tmp_path: Path) -> None:
    files = {f"p/{kind}.{kind[:4].lower()}": encode(photo(), kind) for kind in ("HEIF", "AVIF", "JPEG2000")}
    write(tmp_path / "images", files | {"p/a.psd": b"8BPS" + bytes(50), "p/b.pdf": b"%PDF-1.4", "p/c.png": image(0)})
    (tmp_path / "store").mkdir()
    manifest = ingest(tmp_path / "images", tmp_path / "store", RGB).manifest
    assert sorted(manifest.ok["format"]) == ["AVIF", "HEIF", "JPEG2000", "PNG"]
    assert manifest.quarantined["reason"].tolist() == [
        "a Photoshop file, which is not read here; save it as JPEG or PNG"
    ]
    assert manifest.ignored["path"].tolist() == ["p/b.pdf"]


def test_the_reader_of_heic_is_loaded_for_heic_only() -> None:
    code = """
import io, sys
from PIL import Image
from siamese_core.config import ImageConfig
from siamese_core.data.images import decode_image
for kind in ("PNG", "WEBP"):
    buffer = io.BytesIO()
    Image.new("L", (9, 9)).save(buffer, kind)
    decode_image(buffer.getvalue(), ImageConfig(size=8))
    print("pillow_heif" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

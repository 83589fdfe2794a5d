"""The formats of image files: those that are read, and the names of others, by their first bytes."""

from __future__ import annotations

import io
import re
from functools import lru_cache

from PIL import Image, UnidentifiedImageError

from siamese_core.errors import NotAnImageError

FORMATS = ("JPEG", "PNG", "PPM", "BMP", "WEBP", "TIFF", "GIF", "AVIF", "JPEG2000", "HEIF")

_NAMES = {
    rb"II\*\0|MM\0\*|II\+\0|MM\0\+": "a TIFF of a kind that is not read, or a damaged one",
    rb".{4}ftyp(hei|hev|mif1|msf1)": "a damaged HEIC file",
    rb".{4}ftypavi[fs]": "a damaged AVIF file",
    rb".{4}ftypcrx": "a raw file of a camera",
    rb".{4}ftyp": "a video",
    rb"\xff\x0a|\0{3}\x0cJXL ": "JPEG XL",
    rb"II\xbc": "JPEG XR",
    rb"8BPS": "a Photoshop file",
    rb"gimp xcf": "a GIMP file",
    rb"FUJIFILMCCD-RAW|II.{4}HEAPCCDR|IIRO|IIU\0|FOVb": "a raw file of a camera",
    rb"\x76\x2f\x31\x01": "OpenEXR",
    rb"#\?RADIANCE": "Radiance HDR",
    rb"SIMPLE  =": "FITS",
    rb".{128}DICM": "DICOM",
    rb"\0\0[\x01\x02]\0": "an icon",
    rb"icns": "an icon",
    rb"DDS ": "a texture (DDS)",
    rb"%PDF|%!PS|\xc5\xd0\xd3\xc6": "a document (PDF or PostScript)",
    rb"(\xef\xbb\xbf)?\s*<(\?xml.{0,1000}<svg|!DOCTYPE svg|svg)": "SVG",
    rb"RIFF.{4}AVI |\x1aE\xdf\xa3|\0\0\x01[\xb3\xba]": "a video",
    rb"PK\x03\x04|Rar!|7z\xbc\xaf|\x1f\x8b": "an archive",
}


def open_image(data: bytes) -> Image.Image:
    """Open the bytes of an image file; the pixels are not decoded yet.

    Raises:
        NotAnImageError: The format is not one of `FORMATS`; the message names it where it is known.
    """
    if data[4:8] == b"ftyp":
        _read_heif_too()
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS if data[4:8] == b"ftyp" else FORMATS[:-1])
    except UnidentifiedImageError:
        raise NotAnImageError(_no_known_format(data)) from None


@lru_cache(1)
def _read_heif_too() -> None:
    import pillow_heif  # 0.1 s, for these files only

    pillow_heif.register_heif_opener()


def _no_known_format(data: bytes) -> str:
    for start, name in _NAMES.items():
        if re.match(start, data, re.DOTALL):
            return f"{name}, which is not read here; save it as JPEG or PNG"
    return "not an image in a known format (" + ", ".join(FORMATS) + ")"

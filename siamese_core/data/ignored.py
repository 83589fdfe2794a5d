"""Files that lie beside the images and are none: those of systems and tools, and notes on the images."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

# Names of files, or of folders above them, in any case; the first that fits is the reason.
_SYSTEM = {
    "._*": "a Mac's metadata",
    "__MACOSX": "a Mac's metadata",
    ".DS_Store": "a Mac's metadata",
    "Icon\r": "a Mac's icon",
    "Network Trash Folder": "deleted files of a Mac",
    "Temporary Items": "temporary files of a Mac",
    "Thumbs.db*": "thumbnails of Windows",
    "ehthumbs*.db": "thumbnails of Windows",
    "desktop.ini": "a setting of Windows",
    "System Volume Information": "a folder of Windows",
    "$RECYCLE.BIN": "deleted files of Windows",
    "RECYCLER": "deleted files of Windows",
    "@eaDir": "thumbnails of a NAS",
    ".@__thumb": "thumbnails of a NAS",
    "#recycle": "deleted files of a NAS",
    "@Recycle": "deleted files of a NAS",
    "#snapshot": "a snapshot of a NAS",
    "@Recently-Snapshot": "a snapshot of a NAS",
    ".ipynb_checkpoints": "copies that a notebook makes",
    "__pycache__": "a cache of Python",
    "lost+found": "lost blocks of the file system",
    "~$*": "a lock of an office program",
    ".*": "hidden",
}
# Extensions that promise a picture, whether or not it can be read here.
_PICTURES = """
jpg jpeg jpe jfif pjpeg png apng gif bmp dib tif tiff webp ppm pgm pbm pnm pfm heic heics heif heifs hif avif avifs
jp2 j2k j2c jpx jpf jpc jpm jxl jxr wdp hdp psd psb xcf kra svg svgz eps ai ico cur icns tga pcx xbm xpm sgi ras exr hdr
raw dng cr2 cr3 crw nef nrw arw srf sr2 orf rw2 raf pef srw 3fr iiq x3f rwl dcm dicom fits fit
mp4 m4v mov avi mkv webm wmv mpg mpeg 3gp flv mts m2ts
"""
_PICTURE_EXTENSIONS = frozenset(_PICTURES.split())
_EXTENSION = re.compile(r"\.(?=\w*[A-Za-z])(\w{1,12})")


def ignored(path: str) -> str | None:
    """Say why a file is left aside unread, by its name or that of a folder above it; None where it is not.

    Args:
        path: Below the folder of the data set, joined by "/".
    """
    for name in path.split("/"):
        for pattern, meaning in _SYSTEM.items():
            if fnmatchcase(name.lower(), pattern.lower()):
                return f"{meaning} ({pattern.strip()})"
    return None


def sidecar(path: str, data: bytes) -> str | None:
    """Say why a file that holds no image is no damaged image either: its extension, or its text; None where it may be.

    Args:
        path: Below the folder of the data set, joined by "/".
        data: Content, which is of no known image format.
    """
    extension = _extension(path)
    if extension:
        return None if extension in _PICTURE_EXTENSIONS else f"not an image, and not named like one (.{extension})"
    return "not an image, but text" if _is_text(data) else None


def _extension(path: str) -> str:
    """Lower case, without the dot; "" where there is none: in `face.0001` and `J. Doe` the dot begins no extension."""
    name = path.rpartition("/")[2]
    match = _EXTENSION.fullmatch(name[max(name.rfind("."), 0) :])
    return match[1].lower() if match else ""


def _is_text(data: bytes) -> bool:
    try:
        return bool(data) and "\0" not in data.decode()
    except UnicodeDecodeError:
        return False

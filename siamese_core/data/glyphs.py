"""The embedded data set: characters in the typefaces that matplotlib ships; an identity is a character.

Real shapes by real designers, no download, no licence trouble (DejaVu and STIX are free fonts).
"""

from __future__ import annotations

import shutil
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from siamese_core.errors import DataError
from siamese_core.progress import track

_CUTS = ("", "-Bold", "-Oblique", "-BoldOblique")
_FACES = [
    *(f"DejaVuSans{cut}" for cut in _CUTS),
    *(f"DejaVuSansMono{cut}" for cut in _CUTS),
    *(f"DejaVuSerif{cut}" for cut in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{cut}" for cut in ("", "Bol", "Italic", "BolIta")),
]
_REFERENCE = "DejaVuSans"
_MIN_FACES = 12
_MIN_PICTURES = 6
_SIZE, _POINTS, _SHIFT = 48, 30, 2

# Each face with the code points that it draws.
Faces = dict[str, tuple[ImageFont.FreeTypeFont, frozenset[int]]]


def make_glyphs(folder: Path, characters: int | None = None, seed: int = 0) -> tuple[int, int]:
    """Write one folder of PNG images for each character.

    Characters of which the reference face draws the same picture (Latin A, Greek Α, Cyrillic А) are one shape:
    the first of them stays. No picture comes twice, and blank ones are left out.

    Args:
        folder: The target; must not exist or be empty.
        characters: The number of characters, drawn at random; all if not given.
        seed: Of the draw and of the small random shifts.

    Returns:
        Numbers of characters and of images.

    Raises:
        DataError: The folder has something in it.
    """
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder} is not empty; name a new folder, or remove it first.")
    faces = _load_faces()
    pictures = _distinct_pictures(faces)
    rng = np.random.default_rng(seed)
    codes = sorted(pictures)
    if characters is not None:
        codes = sorted(rng.permutation(codes)[:characters].tolist())
    # Written beside the folder and renamed, so that a killed run leaves no half-made data set.
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for code in codes:
        _save_shifted(pictures[code], partial / f"U+{code:04X}", rng)
    if folder.exists():
        folder.rmdir()
    partial.rename(folder)
    return len(codes), sum(len(pictures[code]) for code in codes)


def _load_faces() -> Faces:
    import matplotlib
    from matplotlib.ft2font import FT2Font

    fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return {
        name: (
            ImageFont.truetype(str(fonts / f"{name}.ttf"), _POINTS),
            frozenset(FT2Font(str(fonts / f"{name}.ttf")).get_charmap()),
        )
        for name in _FACES
    }


def _common(faces: Faces) -> list[int]:
    """Letters, numbers, punctuation and symbols that enough faces have, ascending."""
    reference = faces[_REFERENCE][1]
    enough = (code for code in sorted(reference) if sum(code in codes for _, codes in faces.values()) >= _MIN_FACES)
    return [code for code in enough if unicodedata.category(chr(code))[0] in "LNPS"]


def _distinct_pictures(faces: Faces) -> dict[int, dict[str, Image.Image]]:
    """Pictures of each character by face, no picture twice, characters with too few left out."""
    seen: set[bytes] = {b""}  # a blank counts as seen
    characters: dict[int, dict[str, Image.Image]] = {}
    codes = _common(faces)
    with track("draw glyphs", len(codes), "characters") as progress:
        for code in codes:
            pictures = {name: _draw(chr(code), font) for name, (font, cmap) in faces.items() if code in cmap}
            # A homoglyph: its reference picture was drawn for an earlier character.
            if _ink(pictures[_REFERENCE]) not in seen:
                new = {_ink(picture): (name, picture) for name, picture in pictures.items()}
                new = {ink: named for ink, named in new.items() if ink not in seen}
                if len(new) >= _MIN_PICTURES:
                    characters[code] = dict(new.values())
                seen |= set(new)
            progress.advance()
    return characters


def _ink(picture: Image.Image) -> bytes:
    """Identity of a drawing wherever it stands: its width and pixels; empty for a blank."""
    box = ImageChops.invert(picture).getbbox()
    return b"" if box is None else str(box[2] - box[0]).encode() + b":" + picture.crop(box).tobytes()


def _save_shifted(pictures: dict[str, Image.Image], folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for name, picture in pictures.items():
        x, y = rng.integers(-_SHIFT, _SHIFT + 1, size=2).tolist()
        moved = Image.new("L", picture.size, 255)
        moved.paste(picture, (x, y))
        moved.save(folder / f"{name}.png")


def _draw(character: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Dark on white, centred by the ink's box."""
    image = Image.new("L", (_SIZE, _SIZE), 255)
    left, top, right, bottom = font.getbbox(character)
    corner = (round((_SIZE - right - left) / 2), round((_SIZE - bottom - top) / 2))
    ImageDraw.Draw(image).text(corner, character, font=font, fill=0)
    return image

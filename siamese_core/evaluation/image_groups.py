"""Groups of images: by what a user knows of them, and by what is measured on them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices, Pixels
from siamese_core.data.dataset import Images
from siamese_core.data.image_metadata import FEWEST_NUMBERS, Metadata, number, read_metadata
from siamese_core.data.manifest import Manifest

_MOST_GROUPS = 12
_BLOCK = 1024
UNKNOWN, OTHER = "unknown", "other"
# Names of the lowest, middle and highest third of what is measured on every image.
_QUALITY = {
    "brightness": ("darkest third", "middle third", "brightest third"),
    "contrast": ("least contrast, a third", "middle third", "most contrast, a third"),
    "sharpness": ("most blurred third", "middle third", "sharpest third"),
    "size": ("smallest third", "middle third", "largest third"),
}


@dataclass(frozen=True)
class Grouping:
    """A column that puts each image into one group.

    Attributes:
        column: Its name.
        source: `metadata` or `quality`.
        names: Of the groups.
        codes: (N,) int64, the group of each image.
    """

    column: str
    source: str
    names: list[str]
    codes: Indices


def image_groups(manifest: Manifest, images: Images, metadata: str | None) -> list[Grouping]:
    """All columns: those of the metadata file, where there is one, then those of image quality.

    Args:
        manifest: All files.
        images: Those that are put into groups.
        metadata: Path of the CSV.

    Raises:
        DataError: The metadata file is wrong.
    """
    columns = metadata_groups(read_metadata(Path(metadata).expanduser(), manifest, images.rows)) if metadata else []
    return columns + quality_groups(manifest, images)


def metadata_groups(metadata: Metadata) -> list[Grouping]:
    """The groups of each column.

    A text is a group. Numbers with more than 8 distinct values are cut into thirds of the images. A value that is not
    known is the group `unknown`. Of more than 12 groups the largest are kept and the rest are `other`.
    """
    return [_column_groups(name, values) for name, values in metadata.columns.items()]


def quality_groups(manifest: Manifest, images: Images) -> list[Grouping]:
    """Thirds of the images by brightness, contrast, sharpness and size; a column that does not vary is left out.

    Args:
        manifest: Brightness and contrast of the prepared images, size of the originals.
        images: The prepared images, on which sharpness is measured.
    """
    table = manifest.ok.iloc[images.rows]
    columns = {
        "brightness": table["brightness"].to_numpy(),
        "contrast": table["contrast"].to_numpy(),
        "sharpness": sharpness(images.pixels, images.rows),
        "size": (table["width"] * table["height"]).to_numpy(np.float64),
    }
    return [_in_thirds(name, "quality", values, _QUALITY[name]) for name, values in columns.items() if np.ptp(values)]


def sharpness(images: Pixels, rows: Indices) -> npt.NDArray[np.float64]:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy").

    Args:
        images: (N, H, W, C) uint8.
        rows: (n,) which of them.

    Returns:
        (n,) low for a blurred image.
    """
    variances = np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        x = images[rows[start : start + _BLOCK]].mean(axis=3, dtype=np.float32)
        sides = x[:, 1:-1, :-2] + x[:, 1:-1, 2:] + x[:, :-2, 1:-1] + x[:, 2:, 1:-1]
        variances[start : start + len(x)] = (4 * x[:, 1:-1, 1:-1] - sides).var(axis=(1, 2))
    return variances


def _column_groups(name: str, values: list[str]) -> Grouping:
    distinct = set(values) - {""}
    numbers = {text: number(text) for text in distinct}
    if len(set(numbers.values())) >= FEWEST_NUMBERS and None not in numbers.values():
        return _in_thirds(name, "metadata", np.array([numbers.get(text, np.nan) for text in values], np.float64))
    sizes = Counter(text for text in values if text and text != OTHER)
    largest = sorted(sizes, key=lambda text: (-sizes[text], text))[:_MOST_GROUPS]
    named = sorted(largest, key=lambda text: (numbers[text] is None, numbers[text] or 0.0, text))
    code = {text: i for i, text in enumerate([*named, OTHER, UNKNOWN])}
    codes = np.array([code[UNKNOWN] if not text else code.get(text, code[OTHER]) for text in values], np.int64)
    return _without_empty(name, "metadata", list(code), codes)


def _in_thirds(
    name: str, source: str, values: npt.NDArray[np.float64], names: tuple[str, str, str] | None = None
) -> Grouping:
    """Cut at two values that occur, so that no third is empty; many equal values may leave two groups."""
    finite = np.isfinite(values)
    cuts = np.unique(np.quantile(values[finite], [1 / 3, 2 / 3], method="inverted_cdf"))
    cuts = cuts[cuts < values[finite].max()]
    codes = np.where(finite, np.searchsorted(cuts, values), len(cuts) + 1)
    ranges = list(names) if names and len(cuts) == 2 else _ranges(cuts)
    return _without_empty(name, source, [*ranges, UNKNOWN], codes)


def _ranges(cuts: npt.NDArray[np.float64]) -> list[str]:
    if not len(cuts):
        return ["all equal"]
    between = [f"above {low:g}, up to {high:g}" for low, high in pairwise(cuts.tolist())]
    return [f"up to {cuts[0]:g}", *between, f"above {cuts[-1]:g}"]


def _without_empty(name: str, source: str, names: list[str], codes: Indices) -> Grouping:
    used, codes = np.unique(codes, return_inverse=True)
    return Grouping(name, source, [names[i] for i in used], codes)

"""How errors grow when one image of each pair is made worse, at a threshold that does not move."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from siamese_core.arrays import Indices, Pixels
from siamese_core.calibration.operating_points import Calibration
from siamese_core.config import CalibrationConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.baselines import ImageEmbedder
from siamese_core.evaluation.held_out import part_pairs
from siamese_core.evaluation.results import RobustnessCurve
from siamese_core.metrics.pairs import Pairs, distances_of
from siamese_core.metrics.rates import fmr_at, fnmr_at
from siamese_core.network.embedding import Embedder

# 6 changes × 4 levels × 100 images are 2,400 embeddings. Each changed image is compared with all its partners as they
# are, so that few images give many pairs.
_MOST_IMAGES = 100
_MOST_GENUINE, _MOST_IMPOSTOR = 10_000, 20_000  # 25 times the distances of these take less than a second

Vectors = npt.NDArray[np.floating]
# (images, level, random numbers) → images, both (n, H, W, C) uint8.
Change = Callable[[Pixels, float, np.random.Generator], Pixels]


@dataclass(frozen=True)
class _Comparison:
    """Pairs of an image as it is and a changed one.

    Attributes:
        embeddings: (N, D) as they are.
        chosen: (n,) which of them are changed.
        genuine: (G, 2) position of the image as it is, and of the other in `chosen`.
        impostor: (M, 2) the same.
        threshold: Pairs below it match.
    """

    embeddings: Vectors
    chosen: Indices
    genuine: Indices
    impostor: Indices
    threshold: float

    def rates(self, changed: Vectors) -> tuple[float, float]:
        """FNMR and FMR with these (n, D) embeddings of the changed images."""
        both = np.concatenate([self.embeddings, changed])
        behind = np.array([0, len(self.embeddings)])
        genuine, impostor = distances_of(both, self.genuine + behind), distances_of(both, self.impostor + behind)
        return fnmr_at(genuine, self.threshold), fmr_at(impostor, self.threshold)


def robustness_curves(
    embedder: ImageEmbedder,
    images: Pixels,
    rows: Indices,
    embeddings: Vectors,
    pairs: Pairs,
    threshold: float,
    seed: int,
    most_images: int = _MOST_IMAGES,
) -> list[RobustnessCurve]:
    """Blurs, disturbs, compresses, covers, darkens and turns images, and compares each with others as they are.

    Args:
        embedder: What is measured.
        images: (S, H, W, C) uint8, the image store.
        rows: (N,) the test images in the store.
        embeddings: (N, D) of these, unchanged.
        pairs: Which of them are compared; either image of a pair may be the changed one.
        threshold: Pairs below it match.
        seed: Of the images that are changed and of what is random in the changes.
        most_images: How many are changed at most, of those with a genuine pair.

    Returns:
        A curve for each change. Its first level is no change: the rates of the same pairs as they are.
    """
    compared = _compare(embeddings, pairs, threshold, most_images, np.random.default_rng(seed))
    originals = np.ascontiguousarray(images[rows[compared.chosen]])
    everything = np.arange(len(originals))
    plain = compared.rates(embeddings[compared.chosen])
    curves = []
    for name, unit, levels, change in CHANGES:
        changed = (change(originals, level, np.random.default_rng(seed)) for level in levels)
        found = [plain, *(compared.rates(embedder(pixels, everything)) for pixels in changed)]
        fnmr, fmr = (list(rates) for rates in zip(*found, strict=True))
        curves.append(RobustnessCurve(name, unit, [0.0, *levels], fnmr, fmr))
    return curves


def measure_robustness(
    of_images: ImageEmbedder,
    of_rows: Embedder,
    calibration: Calibration,
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    config: CalibrationConfig,
    seed: int,
) -> list[RobustnessCurve]:
    """The curves of the test images at the default operating point.

    Args:
        of_images: Embeds changed images.
        of_rows: Embeds images of the store.
        calibration: Thresholds.
        manifest: All files.
        store: The prepared images.
        split: Which identities test.
        config: Caps on the pairs.
        seed: Of samples and changes.
    """
    rows, pairs = part_pairs(manifest, split, "test", config, seed)
    threshold = calibration.point().threshold
    return robustness_curves(of_images, store.images, rows, of_rows(rows), pairs, threshold, seed)


def _compare(
    embeddings: Vectors, pairs: Pairs, threshold: float, most_images: int, rng: np.random.Generator
) -> _Comparison:
    candidates = np.unique(pairs.genuine)
    chosen = np.sort(rng.choice(candidates, min(most_images, len(candidates)), replace=False))
    genuine = _with_changed(pairs.genuine, chosen, _MOST_GENUINE, rng)
    impostor = _with_changed(pairs.impostor, chosen, _MOST_IMPOSTOR, rng)
    if not len(impostor):  # a sample of the impostor pairs may have passed these few images by
        impostor = np.stack([pairs.impostor[:, 0], np.zeros(len(pairs.impostor), np.int64)], axis=1)
    return _Comparison(embeddings, chosen, genuine, impostor, threshold)


def _with_changed(pairs: Indices, chosen: Indices, most: int, rng: np.random.Generator) -> Indices:
    """(P, 2) pairs with a chosen image, that one second and by its position in `chosen`: all, or a sample."""
    position = np.full(int(pairs.max()) + 1 if len(pairs) else 0, -1)
    position[chosen[chosen < len(position)]] = np.flatnonzero(chosen < len(position))
    ways = [np.stack([pairs[:, 1 - side], position[pairs[:, side]]], axis=1) for side in (0, 1)]
    found = np.concatenate([way[way[:, 1] >= 0] for way in ways])
    return found if len(found) <= most else found[np.sort(rng.choice(len(found), most, replace=False))]


def _blur(images: Pixels, level: float, _: np.random.Generator) -> Pixels:
    from scipy.ndimage import gaussian_filter  # here, so that a verifier starts without it

    sigma = level / 100 * images.shape[1]
    return _to_pixels(gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="nearest"))


def _noise(images: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    return _to_pixels(images + rng.normal(0, level, images.shape))


def _jpeg(images: Pixels, level: float, _: np.random.Generator) -> Pixels:
    return np.stack([_compressed(image, round(100 - level)) for image in images])


def _compressed(image: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def _occlusion(images: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Covers a square of this share of the image, anywhere, with the image's mean colour."""
    height = images.shape[1]
    side = round(height * np.sqrt(level / 100))
    tops, lefts = rng.integers(0, height - side + 1, (2, len(images)))
    means = images.mean(axis=(1, 2), keepdims=True)
    covered = images.copy()
    for image, mean, top, left in zip(covered, means, tops, lefts, strict=True):
        image[top : top + side, left : left + side] = mean
    return covered


def _darkness(images: Pixels, level: float, _: np.random.Generator) -> Pixels:
    return _to_pixels(images * (1 - level / 100))


def _rotation(images: Pixels, level: float, _: np.random.Generator) -> Pixels:
    from scipy.ndimage import rotate

    # The border's colour goes on, as in augmentation: a black corner would be a change of its own.
    return _to_pixels(rotate(images.astype(np.float32), level, (1, 2), reshape=False, order=1, mode="nearest"))


def _to_pixels(images: npt.NDArray[np.floating]) -> Pixels:
    return images.round().clip(0, 255).astype(np.uint8)


# From what is hardly seen to what a person finds hard.
CHANGES: tuple[tuple[str, str, tuple[float, ...], Change], ...] = (
    ("blur", "% of the side (sigma)", (1.5, 3.0, 5.0, 8.0), _blur),
    ("noise", "grey levels of 255 (sigma)", (10.0, 20.0, 40.0, 80.0), _noise),
    ("JPEG", "100 − quality", (50.0, 70.0, 85.0, 95.0), _jpeg),
    ("occlusion", "% of the image", (5.0, 10.0, 20.0, 40.0), _occlusion),
    ("brightness", "% darker", (20.0, 40.0, 60.0, 80.0), _darkness),
    ("rotation", "degrees", (5.0, 10.0, 20.0, 45.0), _rotation),
)

"""Robustness: how errors grow when one image of each pair is made worse, at a threshold that does not move."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from siamese_core.arrays import Indices, Pixels
from siamese_core.evaluation.baselines import ImageEmbedder
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.results import RobustnessCurve
from siamese_core.metrics.pairs import distances_of
from siamese_core.metrics.rates import fmr_at, fnmr_at
from siamese_core.progress import track

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
        subset: (n,) which of them are changed.
        genuine: (G, 2) position of the image as it is, and of the other in `subset`.
        impostor: (M, 2) the same.
        threshold: Pairs below it match.
    """

    embeddings: Vectors
    subset: Indices
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
    embedder: ImageEmbedder, held_out: HeldOut, embeddings: Vectors, threshold: float, most_images: int = _MOST_IMAGES
) -> list[RobustnessCurve]:
    """Blur, disturb, compress, cover, darken and turn images, and compare each with others as they are.

    Args:
        embedder: The system that is measured.
        held_out: Images and pairs; either image of a pair may be the changed one.
        embeddings: (N, D) of its images, unchanged.
        threshold: Pairs below it match.
        most_images: Most images that are changed, of those with a genuine pair.

    Returns:
        A curve for each change. Its first level is no change: the rates of the same pairs as they are.
    """
    compared = _compare(embeddings, held_out, threshold, most_images)
    images = held_out.images
    originals = np.ascontiguousarray(images.pixels[images.rows[compared.subset]])
    plain = compared.rates(embeddings[compared.subset])
    curves = []
    with track("change images", len(originals) * sum(len(levels) for _, _, levels, _ in CHANGES), "images") as progress:
        for name, unit, levels, change in CHANGES:
            rates = [plain]
            for level in levels:
                changed = change(originals, level, np.random.default_rng(held_out.seed))
                rates.append(compared.rates(embedder(changed, np.arange(len(changed)))))
                progress.advance(len(changed))
            fnmr, fmr = (list(column) for column in zip(*rates, strict=True))
            curves.append(RobustnessCurve(name, unit, [0.0, *levels], fnmr, fmr))
    return curves


def _compare(embeddings: Vectors, held_out: HeldOut, threshold: float, most_images: int) -> _Comparison:
    rng, pairs = np.random.default_rng(held_out.seed), held_out.pairs
    candidates = np.unique(pairs.genuine)
    subset = np.sort(rng.choice(candidates, min(most_images, len(candidates)), replace=False))
    genuine = _with_changed(pairs.genuine, subset, _MOST_GENUINE, rng)
    impostor = _with_changed(pairs.impostor, subset, _MOST_IMPOSTOR, rng)
    if not len(impostor):  # a sample of the impostor pairs may have passed these few images by
        impostor = np.stack([pairs.impostor[:, 0], np.zeros(len(pairs.impostor), np.int64)], axis=1)
    return _Comparison(embeddings, subset, genuine, impostor, threshold)


def _with_changed(pairs: Indices, subset: Indices, most: int, rng: np.random.Generator) -> Indices:
    """(P, 2) pairs with an image of the subset, that one second and by its position there: all, or a sample."""
    position = np.full(int(pairs.max()) + 1 if len(pairs) else 0, -1)
    position[subset[subset < len(position)]] = np.flatnonzero(subset < len(position))
    ways = [np.stack([pairs[:, 1 - side], position[pairs[:, side]]], axis=1) for side in (0, 1)]
    both = np.concatenate([way[way[:, 1] >= 0] for way in ways])
    return both if len(both) <= most else both[np.sort(rng.choice(len(both), most, replace=False))]


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
    """Cover a square of this share of the image, anywhere, with the image's mean colour."""
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

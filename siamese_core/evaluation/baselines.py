"""Baselines that the trained encoder must beat: raw pixels, and their principal components (eigenfaces)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices, Pixels
from siamese_core.data.dataset import Images
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances
from siamese_core.metrics.rates import equal_error_rate, roc

Vectors = npt.NDArray[np.float32]
# Turns (N, H, W, C) uint8 images, of which (n,) rows are wanted, into (n, D) vectors to compare.
ImageEmbedder = Callable[[Pixels, Indices], npt.NDArray[np.floating]]

_PIXEL_SIDE = 32
_COMPONENTS = 64
# Of at most 63² numbers each: 16 MB and a second; more images hardly move the first 64 components.
_PCA_IMAGES = 1000
_PCA_PAIRS = (20_000, 50_000)  # genuine and impostor, to choose by
BLOCK = 1024  # images at a time


def pixel_vectors(images: Pixels, rows: Indices) -> Vectors:
    """Raw pixels as an embedding: grey, about 32×32, mean 0 and length 1, so that light does not matter.

    Args:
        images: (N, H, W, C) uint8.
        rows: (n,) which of them; up to `BLOCK`, since all are held as floats.

    Returns:
        (n, D) float32 of length 1 (0 for a blank image).
    """
    stride = max(1, images.shape[1] // _PIXEL_SIDE)
    side = images.shape[1] // stride
    grey = images[rows][:, : side * stride, : side * stride].mean(axis=3, dtype=np.float32)
    vectors = grey.reshape(len(rows), side, stride, side, stride).mean(axis=(2, 4)).reshape(len(rows), side**2)
    vectors -= vectors.mean(axis=1, keepdims=True)
    return _unit_length(vectors)


def principal_components(images: Images, seed: int) -> ImageEmbedder:
    """Eigenfaces (Turk & Pentland 1991, "Eigenfaces for Recognition"): principal components of the pixels, length 1.

    Whether each component is brought to variance 1 is chosen on the data: with 64 components it took the EER from
    39 % to 32 % on faces (LFW), but from 26 % to 34 % on characters. The components come from four fifths of the
    identities, and what gives the lower EER on the others is kept.

    Args:
        images: Of identities that train.
        seed: Of the samples.

    Returns:
        An embedder of at most 64 dimensions.
    """
    fit, others = _parts(images, np.random.default_rng(seed))
    mean, axes, scale = _components(pixel_vectors(images.pixels, fit.rows))
    pairs = make_pairs(others.labels, *_PCA_PAIRS, seed)
    embedders: list[ImageEmbedder] = [
        partial(_project, mean=mean, axes=axes),
        partial(_project, mean=mean, axes=axes / scale),
    ]
    return min(embedders, key=lambda embedder: _eer(pair_distances(embedder(images.pixels, others.rows), pairs)))


def _parts(images: Images, rng: np.random.Generator) -> tuple[Images, Images]:
    """Images that components come from, and images of other identities to choose on."""
    comparable = rng.permutation(np.flatnonzero(np.bincount(images.labels) >= 2))
    held_out = np.isin(images.labels, comparable[: max(2, len(comparable) // 5)])
    fit = np.arange(len(images)) if held_out.all() else np.flatnonzero(~held_out)
    fit = np.sort(rng.choice(fit, min(_PCA_IMAGES, len(fit)), replace=False))
    # Whole identities, as many as there is room for, so that few images of each do not mean no genuine pair.
    return images.take(fit), images.take(np.flatnonzero(held_out)[:_PCA_IMAGES])


def _components(vectors: Vectors) -> tuple[Vectors, Vectors, Vectors]:
    """Mean (D,), axes (D, components) and standard deviation (components,), the largest last.

    From the (n, n) inner products, as in the paper: images are fewer than pixels, or not many more.
    """
    from scipy.linalg import eigh  # here, so that a verifier starts without it

    mean = vectors.mean(axis=0)
    centred = (vectors - mean).astype(np.float64)
    n = len(vectors)
    variance, weights = eigh(centred @ centred.T, subset_by_index=[max(0, n - _COMPONENTS), n - 1])
    variance = np.maximum(variance, 1e-6 * variance[-1] + 1e-12)  # a direction without variance stays without
    axes = centred.T @ weights / np.sqrt(variance)
    return mean, axes.astype(np.float32), np.sqrt(variance / n).astype(np.float32)


def _project(images: Pixels, rows: Indices, mean: Vectors, axes: Vectors) -> Vectors:
    """(n, components) float32 of length 1."""
    return _unit_length(np.dot(pixel_vectors(images, rows) - mean, axes))


def _eer(distances: PairDistances) -> float:
    return equal_error_rate(roc(distances.genuine, distances.impostor))[0]


def _unit_length(vectors: Vectors) -> Vectors:
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors

"""What the trained encoder must beat: raw pixels, and pixels reduced by principal components (eigenfaces)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices, Pixels, labels_of
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
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
_BLOCK = 1024


def pixel_vectors(images: Pixels, rows: Indices) -> Vectors:
    """Raw pixels as an embedding: grey, about 32×32, mean 0 and length 1, so that light does not matter.

    Args:
        images: (N, H, W, C) uint8.
        rows: (n,) which of them.

    Returns:
        (n, D) float32 of length 1 (0 for a blank image).
    """
    stride = max(1, images.shape[1] // _PIXEL_SIDE)
    side = images.shape[1] // stride * stride
    vectors = np.empty((len(rows), (side // stride) ** 2), np.float32)
    for start in range(0, len(rows), _BLOCK):
        block = images[rows[start : start + _BLOCK]][:, :side, :side].mean(axis=3, dtype=np.float32)
        pooled = block.reshape(len(block), side // stride, stride, side // stride, stride).mean(axis=(2, 4))
        vectors[start : start + len(block)] = pooled.reshape(len(block), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    return _unit_length(vectors)


def principal_components(manifest: Manifest, store: ImageStore, split: Split, seed: int) -> ImageEmbedder:
    """Eigenfaces (Turk & Pentland 1991, "Eigenfaces for Recognition"): principal components of the pixels, length 1.

    Whether each component is brought to variance 1 is chosen on the data: with 64 components it took the EER from
    39 % to 32 % on faces (LFW), but from 26 % to 34 % on characters. Only train identities take part: the components
    come from four fifths of them, and what gives the lower EER on the others is kept.

    Args:
        manifest: All files.
        store: The prepared images.
        split: Which identities train.
        seed: Of the samples.

    Returns:
        An embedder of at most 64 dimensions.
    """
    rng = np.random.default_rng(seed)
    fit, held_out, labels = _parts(manifest, split, rng)
    mean, axes, scale = _components(pixel_vectors(store.images, fit))
    pairs = make_pairs(labels, *_PCA_PAIRS, seed)
    embedders: list[ImageEmbedder] = [
        partial(_project, mean=mean, axes=axes),
        partial(_project, mean=mean, axes=axes / scale),
    ]
    return min(embedders, key=lambda embedder: _eer(pair_distances(embedder(store.images, held_out), pairs)))


def _parts(manifest: Manifest, split: Split, rng: np.random.Generator) -> tuple[Indices, Indices, Indices]:
    """Rows that components come from, rows to choose on, and the identities of the latter."""
    rows = split.rows(manifest, "train")
    labels, _ = labels_of(manifest.ok["identity"].iloc[rows].tolist())
    comparable = rng.permutation(np.flatnonzero(np.bincount(labels) >= 2))
    held_out = np.isin(labels, comparable[: max(2, len(comparable) // 5)])
    # Whole identities, as many as there is room for, so that few images of each do not mean no genuine pair.
    chosen = np.flatnonzero(held_out)[:_PCA_IMAGES]
    fit = rows if held_out.all() else rows[~held_out]
    fit = np.sort(rng.choice(fit, min(_PCA_IMAGES, len(fit)), replace=False))
    return fit, rows[chosen], labels_of(labels[chosen].tolist())[0]


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
    """(n, components) float32 of length 1, in blocks."""
    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    return _unit_length(np.concatenate([(pixel_vectors(images, block) - mean) @ axes for block in blocks]))


def _eer(distances: PairDistances) -> float:
    return equal_error_rate(roc(distances.genuine, distances.impostor))[0]


def _unit_length(vectors: Vectors) -> Vectors:
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return vectors

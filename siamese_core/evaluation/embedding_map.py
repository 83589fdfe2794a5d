"""Embeddings of some test images in the plane, to look at."""

from __future__ import annotations

import logging

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices
from siamese_core.evaluation.results import EmbeddingMap

logger = logging.getLogger(__name__)

_IDENTITIES = 30  # more clouds cannot be told apart by colour and place
_IMAGES = 12  # of each: 360 points, for which t-SNE takes about 3 s on one thread
_FEWEST_FOR_TSNE = 30
_PERPLEXITY = 15.0  # neighbours that a point keeps: about the images of its identity


def embedding_map(embeddings: npt.NDArray[np.floating], rows: Indices, labels: Indices, seed: int) -> EmbeddingMap:
    """Place the images of the identities that have most of them; chance decides between equals.

    By t-SNE (van der Maaten & Hinton 2008), started from principal components (Kobak & Berens 2019), or by principal
    components alone where there are few images. The same seed gives the same bits.

    Args:
        embeddings: (N, D) of the test images.
        rows: (N,) the test images in the store.
        labels: (N,) their identities, 0 to I − 1.
        seed: Of the choice and of t-SNE.
    """
    sample = _sample(labels, np.random.default_rng(seed))
    x = embeddings[sample].astype(np.float64)
    few = len(x) < _FEWEST_FOR_TSNE
    logger.info("placing %d test images in the plane", len(x))
    place = _principal(x) if few else _tsne(x, seed)
    place = np.round(place / max(np.abs(place).max(), 1e-12), 4)  # −1 to 1
    images = f"{len(sample):,} images of the {len(np.unique(labels[sample])):,} identities with most test images"
    method = f"{'Principal components' if few else 't-SNE'} of {images}, at most {_IMAGES} of each"
    return EmbeddingMap(method, rows[sample].tolist(), place[:, 0].tolist(), place[:, 1].tolist())


def _sample(labels: Indices, rng: np.random.Generator) -> Indices:
    """Ascending positions of at most `_IMAGES` images of each of `_IDENTITIES` identities."""
    sizes = np.bincount(labels)
    largest = np.lexsort([rng.random(len(sizes)), -sizes])[:_IDENTITIES]
    order = rng.permutation(len(labels))
    return np.sort(np.concatenate([order[labels[order] == identity][:_IMAGES] for identity in largest]))


def _tsne(x: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.float64]:
    from sklearn.manifold import TSNE  # here, so that a verifier starts without it
    from threadpoolctl import threadpool_limits

    start = _principal(x)
    start *= 1e-4 / max(start[:, 0].std(), 1e-12)
    # One thread: with more, sums are in another order each time, and so are the points.
    with threadpool_limits(1):
        placed = TSNE(perplexity=_PERPLEXITY, init=start.astype(np.float32), random_state=seed).fit_transform(x)
    return np.asarray(placed, np.float64)


def _principal(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(n, 2) the first two principal components."""
    centred = x - x.mean(axis=0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    place = np.zeros((len(x), 2))
    place[:, : min(2, len(scale))] = (left * scale)[:, :2]
    signs = np.sign(place[np.abs(place).argmax(axis=0), [0, 1]])  # of a component, the sign is chance
    return place * np.where(signs == 0, 1, signs)

"""Genuine pairs (two images of one identity) and impostor pairs (of two identities)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Distances, Indices
from siamese_core.errors import DataError

_BLOCK_NUMBERS = 2**19  # so that a block stays in the processor's cache


@dataclass(frozen=True)
class Pairs:
    """Pairs of images that are compared.

    Attributes:
        genuine: (G, 2) int64 positions of images.
        impostor: (M, 2) int64 positions of images.
        labels: (N,) int64 identities of the images.
        genuine_total: How many genuine pairs there are; more than G if a sample was taken.
        impostor_total: The same for impostor pairs.
    """

    genuine: Indices
    impostor: Indices
    labels: Indices
    genuine_total: int
    impostor_total: int


@dataclass(frozen=True)
class PairDistances:
    """The distances of pairs, with the identities behind them (pairs of one identity are not independent).

    Attributes:
        genuine: (G,) float64 squared L2.
        impostor: (M,) float64 squared L2.
        genuine_identity: (G,) int64.
        impostor_identities: (M, 2) int64.
        identities: How many identities the numbers run over.
    """

    genuine: Distances
    impostor: Distances
    genuine_identity: Indices
    impostor_identities: Indices
    identities: int

    def __str__(self) -> str:
        pairs = f"{len(self.genuine):,} genuine and {len(self.impostor):,} impostor pairs"
        return f"{pairs} of {self.identities:,} identities"


def make_pairs(labels: Indices, max_genuine: int, max_impostor: int, seed: int) -> Pairs:
    """All pairs, or a seeded sample without repetition where there are more than the caps.

    Args:
        labels: (N,) int64 identities, 0 to I − 1.
        max_genuine: Most genuine pairs.
        max_impostor: Most impostor pairs.
        seed: Of the samples.

    Raises:
        DataError: There are no genuine or no impostor pairs.
    """
    rng = np.random.default_rng(seed)
    sizes = np.bincount(labels)
    genuine_total = int((sizes * (sizes - 1) // 2).sum())
    impostor_total = len(labels) * (len(labels) - 1) // 2 - genuine_total
    if not genuine_total or not impostor_total:
        raise DataError(
            f"{len(labels)} images of {np.count_nonzero(sizes)} identities give {genuine_total} genuine and "
            f"{impostor_total} impostor pairs; both kinds are needed."
        )
    numbers = np.arange(genuine_total) if genuine_total <= max_genuine else _sample(genuine_total, max_genuine, rng)
    genuine = _genuine(labels, numbers)
    impostor = _all_impostor(labels) if impostor_total <= max_impostor else _sample_impostor(labels, max_impostor, rng)
    return Pairs(genuine, impostor, labels, genuine_total, impostor_total)


def few_of_each(labels: Indices, most: int, seed: int | None = None) -> Indices:
    """(n,) int64 ascending positions of at most `most` images of each identity: a seeded sample, or the first ones.

    Args:
        labels: (N,) int64 identities.
        most: At least 1.
        seed: Of the sample; the first images where it is None.
    """
    order = np.arange(len(labels)) if seed is None else np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    first = np.searchsorted(labels[order], labels[order])
    return np.sort(order[np.arange(len(order)) - first < most])


def pair_distances(embeddings: npt.NDArray[np.floating], pairs: Pairs) -> PairDistances:
    """Squared L2 distances of the pairs, in blocks.

    Args:
        embeddings: (N, D) floats; the images that `pairs` was made from, in the same order.
        pairs: Which to compare.
    """
    return PairDistances(
        genuine=distances_of(embeddings, pairs.genuine),
        impostor=distances_of(embeddings, pairs.impostor),
        genuine_identity=pairs.labels[pairs.genuine[:, 0]],
        impostor_identities=pairs.labels[pairs.impostor],
        identities=int(pairs.labels.max()) + 1,
    )


def distances_of(embeddings: npt.NDArray[np.floating], pairs: Indices) -> Distances:
    """Squared L2 distances from the differences, so that small ones are exact too.

    Args:
        embeddings: (N, D) floats.
        pairs: (P, 2) int64 rows.

    Returns:
        (P,) float64.
    """
    result = np.empty(len(pairs), np.float64)
    size = max(256, _BLOCK_NUMBERS // embeddings.shape[1])
    for start in range(0, len(pairs), size):
        block = pairs[start : start + size]
        difference = embeddings[block[:, 0]] - embeddings[block[:, 1]]
        result[start : start + len(block)] = np.einsum("nd,nd->n", difference, difference)
    return result


def dyad_keys(identities: Indices, count: int) -> Indices:
    """(M,): a number for each pair of the `count` identities, (M, 2), in whichever order."""
    keys: Indices = np.sort(identities, axis=1) @ np.array([count, 1])
    return keys


def _genuine(labels: Indices, numbers: Indices) -> Indices:
    """Genuine pairs by their numbers: identity after identity, (0, 1), (0, 2) … (1, 2) …; (G, 2) int64.

    Only the wanted ones are made: 50,000 images of one identity have 1.25 G pairs.
    """
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    later = np.concatenate([np.arange(size - 1, -1, -1) for size in sizes])  # pairs that start at each image
    ends = np.cumsum(later)
    first = np.searchsorted(ends, numbers, side="right")
    return np.stack([order[first], order[first + 1 + numbers - (ends - later)[first]]], axis=1)


def _sample(total: int, wanted: int, rng: np.random.Generator) -> Indices:
    """Distinct random numbers below the total, ascending."""
    return np.sort(rng.choice(total, wanted, replace=False, shuffle=False))


def _all_impostor(labels: Indices) -> Indices:
    pairs = np.stack(np.triu_indices(len(labels), 1), axis=1)
    different: Indices = pairs[labels[pairs[:, 0]] != labels[pairs[:, 1]]]
    return different


def _sample_impostor(labels: Indices, wanted: int, rng: np.random.Generator) -> Indices:
    """Distinct random pairs of different identities, sorted."""
    count = len(labels)
    keys = np.empty(0, np.int64)
    while len(keys) < wanted:
        first, second = rng.integers(0, count, size=(2, wanted + wanted // 4))
        different = labels[first] != labels[second]
        new = (np.minimum(first, second) * count + np.maximum(first, second))[different]
        keys = np.sort(np.concatenate([keys, new]))  # np.unique hashes, which is slower here
        keys = keys[np.diff(keys, prepend=-1) != 0]
    keys = np.sort(rng.permutation(keys)[:wanted])
    return np.stack([keys // count, keys % count], axis=1)

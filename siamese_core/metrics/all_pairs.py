"""All pairs of N embeddings, counted without holding their N² distances: thresholds at a low FMR.

Distances are counted in bins, tile by tile of the distance matrix, and the smallest impostor distances are kept as
they are: at a low FMR a threshold is exact. What has been counted is a small value, and two of them merge, so tiles,
processes and machines can share the work:

    parts = [count_pairs(embeddings, labels, share=(i, 4)) for i in range(4)]  # in four processes
    counted = reduce(PairCounts.merge, parts)
    counted.threshold_at_fmr(1e-5)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from siamese_core.arrays import Distances, Indices, check_embeddings
from siamese_core.errors import DataError
from siamese_core.metrics.pairs import distances_of

BINS = 2**16

# Rows and columns of a tile: few enough for a processor's cache, enough to keep a GPU busy.
_TILE = {"cpu": (512, 2048), "cuda": (4096, 8192)}


@dataclass(frozen=True, eq=False)
class PairCounts:
    """Counts of the distances of many pairs.

    Attributes:
        genuine: (BINS,) int64, genuine pairs by distance; the bins divide [0, top] evenly.
        impostor: (BINS,) int64, the same for impostor pairs.
        nearest: (K,) float64, ascending: the `keep` smallest impostor distances, or all where there are fewer.
        keep: Most that are kept.
        top: The largest distance there can be; 4 for embeddings of length 1.
    """

    genuine: Indices
    impostor: Indices
    nearest: Distances
    keep: int
    top: float

    @classmethod
    def none(cls, keep: int, top: float) -> Self:
        """No pairs at all."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64), np.empty(0), keep, top)

    def merge(self, other: Self) -> Self:
        """The counts of the pairs of both.

        Raises:
            DataError: They keep different numbers of distances, or have different bins.
        """
        if (self.keep, self.top) != (other.keep, other.top):
            raise DataError(
                f"Counts of different kinds do not merge: keep = {self.keep:,} and {other.keep:,}, "
                f"top = {self.top:g} and {other.top:g}; count all parts with the same."
            )
        # A stable sort merges what is in order already.
        nearest = np.sort(np.concatenate([self.nearest, other.nearest]), kind="stable")[: self.keep]
        return type(self)(self.genuine + other.genuine, self.impostor + other.impostor, nearest, self.keep, self.top)

    def threshold_at_fmr(self, target: float) -> float:
        """The largest threshold whose FMR is *at most* the target; a pair matches *below* the threshold.

        With M impostor pairs and k = ⌊target · M⌋ that is the (k+1)-th smallest impostor distance. If it is among
        the `nearest`, it is returned as `metrics.threshold_at_fmr` returns it for the sorted vector of all pairs.
        Else the lower edge of its bin is returned: the FMR is at most the target there too, and the threshold is
        at most one bin (top / 65,536) too low.

        Args:
            target: Between 0 and 1.

        Raises:
            DataError: There are no impostor pairs.
        """
        total = int(self.impostor.sum())
        if not total:
            raise DataError("There are no impostor pairs.")
        rank = min(int(np.floor(target * total * (1 + 1e-12))), total - 1)
        if rank < len(self.nearest):
            return float(self.nearest[rank])
        place = int(np.searchsorted(self.impostor.cumsum(), rank, side="right"))
        return max(place * self.top / BINS, float(self.nearest[-1]))


def count_pairs(
    embeddings: Tensor, labels: Indices, keep: int = 20_000, top: float = 4.0, share: tuple[int, int] = (0, 1)
) -> PairCounts:
    """Compare every image with every other, on the device of the embeddings.

    Memory: a few copies of the embeddings and a tile of distances. A GPU is waited for once in a tile.

    Args:
        embeddings: (N, D) floats.
        labels: (N,) int64 identities, on the host.
        keep: Number of the smallest impostor distances that are kept: those make thresholds exact up to an FMR of
            keep / impostor pairs.
        top: The largest distance there can be; 4 for embeddings of length 1.
        share: (i, n): the i-th of n shares of the pairs, from 0. The shares merge into what one call counts.

    Returns:
        The counts. The distances kept are those that `pairs.pair_distances` gives.

    Raises:
        DataError: An embedding is not finite, or so long that distances may exceed `top`.
    """
    _check(embeddings, labels, keep, top)
    order = np.argsort(labels, kind="stable")
    matrix = _Matrix.of(embeddings[torch.from_numpy(order).to(embeddings.device)], labels[order], top)
    counted = PairCounts.none(keep, top)
    for rows, columns in _tiles(len(labels), embeddings.device, share):
        counted = counted.merge(_count_tile(matrix, rows, columns, counted))
    return counted


@dataclass(frozen=True, eq=False)
class _Matrix:
    """The distance matrix of embeddings that are sorted by identity, as a product: left @ right.T, in bins.

    Attributes:
        left: (N, D + 2) float32.
        right: (N, D + 2) float32.
        slack: The most that rounding can change an entry, in bins.
        labels: (N,) int64 ascending, on the host.
        on_device: (N,) int64, the same on the device.
        originals: (N, D), on the host.
    """

    left: Tensor
    right: Tensor
    slack: float
    labels: Indices
    on_device: Tensor
    originals: npt.NDArray[np.floating]

    @classmethod
    def of(cls, embeddings: Tensor, labels: Indices, top: float) -> Self:
        """‖x − y‖² = (−2x, ‖x‖², 1) · (y, 1, ‖y‖²): one product leaves nothing to add to N² numbers."""
        double = embeddings.double()
        x = (double - double.mean(0)).float()  # about their mean, so that less cancels where embeddings lie together
        squared = (x * x).sum(1, keepdim=True) * (BINS / top)  # (N, 1)
        left = torch.cat([x * (-2 * BINS / top), squared, torch.ones_like(squared)], 1)
        right = torch.cat([x, torch.ones_like(squared), squared], 1)
        # The bound of a sum of D + 2 products (Higham 2002, section 3.1), twice: the distances kept are rounded too.
        slack = 2 * left.shape[1] * 2.0**-24 * 4 * float(squared.max())
        on_device = torch.from_numpy(labels).to(x.device)
        return cls(left, right, slack, labels, on_device, embeddings.cpu().numpy())

    def tile(self, rows: slice, columns: slice) -> Tensor:
        """(R, C) float32 distances in bins, 0 to BINS − 1."""
        with torch.autocast(self.left.device.type, enabled=False):
            return (self.left[rows] @ self.right[columns].T).clamp_(0, BINS - 1)

    def is_plain(self, rows: slice, columns: slice) -> bool:
        """Whether a tile of the upper half has nothing but impostor pairs, each once."""
        return bool(columns.start >= rows.stop and self.labels[columns.start] > self.labels[rows.stop - 1])


def _check(embeddings: Tensor, labels: Indices, keep: int, top: float) -> None:
    if len(embeddings) != len(labels) or not len(labels) or keep < 1:
        raise DataError(f"{len(embeddings)} embeddings, {len(labels)} labels, keep = {keep}: need N, N and at least 1.")
    longest = float((embeddings.float() ** 2).sum(1).max())  # what is not finite stays so
    if not np.isfinite(longest):
        check_embeddings(embeddings.cpu().numpy())
    if 4 * longest > top * (1 + 1e-4):
        raise DataError(f"Distances may be up to {4 * longest:g}, more than top = {top:g}; pass a larger top.")


def _tiles(count: int, device: torch.device, share: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of the tiles that cover the upper half of the matrix, every n-th of them."""
    height, width = _TILE.get(device.type, _TILE["cpu"])
    every = (
        (slice(row, min(row + height, count)), slice(column, min(column + width, count)))
        for row in range(0, count, height)
        for column in range(row, count, width)
    )
    return islice(every, share[0], None, share[1])


def _count_tile(matrix: _Matrix, rows: slice, columns: slice, so_far: PairCounts) -> PairCounts:
    """Count the pairs of a tile; of the nearest impostors only those are kept that may be nearest of all so far."""
    tile = matrix.tile(rows, columns)
    genuine = np.zeros(BINS, np.int64)
    if not matrix.is_plain(rows, columns):
        same = matrix.on_device[rows, None] == matrix.on_device[None, columns]
        once = torch.ones_like(same).triu_(rows.start - columns.start + 1)  # (R, C): columns after the row
        genuine = _histogram(tile[same & once])
        tile.masked_fill_(same | ~once, BINS)
    pairs = _nearest_of_tile(tile, _limit(so_far, matrix.slack), so_far.keep, matrix.slack)
    pairs += np.array([rows.start, columns.start])
    nearest = np.sort(distances_of(matrix.originals, pairs))[: so_far.keep]
    return PairCounts(genuine, _histogram(tile), nearest, so_far.keep, so_far.top)


def _histogram(tile: Tensor) -> Indices:
    """(BINS,) int64 on the host; what is at BINS is left out."""
    # int32, since to count is to read: int64 takes twice as long. histc takes eight times as long.
    return torch.bincount(tile.flatten().int(), minlength=BINS + 1)[:BINS].cpu().numpy()


def _limit(so_far: PairCounts, slack: float) -> float:
    """Below it, in bins, is what may still be among the nearest."""
    if len(so_far.nearest) < so_far.keep:
        return BINS
    last = float(so_far.nearest[-1])
    return last * BINS / so_far.top + slack if last > 0 else 0.0  # nothing is nearer than 0


def _nearest_of_tile(tile: Tensor, limit: float, keep: int, slack: float) -> Indices:
    """(P, 2) int64 on the host: rows and columns below the limit; where more than `keep`, the `keep` smallest."""
    pairs = (tile < limit).nonzero()
    if len(pairs) > keep:  # in the first tiles only, unless nearly all distances are equal
        near = tile[pairs[:, 0], pairs[:, 1]]
        pairs = pairs[near <= near.kthvalue(keep).values + slack]
    return pairs.cpu().numpy()

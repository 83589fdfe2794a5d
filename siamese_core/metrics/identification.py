"""Identification (ISO/IEC 19795-1): whose image of a gallery is nearest to a probe?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Distances, Indices, check_embeddings
from siamese_core.errors import DataError
from siamese_core.metrics.rates import threshold_at_fmr

_BLOCK = 256  # probes at a time


@dataclass(frozen=True, eq=False)
class Identification:
    """Probes against a gallery with one image an identity.

    Attributes:
        rank: (P,) int64, for each probe 1 + the identities that are as near as its own or nearer.
        mate: (P,) float64, squared L2 to the image of its own identity.
        nearest_other: (P,) float64, squared L2 to the nearest image of another identity.
        identities: In the gallery.
    """

    rank: Indices
    mate: Distances
    nearest_other: Distances
    identities: int

    def cmc(self) -> npt.NDArray[np.float64]:
        """(identities,): the share of probes whose own identity is among the first 1, 2, 3 … (closed set)."""
        counts = np.bincount(self.rank, minlength=self.identities + 1)[1:]
        shares: npt.NDArray[np.float64] = counts.cumsum() / len(self.rank)
        return shares

    def rank_1(self) -> float:
        """Share of the probes whose own identity comes first; a tie with another identity does not count."""
        return float(np.mean(self.rank == 1))

    def detection_and_identification_rate(self, false_alarm_rate: float) -> float:
        """Open set: the share of probes that come first *and* below the threshold (DIR; Grother & Phillips 2004).

        The threshold is the largest at which *at most* this share of probes raises a false alarm when its own
        identity is not in the gallery: when its nearest other identity is below the threshold.

        Args:
            false_alarm_rate: Between 0 and 1.
        """
        threshold = threshold_at_fmr(self.nearest_other, false_alarm_rate)
        return float(np.mean((self.rank == 1) & (self.mate < threshold)))


def identify(embeddings: npt.NDArray[np.floating], labels: Indices, seed: int) -> Identification:
    """Search a gallery of one image an identity, drawn by the seed, for all other images.

    Args:
        embeddings: (N, D) floats.
        labels: (N,) int64 identities; one with a single image is in the gallery only.
        seed: Of the draw.

    Raises:
        DataError: There are fewer than two identities, none has a second image, or an embedding is not finite.
    """
    check_embeddings(embeddings)
    order = np.random.default_rng(seed).permutation(len(labels))
    identities, first = np.unique(labels[order], return_index=True)
    gallery = order[first]
    probes = np.setdiff1d(np.arange(len(labels)), gallery)
    if len(identities) < 2 or not len(probes):
        raise DataError(
            "Identification needs two identities and one of them with a second image; there are "
            f"{len(labels)} images of {len(identities)}."
        )
    own = np.searchsorted(identities, labels[probes])
    blocks = [slice(start, start + _BLOCK) for start in range(0, len(probes), _BLOCK)]
    parts = [_identify_block(embeddings[probes[block]], embeddings[gallery], own[block]) for block in blocks]
    rank, mate, other = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Identification(rank, mate, other, len(identities))


def _identify_block(
    probes: npt.NDArray[np.floating], gallery: npt.NDArray[np.floating], own: Indices
) -> tuple[Indices, Distances, Distances]:
    """Rank, distance to the mate and to the nearest other, for each of a few probes."""
    x, y = probes.astype(np.float64), gallery.astype(np.float64)
    distances = np.maximum((x * x).sum(1)[:, np.newaxis] - 2 * x @ y.T + (y * y).sum(1), 0)  # (P, I)
    row = np.arange(len(own))
    mate = distances[row, own]
    rank = (distances <= mate[:, np.newaxis]).sum(1)  # its own among them
    distances[row, own] = np.inf
    return rank.astype(np.int64), mate, distances.min(1)

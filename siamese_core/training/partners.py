"""Hard partners: samples and classes that are easily confused, for the sampler to put into the same batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from siamese_core.arrays import Embeddings, Indices
from siamese_core.config import TripletConfig
from siamese_core.training.dihedral import DihedralImages
from siamese_core.triplets.offline import Triplets, neighbour_graph


@dataclass(frozen=True, eq=False)
class HardPartners:
    """Triplets and neighbours in the numbers of `DihedralImages`.

    Attributes:
        triplets: (T, 3) int64 samples: anchor, positive, negative.
        neighbours: (C, k) int64 confusable classes of each class, nearest first; -1 where there are fewer.
    """

    triplets: Indices
    neighbours: Indices

    @classmethod
    def offline(cls, triplets: Triplets, samples: DihedralImages) -> Self:
        """Partners by `build_triplets`, as far as they are among the samples."""
        positions = _positions(triplets.table, samples.images.rows)  # (M, 3)
        return cls(samples.of_each(positions).transpose(0, 2, 1).reshape(-1, 3), _neighbours(triplets.graph, samples))

    @classmethod
    def current(cls, embeddings: Embeddings, positions: Indices, samples: DihedralImages, neighbours: int) -> Self:
        """Partners by what the encoder confuses now.

        Args:
            embeddings: (m, D), upright.
            positions: (m,) int64 positions of these images; at least one of each identity.
            samples: All images.
            neighbours: How many for each class.
        """
        images = samples.images
        graph = neighbour_graph(
            embeddings, images.labels[positions], images.names, TripletConfig(neighbours=neighbours)
        )
        return cls(np.empty((0, 3), np.int64), _neighbours(graph, samples))


def _positions(table: pd.DataFrame, rows: Indices) -> Indices:
    """(M, 3) int64 positions in `rows` of the triplets whose three images are all there."""
    triplets = table[["anchor", "positive", "negative"]].to_numpy(np.int64)
    positions = np.searchsorted(rows, triplets).clip(max=len(rows) - 1)
    complete: Indices = positions[(rows[positions] == triplets).all(axis=1)]
    return complete


def _neighbours(graph: pd.DataFrame, samples: DihedralImages) -> Indices:
    """(I · S, k) int64 neighbours in the same copy, nearest first; -1 for those that are not among the samples."""
    names = pd.Index(samples.images.names)
    nearest = graph.pivot(index="identity", columns="rank", values="neighbour").reindex(names).to_numpy()  # (I, k)
    neighbours = names.get_indexer(pd.Index(nearest.ravel())).reshape(nearest.shape)
    classes = samples.of_each(neighbours).transpose(0, 2, 1).reshape(len(names) * samples.copies, -1)
    return np.where(np.repeat(neighbours, samples.copies, axis=0) < 0, -1, classes)

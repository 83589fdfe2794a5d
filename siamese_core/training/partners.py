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

_NO_TRIPLETS = np.empty((0, 3), np.int64)


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
    def none(cls, classes: int) -> Self:
        """No partners for any of so many classes."""
        return cls(_NO_TRIPLETS, np.empty((classes, 0), np.int64))

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
        return cls(_NO_TRIPLETS, _neighbours(graph, samples))


def _positions(table: pd.DataFrame, rows: Indices) -> Indices:
    """(M, 3) int64 positions in `rows` of the triplets whose three images are all there."""
    triplets = table[["anchor", "positive", "negative"]].to_numpy(np.int64)
    positions = np.searchsorted(rows, triplets).clip(max=len(rows) - 1)
    complete: Indices = positions[(rows[positions] == triplets).all(axis=1)]
    return complete


def _neighbours(graph: pd.DataFrame, samples: DihedralImages) -> Indices:
    """(I · S, k) int64 neighbours in the same copy, nearest first; -1 for those that are not among the samples."""
    names = samples.images.names
    number = {name: index for index, name in enumerate(names)}
    width = int(graph["rank"].max()) + 1 if len(graph) else 0
    neighbours = np.full((len(names), width), -1, np.int64)
    for identity, neighbour, rank in zip(graph["identity"], graph["neighbour"], graph["rank"], strict=True):
        if identity in number and neighbour in number:
            neighbours[number[identity], rank] = number[neighbour]
    classes = samples.of_each(neighbours).transpose(0, 2, 1).reshape(len(names) * samples.copies, width)
    return np.where(np.repeat(neighbours, samples.copies, axis=0) < 0, -1, classes)

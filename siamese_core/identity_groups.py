"""Which identities are hard to tell apart, in the terms of the sampler: triplets, neighbours, siblings.

The sampler counts images and identities from 0 and may see each image in several quarter turns: image i of the
store's kept rows in turn t is its image i · T + t, and identity i in turn t its identity i · T + t.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from siamese_core.embedding import Embeddings
from siamese_core.pairs import Indices, labels_of
from siamese_core.sampling import HardPartners
from siamese_core.triplets import neighbour_graph


@dataclass(frozen=True)
class KeptImages:
    """The images that are trained on.

    Attributes:
        rows: (n,) int64 rows of the image store, ascending.
        labels: (n,) int64 identities, 0 to I − 1.
        names: The I identities.
        turns: T, how many quarter turns make identities of their own: 1 or 4.
    """

    rows: Indices
    labels: Indices
    names: list[str]
    turns: int

    def sampler_labels(self) -> Indices:
        """(n · T,) identities of the sampler's images."""
        return _turned(self.labels, self.turns).ravel()

    def hard_partners(self, triplets: pd.DataFrame, graph: pd.DataFrame) -> HardPartners:
        """What build_triplets found, as far as its images and identities are kept."""
        known = self._known_triplets(triplets)  # (M, 3)
        return HardPartners(
            _turned(known, self.turns).transpose(0, 2, 1).reshape(-1, 3), self._turned_neighbours(graph)
        )

    def new_partners(self, embeddings: Embeddings, neighbours: int) -> HardPartners:
        """Partners by what the encoder confuses now.

        Args:
            embeddings: (n, D) of the kept images, upright.
            neighbours: How many for each identity.
        """
        graph = neighbour_graph(embeddings, self.labels, self.names, neighbours)
        return HardPartners(np.empty((0, 3), np.int64), self._turned_neighbours(graph))

    def siblings(self) -> Indices:
        """(I · T,) int64 groups: identities below the same folder, in the same turn."""
        folders, _ = labels_of([name.rpartition("/")[0] for name in self.names])
        return _turned(folders, self.turns).ravel()

    def _known_triplets(self, table: pd.DataFrame) -> Indices:
        store_rows = table[["anchor", "positive", "negative"]].to_numpy(np.int64)
        position = np.searchsorted(self.rows, store_rows).clip(max=len(self.rows) - 1)
        known: Indices = position[(self.rows[position] == store_rows).all(axis=1)]
        return known

    def _turned_neighbours(self, graph: pd.DataFrame) -> Indices:
        """(I · T, k) neighbours in the same turn, nearest first; those that are not kept are -1."""
        number = {name: index for index, name in enumerate(self.names)}
        width = int(graph["rank"].max()) + 1 if len(graph) else 0
        neighbours = np.full((len(self.names), width), -1, np.int64)
        for identity, neighbour, rank in zip(graph["identity"], graph["neighbour"], graph["rank"], strict=True):
            if identity in number and neighbour in number:
                neighbours[number[identity], rank] = number[neighbour]
        turned = _turned(neighbours, self.turns).transpose(0, 2, 1).reshape(len(self.names) * self.turns, width)
        return np.where(np.repeat(neighbours, self.turns, axis=0) < 0, -1, turned)


def _turned(numbers: Indices, turns: int) -> Indices:
    """(..., T): each number's T counterparts."""
    return numbers[..., np.newaxis] * turns + np.arange(turns)

"""Which identities are hard to tell apart, in the terms of the sampler: triplets, neighbours, siblings.

The sampler counts images and identities from 0 and may see each image in several symmetries (turned, mirrored): image
i of the store's kept rows in symmetry s is its image i · S + s, and identity i in symmetry s its identity i · S + s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from siamese_core.arrays import Embeddings, Indices, labels_of
from siamese_core.config import TripletConfig
from siamese_core.metrics.pairs import few_of_each
from siamese_core.training.sampling import HardPartners
from siamese_core.triplets.offline import neighbour_graph


@dataclass(frozen=True)
class KeptImages:
    """The images that are trained on.

    Attributes:
        rows: (n,) int64 rows of the image store, ascending.
        labels: (n,) int64 identities, 0 to I − 1.
        names: The I identities.
        symmetries: S, how many symmetries make identities of their own: 1, 4 or 8.
    """

    rows: Indices
    labels: Indices
    names: list[str]
    symmetries: int

    def sampler_labels(self) -> Indices:
        """(n · S,) identities of the sampler's images."""
        return _in_each(self.labels, self.symmetries).ravel()

    def hard_partners(self, triplets: pd.DataFrame, graph: pd.DataFrame) -> HardPartners:
        """What build_triplets found, as far as its images and identities are kept."""
        known = self._known_triplets(triplets)  # (M, 3)
        return HardPartners(
            _in_each(known, self.symmetries).transpose(0, 2, 1).reshape(-1, 3), self._all_neighbours(graph)
        )

    def few_of_each(self, most: int) -> Indices:
        """(m,) int64 positions of at most `most` images of each identity: enough for its mean."""
        return few_of_each(self.labels, most)

    def new_partners(self, embeddings: Embeddings, positions: Indices, neighbours: int) -> HardPartners:
        """Partners by what the encoder confuses now.

        Args:
            embeddings: (m, D), upright.
            positions: (m,) which of the kept images these are; at least one of each identity.
            neighbours: How many for each identity.
        """
        graph = neighbour_graph(embeddings, self.labels[positions], self.names, TripletConfig(neighbours=neighbours))
        return HardPartners(np.empty((0, 3), np.int64), self._all_neighbours(graph))

    def siblings(self) -> Indices:
        """(I · S,) int64 groups: identities below the same folder, in the same symmetry."""
        folders, _ = labels_of([name.rpartition("/")[0] for name in self.names])
        return _in_each(folders, self.symmetries).ravel()

    def _known_triplets(self, table: pd.DataFrame) -> Indices:
        store_rows = table[["anchor", "positive", "negative"]].to_numpy(np.int64)
        position = np.searchsorted(self.rows, store_rows).clip(max=len(self.rows) - 1)
        known: Indices = position[(self.rows[position] == store_rows).all(axis=1)]
        return known

    def _all_neighbours(self, graph: pd.DataFrame) -> Indices:
        """(I · S, k) neighbours in the same symmetry, nearest first; those that are not kept are -1."""
        number = {name: index for index, name in enumerate(self.names)}
        width = int(graph["rank"].max()) + 1 if len(graph) else 0
        neighbours = np.full((len(self.names), width), -1, np.int64)
        for identity, neighbour, rank in zip(graph["identity"], graph["neighbour"], graph["rank"], strict=True):
            if identity in number and neighbour in number:
                neighbours[number[identity], rank] = number[neighbour]
        found = (
            _in_each(neighbours, self.symmetries).transpose(0, 2, 1).reshape(len(self.names) * self.symmetries, width)
        )
        return np.where(np.repeat(neighbours, self.symmetries, axis=0) < 0, -1, found)


def _in_each(numbers: Indices, symmetries: int) -> Indices:
    """(..., S): each number's S counterparts."""
    return numbers[..., np.newaxis] * symmetries + np.arange(symmetries)

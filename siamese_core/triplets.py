"""Offline triplet selection over all train images, and the graph of identities that are easily confused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from siamese_core.artifact import read_table, write_table
from siamese_core.config import TripletConfig
from siamese_core.distances import squared_distances
from siamese_core.embedding import Embeddings, embed
from siamese_core.encoders import Encoder
from siamese_core.manifest import Manifest
from siamese_core.pairs import labels_of
from siamese_core.pictures import grid
from siamese_core.progress import track
from siamese_core.split import Split
from siamese_core.store import ImageStore

_BLOCK = 512
_PICTURED = 10
KINDS = ("semi-hard", "hard", "easy")


@dataclass(frozen=True)
class Triplets:
    """The chosen triplets and the identity-neighbour graph.

    Attributes:
        table: Columns `anchor`, `positive`, `negative` (rows of the image store), `d_positive`, `d_negative`
            (squared L2) and `kind`: `semi-hard` (d(A,P) < d(A,N) < d(A,P) + α), `hard` (d(A,N) ≤ d(A,P)), or
            `easy` (farther than the margin).
        graph: Columns `identity`, `neighbour`, `rank` (0 is nearest) and `distance` between their mean embeddings.
        picture: A grid of sample triplets as PNG.
    """

    table: pd.DataFrame
    graph: pd.DataFrame
    picture: bytes

    def save(self, folder: Path) -> None:
        """Writes two Parquet tables and `sample_triplets.png`."""
        write_table(folder / "triplets.parquet", self.table)
        write_table(folder / "neighbours.parquet", self.graph)
        (folder / "sample_triplets.png").write_bytes(self.picture)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads what `save` wrote."""
        picture = (folder / "sample_triplets.png").read_bytes()
        return cls(read_table(folder / "triplets.parquet"), read_table(folder / "neighbours.parquet"), picture)

    def summary(self) -> dict[str, Any]:
        """How many triplets of each kind, and how close they are."""
        kinds = self.table["kind"].value_counts()
        gap = self.table["d_negative"] - self.table["d_positive"]
        return {
            "triplets": len(self.table),
            **{kind.replace("-", "_"): int(kinds.get(kind, 0)) for kind in KINDS},
            "median_d_positive": _median(self.table["d_positive"]),
            "median_d_negative": _median(self.table["d_negative"]),
            "median_gap": _median(gap),
            "graph_edges": len(self.graph),
        }


def build_triplets(
    encoder: Encoder,
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    config: TripletConfig,
    margin: float,
    seed: int,
) -> Triplets:
    """Embeds the train images and chooses triplets and neighbours among them.

    Args:
        encoder: What measures the distances: the champion, or a fresh one.
        manifest: The images.
        store: Their pixels.
        split: Which identities train.
        config: How many triplets and neighbours.
        margin: α.
        seed: Of the choice of positive pairs.
    """
    rows = split.rows(manifest, "train")
    labels, names = labels_of(manifest.ok["identity"].iloc[rows].tolist())
    embeddings = embed(encoder, store.images, rows)
    table = choose_triplets(embeddings, labels, margin, config, seed)
    for column in ("anchor", "positive", "negative"):
        table[column] = rows[table[column]]
    graph = neighbour_graph(embeddings, labels, names, config.neighbours)
    return Triplets(table, graph, _picture(table, store, seed))


def choose_triplets(
    embeddings: Embeddings, labels: npt.NDArray[np.int64], margin: float, config: TripletConfig, seed: int
) -> pd.DataFrame:
    """For seeded positive pairs, the negative that is nearest beyond the positive, among all images.

    Exact: each anchor is compared with every image, a block of anchors at a time, so memory is O(block · N).

    Args:
        embeddings: (N, D) float32.
        labels: (N,) int64 identities.
        margin: α, which tells semi-hard from easy.
        config: How many triplets.
        seed: Of the choice of positive pairs, where there are more than `max_triplets`.

    Returns:
        The table of `Triplets`, with rows 0 to N − 1.
    """
    anchors, positives = _positive_pairs(labels, config.max_triplets, seed)
    points, owners = torch.from_numpy(embeddings), torch.from_numpy(labels)
    parts = []
    with track("choose triplets", len(anchors), "triplets") as progress:
        for start in range(0, len(anchors), _BLOCK):
            block = slice(start, start + _BLOCK)
            parts.append(_nearest_beyond(points, owners, anchors[block], positives[block]))
            progress.advance(len(anchors[block]))
    table = pd.concat(parts, ignore_index=True) if parts else _nearest_beyond(points, owners, anchors, positives)
    gap = table["d_negative"] - table["d_positive"]
    table["kind"] = np.select([gap <= 0, gap < margin], ["hard", "semi-hard"], "easy").astype("str")
    return table


def neighbour_graph(
    embeddings: Embeddings, labels: npt.NDArray[np.int64], names: list[str], neighbours: int
) -> pd.DataFrame:
    """The nearest other identities of each identity, by the distance of mean embeddings.

    Args:
        embeddings: (N, D) float32.
        labels: (N,) int64, positions in `names`.
        names: The I identities.
        neighbours: How many for each; fewer if there are fewer identities.

    Returns:
        The graph of `Triplets`, I · neighbours rows.
    """
    centres = torch.from_numpy(identity_means(embeddings, labels))  # (I, D)
    k = min(neighbours, len(names) - 1)
    nearest, distances = [], []
    for start in range(0, len(names), _BLOCK):
        block = squared_distances(centres[start : start + _BLOCK], centres)  # (block, I)
        block[torch.arange(len(block)), torch.arange(start, start + len(block))] = torch.inf
        values, columns = block.topk(k, largest=False)
        nearest.append(columns)
        distances.append(values)
    owner = np.repeat(np.arange(len(names)), k)
    identities = np.array(names, dtype=object)
    return pd.DataFrame(
        {
            "identity": pd.Series(identities[owner], dtype="str"),
            "neighbour": pd.Series(identities[torch.cat(nearest).flatten().numpy()], dtype="str"),
            "rank": np.tile(np.arange(k), len(names)),
            "distance": torch.cat(distances).flatten().numpy(),
        }
    )


def identity_means(embeddings: Embeddings, labels: npt.NDArray[np.int64]) -> Embeddings:
    """The mean embedding of each identity, (I, D) float32."""
    sums = np.zeros((int(labels.max()) + 1, embeddings.shape[1]), np.float32)
    np.add.at(sums, labels, embeddings)
    sums /= np.bincount(labels)[:, np.newaxis]
    return sums


def _positive_pairs(
    labels: npt.NDArray[np.int64], most: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Every image of a pairable identity as an anchor, with distinct random positives, as many as `most` allows."""
    rng = np.random.default_rng(seed)
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(labels))[:-1])
    shuffled = [rng.permutation(group) for group in groups if len(group) >= 2]
    anchors: list[npt.NDArray[np.int64]] = []
    positives: list[npt.NDArray[np.int64]] = []
    turn, total = 1, 0
    # Turn t pairs each image with the one t places on in its identity's shuffled circle: no pair comes twice.
    while total < most and any(len(group) > turn for group in shuffled):
        for group in shuffled:
            if len(group) > turn:
                anchors.append(group)
                positives.append(np.roll(group, -turn))
                total += len(group)
        turn += 1
    if not anchors:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    kept = np.sort(rng.permutation(total)[:most])
    return np.concatenate(anchors)[kept], np.concatenate(positives)[kept]


def _nearest_beyond(
    points: torch.Tensor,
    owners: torch.Tensor,
    anchors: npt.NDArray[np.int64],
    positives: npt.NDArray[np.int64],
) -> pd.DataFrame:
    a, p = torch.from_numpy(anchors), torch.from_numpy(positives)
    distances = squared_distances(points[a], points)  # (block, N)
    d_positive = distances.gather(1, p[:, None])  # (block, 1)
    same = owners[a][:, None] == owners[None, :]  # (block, N)
    beyond = distances.masked_fill(same | (distances <= d_positive), torch.inf)
    nearest, column = beyond.min(1)
    # No negative lies beyond the positive: take the farthest of those that lie nearer.
    farthest_value, farthest = distances.masked_fill(same, -torch.inf).max(1)
    none_beyond = torch.isinf(nearest)
    return pd.DataFrame(
        {
            "anchor": anchors,
            "positive": positives,
            "negative": torch.where(none_beyond, farthest, column).numpy(),
            "d_positive": d_positive.squeeze(1).numpy(),
            "d_negative": torch.where(none_beyond, farthest_value, nearest).numpy(),
        }
    )


def _picture(table: pd.DataFrame, store: ImageStore, seed: int) -> bytes:
    sample = table.sample(min(len(table), _PICTURED), random_state=seed)
    roles = ["anchor", "positive", "negative"]
    return grid([[store.images[row] for row in triplet] for triplet in sample[roles].to_numpy()], roles)


def _median(values: pd.Series[float]) -> float:
    return float(values.median()) if len(values) else 0.0

"""Offline triplet selection over all train images, and the graph of identities that are easily confused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from siamese_core.arrays import Embeddings, Indices, Labels, Pixels, blocks, positions_of_each
from siamese_core.artifact import read_table, write_table
from siamese_core.config import Search, TripletConfig
from siamese_core.data.dataset import Dataset
from siamese_core.network.embedding import embed
from siamese_core.network.encoders import Encoder
from siamese_core.pictures import grid
from siamese_core.progress import Progress, track
from siamese_core.triplets.distances import paired_squared_distances
from siamese_core.triplets.neighbours import choose_search, find_nearest

# Anchors and images of one comparison: 8 MB of distances, whatever the number of images.
_BLOCK, _TILE = 512, 4096
# Nearest images among which an approximate search looks for a negative beyond the positive.
_NEAREST = 64
_PICTURED = 10
_ROLES = ["anchor", "positive", "negative"]
KINDS = ("semi-hard", "hard", "easy")


@dataclass(frozen=True)
class Triplets:
    """Hard triplets and the identity-neighbour graph.

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
        """Write two Parquet tables and `sample_triplets.png`."""
        write_table(folder / "triplets.parquet", self.table)
        write_table(folder / "neighbours.parquet", self.graph)
        (folder / "sample_triplets.png").write_bytes(self.picture)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        picture = (folder / "sample_triplets.png").read_bytes()
        return cls(read_table(folder / "triplets.parquet"), read_table(folder / "neighbours.parquet"), picture)

    def summary(self) -> dict[str, Any]:
        """Number of triplets of each kind, and how close they are."""
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


def build_triplets(encoder: Encoder, data: Dataset, config: TripletConfig, margin: float, seed: int) -> Triplets:
    """Embed the train images and choose triplets and neighbours among them.

    Args:
        encoder: Its distances decide: the champion, or a fresh encoder.
        data: The images.
        config: Numbers of triplets and neighbours, and the search.
        margin: α.
        seed: Of the choice of positive pairs.
    """
    images = data.part("train")
    embeddings = embed(encoder, images.pixels, images.rows)
    device = next(encoder.parameters()).device
    table = choose_triplets(embeddings, images.labels, margin, config, seed, device)
    for role in _ROLES:
        table[role] = images.rows[table[role]]
    graph = neighbour_graph(embeddings, images.labels, images.names, config, device)
    return Triplets(table, graph, _picture(table, images.pixels, seed))


def choose_triplets(
    embeddings: Embeddings,
    labels: Labels,
    margin: float,
    config: TripletConfig,
    seed: int,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """Choose for seeded positive pairs the negative that is nearest beyond the positive, among all images.

    With exact search each anchor is compared with every image; beyond the embeddings and the triplets, memory is
    bounded by a constant. With approximate search a nearer negative may be missed, never an anchor left out.

    Args:
        embeddings: (N, D) float32.
        labels: (N,) int64 identities.
        margin: α, which tells semi-hard from easy.
        config: Number of triplets, and the search.
        seed: Of the choice of positive pairs, if there are more than `max_triplets`.
        device: The device that compares embeddings.

    Returns:
        The table of `Triplets`, with rows 0 to N − 1.

    Raises:
        ConfigError: The search needs FAISS, which is not installed.
    """
    anchors, positives = map(torch.from_numpy, _positive_pairs(labels, config.max_triplets, seed))
    points, owners = torch.from_numpy(embeddings).to(device), torch.from_numpy(labels).to(device)
    search = choose_search(config.search, len(anchors), len(points), points.device)
    with track("choose triplets", len(anchors), "triplets") as progress:
        pairs = anchors.to(device), positives.to(device)
        negatives = _negatives(points, owners, *pairs, search, progress)
    columns = zip(_ROLES, (anchors, positives, negatives.cpu()), strict=True)
    table = pd.DataFrame({role: rows.numpy() for role, rows in columns})
    table["d_positive"] = _row_distances(points, *pairs)
    table["d_negative"] = _row_distances(points, pairs[0], negatives)
    gap = table["d_negative"] - table["d_positive"]
    table["kind"] = np.select([gap <= 0, gap < margin], ["hard", "semi-hard"], "easy").astype("str")
    return table


def neighbour_graph(
    embeddings: Embeddings,
    labels: Labels,
    names: list[str],
    config: TripletConfig,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:
    """The nearest other identities of each identity, by the distance of mean embeddings.

    Args:
        embeddings: (N, D) float32.
        labels: (N,) int64, positions in `names`.
        names: The I identities.
        config: Number of neighbours for each (fewer if there are fewer identities), and the search.
        device: The device that compares means.

    Returns:
        The graph of `Triplets`, I · neighbours rows.

    Raises:
        ConfigError: The search needs FAISS, which is not installed.
    """
    centres = torch.from_numpy(identity_means(embeddings, labels)).to(device)  # (I, D)
    k = min(config.neighbours, len(names) - 1)
    search = choose_search(config.search, len(names), len(names), centres.device)
    with track("neighbour graph", len(names), "identities") as progress:
        distances, nearest = find_nearest(centres, centres, k + 1, search, progress.advance)
    distances, nearest = _without_itself(distances.cpu(), nearest.cpu())
    owner = np.repeat(np.arange(len(names)), k)
    identities = np.array(names, dtype=object)
    return pd.DataFrame(
        {
            "identity": pd.Series(identities[owner], dtype="str"),
            "neighbour": pd.Series(identities[nearest.flatten().numpy()], dtype="str"),
            "rank": np.tile(np.arange(k), len(names)),
            "distance": distances.flatten().numpy(),
        }
    )


def identity_means(embeddings: Embeddings, labels: Labels) -> Embeddings:
    """The mean embedding of each identity, (I, D) float32."""
    sums = np.zeros((int(labels.max()) + 1, embeddings.shape[1]), np.float32)
    np.add.at(sums, labels, embeddings)
    sums /= np.bincount(labels)[:, np.newaxis]
    return sums


def _positive_pairs(labels: Labels, most: int, seed: int) -> tuple[Indices, Indices]:
    """Every image of a pairable identity as an anchor, with distinct random positives, as many as `most` allows.

    None if there is a single identity, and so no negative.
    """
    rng = np.random.default_rng(seed)
    groups = positions_of_each(labels)
    circles = [rng.permutation(group) for group in groups if len(group) >= 2 and len(groups) >= 2]
    anchors, positives = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    turn, total = 1, 0
    # Turn t pairs each image with the one t places on in its identity's shuffled circle: no pair comes twice.
    while total < most and any(len(circle) > turn for circle in circles):
        for circle in circles:
            if len(circle) > turn:
                anchors.append(circle)
                positives.append(np.roll(circle, -turn))
                total += len(circle)
        turn += 1
    sample = np.sort(rng.permutation(total)[:most])
    return np.concatenate(anchors)[sample], np.concatenate(positives)[sample]


def _negatives(
    points: Tensor, owners: Tensor, anchors: Tensor, positives: Tensor, search: Search, progress: Progress
) -> Tensor:
    """The negative of each positive pair, (T,) int64."""
    negatives = torch.full_like(anchors, -1)
    if search != "exact":
        negatives = _negatives_among_nearest(points, owners, anchors, positives, search)
    missing = negatives.lt(0).nonzero().flatten()
    progress.advance(len(anchors) - len(missing))
    for rows in blocks(len(missing), _BLOCK):
        block = missing[rows]
        negatives[block] = _nearest_beyond(points, owners, anchors[block], positives[block])
        progress.advance(len(block))
    return negatives


def _negatives_among_nearest(
    points: Tensor, owners: Tensor, anchors: Tensor, positives: Tensor, search: Search
) -> Tensor:
    """The nearest negative beyond the positive among the anchor's _NEAREST images, (T,) int64; −1 if none is."""
    images, which = torch.unique(anchors, return_inverse=True)
    negatives = torch.full_like(anchors, -1)
    with track("nearest images", len(images), "images") as progress:
        k = min(_NEAREST, len(points))
        distances, ids = find_nearest(points[images], points, k, search, progress.advance)  # (U, k)
    for block in blocks(len(anchors), _TILE):
        a, near = anchors[block], ids[which[block]]  # (b,), (b, k)
        limit = paired_squared_distances(points, a, positives[block])  # (b,)
        suits = (owners[near] != owners[a][:, None]) & (distances[which[block]] > limit[:, None])  # (b, k)
        first = suits.int().argmax(1, keepdim=True)  # they come nearest first
        negatives[block] = near.gather(1, first).squeeze(1).where(suits.any(1), -1)
    return negatives


def _nearest_beyond(points: Tensor, owners: Tensor, anchors: Tensor, positives: Tensor) -> Tensor:
    """The nearest negative beyond the positive, or the farthest if none lies beyond, (b,) int64."""
    limit = paired_squared_distances(points, anchors, positives)  # (b,)
    nearest, negatives = _scan(points, owners, anchors, 1, limit)
    none = nearest.isinf()
    if none.any():
        negatives[none] = _scan(points, owners, anchors[none], -1, torch.full_like(limit[none], -torch.inf))[1]
    return negatives


def _scan(points: Tensor, owners: Tensor, anchors: Tensor, sign: int, limit: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest sign · d above a limit over all images of other identities, and the image that has it.

    Args:
        points: (N, D).
        owners: (N,) identities.
        anchors: (b,) rows of points.
        sign: 1 for the nearest, −1 for the farthest.
        limit: (b,) of sign · d.

    Returns:
        (b,) float32 less sign · ‖anchor‖², infinite where there is none, and (b,) int64.
    """
    x, own = points[anchors], owners[anchors][:, None]  # (b, D), (b, 1)
    limit = (limit - sign * x.square().sum(1))[:, None]  # (b, 1)
    best = torch.full(anchors.shape, torch.inf, device=points.device)
    images = torch.zeros_like(anchors)
    for start in range(0, len(points), _TILE):
        y = points[start : start + _TILE]  # (t, D)
        # sign · (‖y‖² − 2 x·y) in one pass: further passes over the block would cost more than the product itself.
        values = torch.addmm(sign * y.square().sum(1), x, y.T, alpha=-2 * sign)  # (b, t)
        unsuitable = (own == owners[start : start + _TILE]) | (values <= limit)
        lowest, column = values.masked_fill_(unsuitable, torch.inf).min(1)
        images = torch.where(lowest < best, column + start, images)
        best = torch.minimum(lowest, best)
    return best, images


def _row_distances(points: Tensor, left: Tensor, right: Tensor) -> npt.NDArray[np.float32]:
    """Squared distances of pairs of rows, (T,)."""
    distances = np.empty(len(left), np.float32)
    for block in blocks(len(left), _TILE):
        distances[block] = paired_squared_distances(points, left[block], right[block]).cpu().numpy()
    return distances


def _without_itself(distances: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Drop row i from the (I, k + 1) nearest of row i; the last if, among equals, it is not there."""
    itself = ids == torch.arange(len(ids))[:, None]  # (I, k + 1)
    itself[:, -1] |= ~itself.any(1)
    shape = len(ids), ids.shape[1] - 1
    return distances[~itself].view(shape), ids[~itself].view(shape)


def _picture(table: pd.DataFrame, pixels: Pixels, seed: int) -> bytes:
    sample = table.sample(min(len(table), _PICTURED), random_state=seed)
    return grid([[pixels[row] for row in triplet] for triplet in sample[_ROLES].to_numpy()], _ROLES)


def _median(values: pd.Series[float]) -> float:
    return float(values.median()) if len(values) else 0.0

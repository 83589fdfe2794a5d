"""Claim: semi-hard mining of 1,024 embeddings is ≥ 30 times faster, in ≥ 50 times less memory, than the peer's.

The peer is pytorch-metric-learning. Each side gets embeddings and labels, and returns triplets: the distance matrix
is part of the work. The peer's semi-hard miner returns every triplet within the margin, ours one for each positive
pair; the numbers of triplets stand in the line. The batch-hard miners return the same triplets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import Absent, Cost, Line, compare, growth, in_process, measure, require
from siamese_core.devices import choose_device
from siamese_core.triplets.distances import squared_distances
from siamese_core.triplets.mining import batch_hard, semi_hard

Mine = Callable[[Tensor, Tensor], tuple[Tensor, ...]]

_DIM, _IMAGES_PER_IDENTITY, _MARGIN = 128, 8, 0.2
_WARM_UP = 64


@dataclass(frozen=True)
class Sizes:
    """Extent of the measurement.

    Attributes:
        batches: Embeddings in a batch.
        limit: Seconds for one side of one comparison.
    """

    batches: tuple[int, ...]
    limit: float


FULL, QUICK = Sizes((256, 1024, 4096), 180), Sizes((32,), 180)


def lines(quick: bool) -> Iterator[Line]:
    """Measure both miners at every size."""
    sizes = QUICK if quick else FULL
    for miner in ("semi_hard", "batch_hard"):
        costs: list[tuple[Cost | Absent, Cost | Absent]] = []
        for batch in sizes.batches:
            sides = [in_process(side, miner, batch, limit=sizes.limit) for side in (ours, peer)]
            costs.append((sides[0], sides[1]))
            settings = f"d = {_DIM}, K = {_IMAGES_PER_IDENTITY}, margin {_MARGIN}"
            yield compare(f"{miner}, B = {batch:,}", *costs[-1], settings)
        our_costs, peer_costs = zip(*costs, strict=True)
        yield growth(miner, sizes.batches, our_costs, peer_costs)


def ours(miner: str, batch: int) -> Cost:
    """Our side; the only place that knows how our miners are called."""
    mine = {"semi_hard": semi_hard, "batch_hard": batch_hard}[miner]
    host = torch.device("cpu")
    return _cost(lambda points, labels: mine(squared_distances(points, points), labels.numpy()), batch, host)


def peer(miner: str, batch: int) -> Cost:
    """The peer's side, with the same distance."""
    require("pytorch_metric_learning")
    from pytorch_metric_learning import distances, miners

    device = choose_device("auto")
    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    if miner == "batch_hard":
        return _cost(miners.BatchHardMiner(distance=squared), batch, device)
    return _cost(miners.TripletMarginMiner(_MARGIN, "semihard", distance=squared), batch, device)


def batch_of(size: int) -> tuple[Tensor, Tensor]:
    """Embeddings as early in training: identities lie apart (squared distance 2.0), their images less so (1.6).

    Returns:
        (B, D) float32 of length 1, and (B,) int64 identities.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(size) // _IMAGES_PER_IDENTITY
    centres = torch.randn(size, _DIM, generator=generator)[labels]  # (B, D)
    embeddings = F.normalize(0.5 * centres + torch.randn(size, _DIM, generator=generator), dim=1)
    return embeddings, labels


def _cost(mine: Mine, size: int, labels_on: torch.device) -> Cost:
    """The cost of mining embeddings that are on the device, with labels that are where the miner wants them."""
    device = choose_device("auto")
    small, full = ([batch[0].to(device), batch[1].to(labels_on)] for batch in (batch_of(_WARM_UP), batch_of(size)))
    mine(*small)
    cost = measure(lambda: mine(*full), device)
    return replace(cost, detail=f"{len(mine(*full)[0]):,} triplets")

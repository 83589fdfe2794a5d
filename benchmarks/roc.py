"""Claim: the ROC over all pairs of 20,000 embeddings takes ≤ 2 s and ≤ 200 MB, and is exact at a low FMR.

The peer is scikit-learn's `roc_curve` on the vector of all pairs. Each side gets embeddings and labels, and returns
the threshold at an FMR of 1e-4: the distances are part of the work. The thresholds stand in the line; beyond 10,000
embeddings the peer's vector, its sorted copies and its curve no longer fit where this is run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from benchmarks.measure import Absent, Cost, Line, compare, growth, in_process, measure, require
from benchmarks.mining import batch_of
from siamese_core.arrays import Indices
from siamese_core.devices import choose_device
from siamese_core.metrics.all_pairs import count_pairs
from siamese_core.triplets.distances import squared_distances

_FMR, _WARM_UP = 1e-4, 64


@dataclass(frozen=True)
class Sizes:
    """Extent of the measurement.

    Attributes:
        embeddings: Numbers of embeddings.
        most_for_peer: The peer is not asked beyond it.
        limit: Seconds for one side of one comparison.
    """

    embeddings: tuple[int, ...]
    most_for_peer: int
    limit: float


FULL, QUICK = Sizes((2_000, 5_000, 10_000, 20_000), 10_000, 300), Sizes((64,), 64, 180)


def lines(quick: bool) -> Iterator[Line]:
    """Measure both sides at every size."""
    sizes = QUICK if quick else FULL
    costs: list[tuple[Cost | Absent, Cost | Absent]] = []
    for count in sizes.embeddings:
        too_large = Absent(f"not asked beyond {sizes.most_for_peer:,} embeddings")
        ours_took = in_process(ours, count, limit=sizes.limit)
        peer_took = in_process(peer, count, limit=sizes.limit) if count <= sizes.most_for_peer else too_large
        costs.append((ours_took, peer_took))
        yield compare(f"ROC, N = {count:,} ({count * (count - 1) // 2:,} pairs)", *costs[-1], "d = 128, K = 8")
    our_costs, peer_costs = zip(*costs, strict=True)
    yield growth("ROC", sizes.embeddings, our_costs, peer_costs)


def ours(count: int) -> Cost:
    """Our side."""
    device = choose_device("auto")
    (warm_up, few), (embeddings, labels) = batch_of(_WARM_UP), batch_of(count)
    count_pairs(warm_up.to(device), few.numpy())
    on_device = embeddings.to(device)
    cost = measure(lambda: count_pairs(on_device, labels.numpy()), device)
    return replace(cost, detail=f"threshold {count_pairs(on_device, labels.numpy()).threshold_at_fmr(_FMR):.6f}")


def peer(count: int) -> Cost:
    """The peer's side; it has no GPU code."""
    require("sklearn")
    (warm_up, few), (embeddings, labels) = batch_of(_WARM_UP), batch_of(count)
    _peer_threshold(warm_up, few.numpy())
    cost = measure(lambda: _peer_threshold(embeddings, labels.numpy()), embeddings.device)
    return replace(cost, detail=f"threshold {_peer_threshold(embeddings, labels.numpy()):.6f}")


def _peer_threshold(embeddings: Tensor, labels: Indices) -> float:
    from sklearn.metrics import roc_curve

    upper = np.triu(np.ones((len(labels), len(labels)), bool), 1)
    same = (labels[:, np.newaxis] == labels)[upper]
    scores = -squared_distances(embeddings, embeddings).numpy()[upper]
    fmr, _, scores = roc_curve(same, scores, drop_intermediate=False)  # else the threshold is not exact
    # Its scores match *at or above* a threshold: ours is the first that no longer matches.
    return -float(scores[int(np.searchsorted(fmr, _FMR, side="right"))])

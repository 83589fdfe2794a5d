"""Claim: exact search of 10 neighbours is not slower than FAISS's flat index.

Unit vectors of 128 dimensions, ten around each of N / 10 centres, shuffled; at most 10,000 of them are queries.
Ours and the flat index take turns in one process for the ratio; each search has a process of its own for its peak
memory, beyond the points. Times include building the index; the recall of the approximate searches is against the exact
answer. Threads sleep while they wait: on a busy machine spinning ones take the processor from those they wait for.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when the libraries are loaded

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.measure import Absent, Cost, Line, compare, growth, in_process, peak_memory, require
from siamese_core.devices import computes_in_bfloat16
from siamese_core.triplets.neighbours import find_nearest, nearest

_DIM, _K, _MOST_QUERIES, _REPEATS = 128, 10, 10_000, 3
FULL, QUICK = [10_000, 30_000, 100_000], [500]
_CPU = torch.device("cpu")

Points = npt.NDArray[np.float32]


def make_points(count: int) -> Points:
    rng = np.random.default_rng(0)
    points = np.repeat(rng.standard_normal((-(-count // 10), _DIM), np.float32), 10, 0)[:count]
    points += 0.4 * rng.standard_normal(points.shape, np.float32)
    return np.asarray(rng.permutation(points / np.linalg.norm(points, axis=1, keepdims=True)))


def flat(points: Points, queries: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    index: Any = faiss.IndexFlatL2(_DIM)
    index.add(points)
    return index.search(points[:queries], _K)


def ours(points: Points, queries: int) -> Any:
    return nearest(torch.from_numpy(points[:queries]), torch.from_numpy(points), _K)


def ivf(points: Points, queries: int) -> Any:
    return find_nearest(torch.from_numpy(points[:queries]), torch.from_numpy(points), _K, "ivf")


def hnsw(points: Points, queries: int) -> Any:
    return find_nearest(torch.from_numpy(points[:queries]), torch.from_numpy(points), _K, "hnsw")


Search = Callable[[Points, int], Any]


def lines(quick: bool) -> Iterator[Line]:
    """A line a size for the exact search, and one for each approximate one."""
    counts = QUICK if quick else FULL
    mine: list[Cost | Absent] = []
    peers: list[Cost | Absent] = []
    for count in counts:
        queries = min(count, _MOST_QUERIES)
        timed = in_process(in_turns, count)
        ours_cost, flat_cost = (in_process(peak_of, search, count) for search in (ours, flat))
        mine.append(_with_seconds(ours_cost, timed, 0))
        peers.append(_with_seconds(flat_cost, timed, 1))
        settings = f"{queries:,} queries, k = {_K}, d = {_DIM}, screened in {_precision()}"
        yield compare(f"exact search, N = {count:,}; peer: FAISS flat", mine[-1], peers[-1], settings)
        for search in (ivf, hnsw):
            cost = in_process(peak_of, search, count)
            yield compare(f"our exact search, N = {count:,}; peer: FAISS {search.__name__}", mine[-1], cost, settings)
    per_query = [
        [_for_one(cost, min(n, _MOST_QUERIES)) for cost, n in zip(side, counts, strict=True)] for side in (mine, peers)
    ]
    yield growth("search, a query", counts, *per_query)


def in_turns(count: int) -> tuple[float, float]:
    """Seconds of ours and of the flat index, medians of a few turns."""
    require("faiss")
    points, queries = make_points(count), min(count, _MOST_QUERIES)
    turns = [(_seconds(ours, points, queries), _seconds(flat, points, queries)) for _ in range(_REPEATS + 1)][1:]
    mine, peer = (statistics.median(side) for side in zip(*turns, strict=True))
    return mine, peer


def peak_of(search: Search, count: int) -> Cost:
    """Time and peak of one search, and how many of the true neighbours it finds."""
    require("faiss")
    points, queries = make_points(count), min(count, _MOST_QUERIES)
    search(points[:2000], 100)
    with peak_memory(_CPU) as peak:
        seconds = _seconds(search, points, queries)
    return Cost(seconds, peak[0], f"recall {_recall(search, points):.3f}")


def _seconds(search: Search, points: Points, queries: int) -> float:
    start = time.perf_counter()
    search(points, queries)
    return time.perf_counter() - start


def _recall(search: Search, points: Points) -> float:
    exact, found = (np.asarray(which(points, 1000)[1]) for which in (ours, search))
    return float((found[:, :, None] == exact[:, None, :]).any(2).mean())


def _with_seconds(cost: Cost | Absent, timed: tuple[float, float] | Absent, side: int) -> Cost | Absent:
    if isinstance(cost, Absent) or isinstance(timed, Absent):
        return cost if isinstance(cost, Absent) else Absent("the other side is missing")
    return Cost(timed[side], cost.peak, cost.detail)


def _for_one(cost: Cost | Absent, queries: int) -> Cost | Absent:
    return cost if isinstance(cost, Absent) else Cost(cost.seconds / queries, cost.peak)


def _precision() -> str:
    return "bfloat16" if computes_in_bfloat16(_CPU) else "float32"

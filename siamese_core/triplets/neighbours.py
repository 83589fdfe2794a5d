"""The k nearest embeddings of each of many: exact and blockwise in torch, or approximate with FAISS.

The exact search screens all pairs with a product of matrices, in bfloat16 where the processor multiplies it (twice as
fast), and measures in float32 the few that can be among the nearest. An error bound proves each answer; a query whose
proof fails is screened again in float32. The best of a row of scores are sought among the best groups of columns: the k
nearest lie in the k groups with the nearest best member, so that few scores are ever ranked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.linalg import vector_norm
from torch.nn.functional import pad

from siamese_core.arrays import blocks
from siamese_core.config import Search
from siamese_core.devices import computes_in_bfloat16
from siamese_core.errors import ConfigError, DataError

# Points of one product, and queries that share the preparation of those points.
_TILE, _QUERIES = 16_384, 8192
# Scores of one product: 8 MB of bfloat16, so that they stay in the cache; a GPU wants fewer and larger calls.
_SCORES, _SCORES_ON_GPU = 1 << 22, 1 << 26
# Columns of a group, and columns that are ranked one by one: _RANKED · _GROUP² is _TILE.
_GROUP, _RANKED = 8, 256
# Points measured beyond the half as many again as would suffice without rounding.
_SPARE = 8
# A pad's score: below all others, and finite in bfloat16.
_NEVER = -3e38

# Pairs up to which `auto` is exact on a CPU: about two minutes on 2 cores at 128 dimensions. Building IVF lists over
# the million points where it begins to pay takes one, and their answers are not all the nearest.
EXACT_PAIRS = 100_000_000_000
logger = logging.getLogger(__name__)
_EXTRA = "pip install 'siamese-pipelines[search]'"


def _uncounted(queries: int) -> None:
    """Count no progress."""


def nearest(
    queries: Tensor, points: Tensor, k: int, advance: Callable[[int], None] = _uncounted
) -> tuple[Tensor, Tensor]:
    """Find the k nearest points of each query, exactly; memory beyond the arguments and the result is bounded.

    Distances are sums of squared differences in float32. Which points are taken is exact up to pairs whose distances
    differ by less than float32 can tell in a product of matrices (about 1e-6 for unit vectors).

    Args:
        queries: (Q, D) float32, on the device of `points`, where all is computed.
        points: (N, D) float32.
        k: Number of points, 1 to N.
        advance: Called with the number of queries done; the calls add up to Q.

    Returns:
        (Q, k) float32 squared L2 distances, ascending, and (Q, k) int64 rows of `points`. Points at equal distance
        come in the order of their rows. Where many are as near as the last, the choice among them is arbitrary, and
        the same each time.

    Raises:
        DataError: There are fewer than k points.
    """
    if not 1 <= k <= len(points):
        raise DataError(f"Cannot find the {k} nearest of {len(points)} points; ask for 1 to {len(points)}.")
    best = torch.empty((len(queries), k), device=points.device)
    ids = torch.empty((len(queries), k), dtype=torch.int64, device=points.device)
    quick = points.device.type == "cpu" and computes_in_bfloat16(points.device)
    with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
        # Distances do not change with the origin, rounding errors do: they are smallest around the mean.
        centre = points.mean(0)
        for rows in blocks(len(queries), _QUERIES):
            x = queries[rows] - centre
            best[rows], ids[rows] = _search(x, points, centre, k, torch.bfloat16 if quick else torch.float32)
            advance(len(x))
    return best, ids


def choose_search(search: Search, queries: int, points: int, device: torch.device) -> Search:
    """Resolve `auto`: exact on a GPU or up to EXACT_PAIRS pairs, else IVF if FAISS is installed.

    Raises:
        ConfigError: The search needs FAISS, which is not installed.
    """
    installed = find_spec("faiss") is not None
    if search in ("flat", "ivf", "hnsw") and not installed:
        raise ConfigError(f"triplets.search {search!r} needs FAISS, which is not installed: {_EXTRA}, or use 'exact'.")
    if search != "auto":
        return search
    if device.type != "cpu" or queries * points <= EXACT_PAIRS:
        return "exact"
    if not installed:
        logger.info(f"Comparing {queries:,} with {points:,} embeddings one by one; {_EXTRA} would be faster.")
        return "exact"
    return "ivf"


def find_nearest(
    queries: Tensor, points: Tensor, k: int, search: Search, advance: Callable[[int], None] = _uncounted
) -> tuple[Tensor, Tensor]:
    """Find the k nearest points by any search but `auto`; the approximate ones may miss some of the nearest.

    A query for which they find fewer than k is searched exactly, so the result is always complete.

    Args:
        queries: (Q, D) float32, on the device of `points`.
        points: (N, D) float32.
        k: Number of points, 1 to N.
        search: See `TripletConfig`. FAISS runs on the CPU, with torch's number of threads.
        advance: Called with the number of queries done; the calls add up to Q.

    Returns:
        As `nearest`.

    Raises:
        DataError: There are fewer than k points.
    """
    if search == "exact" or k > len(points):
        return nearest(queries, points, k, advance)
    index = _index(points, search, k)
    best = torch.empty((len(queries), k), device=points.device)
    ids = torch.empty((len(queries), k), dtype=torch.int64, device=points.device)
    for rows in blocks(len(queries), _TILE):
        distances, columns = map(torch.from_numpy, index.search(queries[rows].cpu().numpy(), k))
        best[rows], ids[rows] = distances.clamp_min(0).to(best), columns.to(ids)
        advance(len(columns))
    missed = ids.lt(0).any(1)  # the lists that were looked through held fewer than k
    if missed.any():
        best[missed], ids[missed] = nearest(queries[missed], points, k)
    return best, ids


def _index(points: Tensor, search: Search, k: int) -> Any:
    """A FAISS index of the points; it holds a copy of them."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    count, dim = points.shape
    index: Any
    if search == "hnsw":
        index = faiss.IndexHNSWFlat(dim, 32)
        index.hnsw.efSearch = max(128, 2 * k)
        # Threads would link the points in another order each time.
        faiss.omp_set_num_threads(1)
    elif search == "ivf":
        lists = max(1, min(int(4 * sqrt(count)), count // 39))  # FAISS wants 39 points a list or more
        index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dim), dim, lists)
        index.cp.max_points_per_centroid = 64
        index.nprobe = 64
    else:
        index = faiss.IndexFlatL2(dim)
    array = points.cpu().numpy()
    index.train(array)
    index.add(array)
    faiss.omp_set_num_threads(torch.get_num_threads())
    return index


def _search(x: Tensor, points: Tensor, centre: Tensor, k: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Find what `nearest` returns for queries less the centre, (B, D), by a screening in `dtype`."""
    candidates, floor = _screen(x, points, centre, min(k + k // 2 + _SPARE, len(points)), dtype)
    best, ids = _measure(x, points, centre, candidates, k)
    if dtype is torch.bfloat16:
        doubtful = (best[:, -1].sqrt() >= floor).nonzero().flatten()
        if len(doubtful):
            best[doubtful], ids[doubtful] = _search(x[doubtful], points, centre, k, torch.float32)
    return best, ids


def _screen(x: Tensor, points: Tensor, centre: Tensor, m: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Find the m best points by scores x·y − ‖y‖²/2 in `dtype`: (B, m) rows, and (B,) how near any other can be."""
    rounded = pad(x.to(dtype), (0, 2), value=1)
    scores = torch.full((len(x), m), -torch.inf, dtype=dtype, device=x.device)
    rows = torch.zeros(scores.shape, dtype=torch.int64, device=x.device)
    moved = longest = x.new_zeros(())
    for first in range(0, len(points), _TILE):
        y = points[first : first + _TILE] - centre
        factors = _factors(y, dtype)
        moved = torch.maximum(moved, vector_norm(y - factors[: len(y), :-2], dim=1).max())
        longest = torch.maximum(longest, vector_norm(y, dim=1).max())
        for block in blocks(len(x), _floats(x.device) // len(factors)):
            best, columns = _best(rounded[block] @ factors.T, m)
            scores[block], order = torch.cat([scores[block], best], 1).topk(m, sorted=False)
            rows[block] = torch.cat([rows[block], columns + first], 1).gather(1, order)
    if m == len(points):
        return rows, torch.full_like(x[:, 0], torch.inf)
    return rows, _floor(x, rounded[:, :-2].float(), scores.amin(1).float(), moved, longest)


def _factors(y: Tensor, dtype: torch.dtype) -> Tensor:
    """Columns whose product with (x, 1, 1) is x·y − ‖y‖²/2, that in two parts, padded to whole groups of groups."""
    rounded = y.to(dtype)
    half = rounded.float().square().sum(1, keepdim=True) / -2
    high = half.to(dtype)
    factors = pad(torch.cat([rounded, high, (half - high).to(dtype)], 1), (0, 0, 0, -len(y) % _GROUP**2))
    factors[len(y) :, -2] = _NEVER
    return factors


def _best(scores: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """The m best of each row of (B, C), or all, in any order: scores and columns, sought in the m best groups."""
    count = scores.shape[1]
    if count <= _RANKED or count % _GROUP:
        return scores.topk(min(m, count), sorted=False)
    width = count // _GROUP
    # Columns of a group lie `width` apart, so that its best is taken along whole vector registers.
    groups = _best(scores.view(-1, _GROUP, width).amax(1), m)[1]
    columns = (groups[:, None] + torch.arange(0, count, width, device=scores.device)[:, None]).flatten(1)
    best, order = scores.gather(1, columns).topk(min(m, columns.shape[1]), sorted=False)
    return best, columns.gather(1, order)


def _floor(x: Tensor, rounded: Tensor, worst: Tensor, moved: Tensor, longest: Tensor) -> Tensor:
    """Bound ‖x − y‖ from below for all y whose score is at most `worst`, (B,).

    Rounding moves x and y, and by the triangle inequality their distance changes by no more than both moves. The
    rest is the standard bound of a product's error (Higham, Accuracy and Stability of Numerical Algorithms, 3.1),
    float32 sums of D + 2 terms, and the rounding of its result.
    """
    terms = x.shape[1] + 2
    sums = (vector_norm(x, dim=1) + longest) ** 2 * (terms * 2.0**-23 + 2.0**-17)
    worst = worst + worst.abs() * torch.finfo(torch.bfloat16).eps / 2 + sums
    squared = (rounded.square().sum(1) - 2 * worst).clamp_min(0)
    floor: Tensor = squared.sqrt() - vector_norm(x - rounded, dim=1) - moved
    return floor


def _measure(x: Tensor, points: Tensor, centre: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the k nearest of each query's candidates, (B, m): (B, k) squared distances and rows."""
    best, ids = torch.empty_like(x[:, :1]).repeat(1, k), candidates[:, :k].clone()
    for block in blocks(len(x), max(1, _floats(x.device) // (candidates.shape[1] * x.shape[1]))):
        rows = candidates[block].sort(1).values
        y = points.index_select(0, rows.flatten()).sub_(centre).view(*rows.shape, -1)
        distances, order = y.sub_(x[block, None]).square_().sum(2).sort(dim=1, stable=True)
        best[block], ids[block] = distances[:, :k], rows.gather(1, order[:, :k])
    return best, ids


def _floats(device: torch.device) -> int:
    return _SCORES if device.type == "cpu" else _SCORES_ON_GPU

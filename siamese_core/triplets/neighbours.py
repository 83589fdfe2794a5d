"""The k nearest embeddings of each of many: exact and blockwise in torch, or approximate with FAISS.

The exact search screens all pairs with one matrix product and looks again, in float32, at the few that can be among
the nearest. Points are screened in groups: the k nearest lie in the k groups with the nearest best member, so only the
best of each group is ever ranked. Where the processor multiplies bfloat16 (twice as fast), the screening is done in it,
and each answer is proved by an error bound; a query whose proof fails is screened again in float32.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib.util import find_spec
from math import ceil, sqrt
from typing import Any

import torch
from torch import Tensor

from siamese_core.config import Search
from siamese_core.devices import computes_in_bfloat16
from siamese_core.errors import ConfigError, DataError

# Queries and points of one product: 8 or 16 MB, so that it stays in the cache until it is screened.
_BLOCK, _TILE = 1024, 4096
# Points whose group maxima are kept at a time: with _BLOCK queries and groups of 8, 32 or 64 MB.
_CHUNK, _GROUP = 1 << 17, 8
# Groups looked at beyond the half as many again as would suffice without rounding.
_SPARE = 8
# Floats gathered at a time when candidates are measured: 8 MB stay in the cache, a GPU wants fewer and larger calls.
_GATHERED, _GATHERED_ON_GPU = 1 << 21, 1 << 25
# A pad's score: below all others, and finite in bfloat16.
_NEVER = -3e38


# Pairs up to which `auto` is exact on a CPU: about two minutes on 2 cores at 128 dimensions. Building IVF lists over
# the million points where it begins to pay takes one, and their answers are not all the nearest.
EXACT_PAIRS = 100_000_000_000
logger = logging.getLogger(__name__)
_EXTRA = "pip install 'siamese-pipelines[search]'"


def _uncounted(queries: int) -> None:
    """Counts no progress."""


def nearest(
    queries: Tensor, points: Tensor, k: int, advance: Callable[[int], None] = _uncounted
) -> tuple[Tensor, Tensor]:
    """The k nearest points of each query, exact; memory beyond the arguments and the result is bounded by a constant.

    Distances are sums of squared differences in float32. Which points are taken is exact up to pairs whose distances
    differ by less than float32 can tell in a product of matrices (about 1e-6 for unit vectors).

    Args:
        queries: (Q, D) float32, on the device of `points`, where all is computed.
        points: (N, D) float32.
        k: How many, 1 to N.
        advance: Called with the number of queries compared with a chunk of the points; `search_units` tells the total.

    Returns:
        (Q, k) float32 squared L2 distances, ascending, and (Q, k) int64 rows of `points`. Points at equal distance
        come in an arbitrary, repeatable order.

    Raises:
        DataError: There are fewer than k points.
    """
    if not 1 <= k <= len(points):
        raise DataError(f"Cannot find the {k} nearest of {len(points)} points; ask for 1 to {len(points)}.")
    best = torch.full((len(queries), k), torch.inf, device=points.device)
    ids = torch.zeros((len(queries), k), dtype=torch.int64, device=points.device)
    with torch.no_grad(), torch.autocast(points.device.type, enabled=False):
        # Distances do not change with the origin, rounding errors do: they are smallest around the mean.
        centre = points.mean(0)
        for first in range(0, len(points), _CHUNK):
            chunk = _Chunk(points[first : first + _CHUNK], centre, first)
            for start in range(0, len(queries), _BLOCK):
                rows = slice(start, start + _BLOCK)
                chunk.improve(queries[rows] - centre, best[rows], ids[rows])
                advance(len(best[rows]))
    return best, ids


def choose_search(search: Search, queries: int, points: int, device: torch.device) -> Search:
    """What `auto` stands for: exact on a GPU or up to EXACT_PAIRS pairs, else IVF where FAISS is installed.

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
    """`nearest` by any search but `auto`; the approximate ones may miss some of the nearest.

    A query for which they find fewer than k is searched exactly, so the result is always complete.

    Args:
        queries: (Q, D) float32, on the device of `points`.
        points: (N, D) float32.
        k: How many, 1 to N.
        search: See `TripletConfig`. FAISS runs on the CPU, with torch's number of threads.
        advance: Called with the number of queries done; the calls add up to `search_units`.

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
    for start in range(0, len(queries), _TILE):
        rows = slice(start, start + _TILE)
        distances, found = map(torch.from_numpy, index.search(queries[rows].cpu().numpy(), k))
        best[rows], ids[rows] = distances.clamp_min(0).to(best), found.to(ids)
        advance(len(found))
    missed = ids.lt(0).any(1)  # the lists that were looked through held fewer than k
    if missed.any():
        best[missed], ids[missed] = nearest(queries[missed], points, k)
    return best, ids


def search_units(queries: int, points: int, search: Search = "exact") -> int:
    """What the calls of `advance` add up to."""
    return queries * (ceil(points / _CHUNK) if search == "exact" else 1)


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


class _Chunk:
    """Up to _CHUNK points, centred and prepared for screening."""

    def __init__(self, points: Tensor, centre: Tensor, first: int) -> None:
        count, dim = points.shape
        self._points = points.new_empty((_GROUP * ceil(count / _GROUP), dim))  # (C, D)
        torch.sub(points, centre, out=self._points[:count])
        self._points[count:] = torch.inf  # pads are never near
        self._groups, self._first, self._count = self._points.view(-1, _GROUP * dim), first, count
        on_cpu = points.device.type == "cpu"
        quick = torch.bfloat16 if on_cpu and computes_in_bfloat16(points.device) else torch.float32
        self._screen = self._make_screen(quick)
        self._careful: _Screen | None = None if quick is torch.bfloat16 else self._screen

    def _make_screen(self, dtype: torch.dtype) -> _Screen:
        return _Screen(self._points[: self._count], dtype)

    def improve(self, queries: Tensor, best: Tensor, ids: Tensor) -> None:
        """Merges the nearest of these points into `best` and `ids`, both (B, k), in place."""
        merged, merged_ids, proven = self._merge(self._screen, queries, best, ids)
        if self._screen is not self._careful and not bool(proven.all()):
            self._careful = self._careful or self._make_screen(torch.float32)
            redo = ~proven
            again = self._merge(self._careful, queries[redo], best[redo], ids[redo])
            merged[redo], merged_ids[redo] = again[:2]
        best.copy_(merged)
        ids.copy_(merged_ids)

    def _merge(self, screen: _Screen, queries: Tensor, best: Tensor, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The nearest of those known and of these points, (B, k) each, and (B,) bool: whether that is proven."""
        groups, floor = screen.groups(queries, best.shape[1])  # (B, m), (B,)
        distances = _group_distances(queries, self._groups, groups)  # (B, m · _GROUP)
        found, order = distances.topk(min(best.shape[1], distances.shape[1]), largest=False)
        rows = groups.gather(1, order // _GROUP) * _GROUP + order % _GROUP + self._first
        merged, order = torch.cat([best, found], 1).topk(best.shape[1], largest=False)
        return merged, torch.cat([ids, rows], 1).gather(1, order), merged[:, -1].sqrt() <= floor


class _Screen:
    """Ranks groups of centred points by −d/2 from one matrix product, in float32 or bfloat16."""

    def __init__(self, points: Tensor, dtype: torch.dtype) -> None:
        count, dim = points.shape
        self._tile, self._dtype = min(_TILE, _GROUP * ceil(count / _GROUP)), dtype
        shape = ceil(count / self._tile), self._tile, dim + 4
        self._tiles = torch.empty(shape, dtype=dtype, device=points.device)
        self._moved = self._longest = points.new_zeros(())
        for number, tile in enumerate(self._tiles):
            self._prepare(points[number * self._tile : (number + 1) * self._tile], tile)

    def _prepare(self, points: Tensor, tile: Tensor) -> None:
        """Fills one tile, (tile, D + 4)."""
        rounded = points.to(self._dtype)
        factors = torch.zeros_like(tile)
        factors[: len(points)] = _factors(rounded, [2, 3, 0, 1])
        factors[len(points) :, points.shape[1]] = _NEVER
        # Row _GROUP · j + i becomes row width · i + j: the members of a group, neighbours in memory where they are
        # gathered, lie `width` columns apart in the scores, where the best is taken along whole vector registers.
        grouped = factors.view(-1, _GROUP, tile.shape[1]).transpose(0, 1)
        tile.view(grouped.shape).copy_(grouped)
        self._moved = torch.maximum(self._moved, _longest(points - rounded))
        self._longest = torch.maximum(self._longest, _longest(points))

    def groups(self, queries: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The groups to look at again, and how near a member of any other can be.

        Args:
            queries: (B, D) centred.
            k: How many are wanted.

        Returns:
            (B, m) groups, the last of which may be incomplete, and (B,) a lower bound of ‖x − y‖ for all others.
        """
        rounded = queries.to(self._dtype)
        maxima = self._group_maxima(_factors(rounded, [0, 1, 2, 3]))  # (B, G)
        # Spare groups make room for rounding; whether they sufficed, the bound tells.
        kept = min(k + k // 2 + _SPARE, maxima.shape[1])
        scores, groups = maxima.topk(kept)
        floor = scores[:, -1].float()
        if kept == maxima.shape[1]:
            floor = torch.full_like(floor, -torch.inf)
        return groups, self._lower_bound(floor, queries, rounded)

    def _group_maxima(self, queries: Tensor) -> Tensor:
        """(B, D + 4) factors to the best score of each group, (B, G)."""
        width = self._tile // _GROUP
        maxima = queries.new_empty((len(queries), len(self._tiles), width))
        scores = queries.new_empty((len(queries), self._tile))
        for number, tile in enumerate(self._tiles):
            torch.mm(queries, tile.T, out=scores)
            torch.amax(scores.view(-1, _GROUP, width), 1, out=maxima[:, number])
        return maxima.flatten(1)

    def _lower_bound(self, floor: Tensor, queries: Tensor, rounded: Tensor) -> Tensor:
        """A bound of ‖x − y‖ for points y whose score is at most `floor`, (B,).

        Rounding moves x and y, and by the triangle inequality their distance changes by no more than both moves. The
        rest is the standard bound of a product's error (Higham, Accuracy and Stability of Numerical Algorithms, 3.1),
        float32 sums of D + 4 terms, and the rounding of its result.
        """
        terms = self._tiles.shape[2]
        sums = (torch.linalg.vector_norm(queries, dim=1) + self._longest) ** 2 * (terms * 2.0**-23 + 2.0**-17)
        rounding = 1 - torch.finfo(self._dtype).eps / 2
        squared: Tensor = (-2 * (floor * rounding + sums)).clamp_min(0)
        moved: Tensor = torch.linalg.vector_norm(queries - rounded, dim=1) + self._moved
        return squared.sqrt() - moved


def _factors(rounded: Tensor, order: list[int]) -> Tensor:
    """Columns that make a product of two such matrices −‖x − y‖² / 2: x, then 1, 1 and −‖x‖² / 2 in two parts."""
    half = rounded.float().square().sum(1, keepdim=True) / -2  # (N, 1)
    high = half.to(rounded.dtype)
    low = (half - high).to(rounded.dtype)
    extra = torch.cat([torch.ones_like(high), torch.ones_like(high), high, low], 1)
    return torch.cat([rounded, extra[:, order]], 1)


def _longest(vectors: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=1)
    return lengths.max()


def _group_distances(queries: Tensor, points: Tensor, groups: Tensor) -> Tensor:
    """Squared distances of each query to the members of its own groups, (B, m · _GROUP) float32.

    Args:
        queries: (B, D).
        points: (G, _GROUP · D), a group a row.
        groups: (B, m).
    """
    dim = queries.shape[1]
    most = _GATHERED if points.device.type == "cpu" else _GATHERED_ON_GPU
    step = max(1, most // (groups.shape[1] * points.shape[1]))
    distances = torch.empty((len(queries), groups.shape[1] * _GROUP), device=points.device)
    for start in range(0, len(queries), step):
        some = slice(start, start + step)
        gathered = points.index_select(0, groups[some].flatten()).view(len(groups[some]), -1, dim)
        torch.sum(gathered.sub_(queries[some, None]).square_(), 2, out=distances[some])
    return distances

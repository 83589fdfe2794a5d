"""Claim: exact search of 10 neighbours is not slower than FAISS's flat index. `python -m benchmarks.search [N ...]`.

N unit vectors of 128 dimensions (10,000, 30,000 and 100,000 if not given), ten around each of N / 10 centres, shuffled;
at most 10,000 of them are queries. Ours and the flat index take turns in one process for the ratio; each search has a
process of its own for its peak memory, beyond the points. Times include building the index; recall is against the exact
answer. Threads: OMP_NUM_THREADS, 2 if not set; they sleep while they wait, because on a busy machine spinning ones
take the processor from those they wait for. Needs `pip install -e '.[search]'`.
"""

import multiprocessing
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # read when the libraries are loaded

import faiss  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from siamese_core.devices import computes_in_bfloat16  # noqa: E402
from siamese_core.search import find_nearest, nearest  # noqa: E402

_DIM, _K, _MOST_QUERIES, _REPEATS = 128, 10, 10_000, 3
_THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))


def make_points(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    points = np.repeat(rng.standard_normal((-(-count // 10), _DIM), np.float32), 10, 0)[:count]
    points += 0.4 * rng.standard_normal(points.shape, np.float32)
    return rng.permutation(points / np.linalg.norm(points, axis=1, keepdims=True))


def flat(points: np.ndarray, queries: int) -> Any:
    index = faiss.IndexFlatL2(_DIM)
    index.add(points)
    return index.search(points[:queries], _K)


def ours(points: np.ndarray, queries: int) -> Any:
    return nearest(torch.from_numpy(points[:queries]), torch.from_numpy(points), _K)


def approximate(search: Any) -> Any:
    def run(points: np.ndarray, queries: int) -> Any:
        return find_nearest(torch.from_numpy(points[:queries]), torch.from_numpy(points), _K, search)

    return run


SEARCHES = {"ours": ours, "flat": flat, "ivf": approximate("ivf"), "hnsw": approximate("hnsw")}


def seconds(name: str, points: np.ndarray, queries: int) -> float:
    start = time.perf_counter()
    SEARCHES[name](points, queries)
    return time.perf_counter() - start


def peak(name: str, count: int) -> float:
    """Megabytes that a search adds to the peak of a process that holds the points."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (name, count))


def _grown(name: str, count: int) -> float:
    set_threads()
    points = make_points(count)
    SEARCHES[name](points[:2000], 100)
    before = high_water()
    SEARCHES[name](points, min(count, _MOST_QUERIES))
    return high_water() - before


def high_water() -> float:
    """Peak megabytes of this process alone; the rusage of a child starts with its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def recall(name: str, points: np.ndarray) -> float:
    exact, found = (np.asarray(SEARCHES[which](points, 1000)[1]) for which in ("ours", name))
    return float((found[:, :, None] == exact[:, None, :]).any(2).mean())


def set_threads() -> None:
    torch.set_num_threads(_THREADS)
    faiss.omp_set_num_threads(_THREADS)


def main(counts: list[int]) -> None:
    """Measures each size; prints a line for each, and how the time of a query grows."""
    set_threads()
    precision = "bfloat16" if computes_in_bfloat16(torch.device("cpu")) else "float32"
    print(f"k {_K}, {_DIM} dimensions, {_THREADS} threads, screened in {precision}, faiss {faiss.__version__}")
    per_query = []
    for count in counts:
        points, queries = make_points(count), min(count, _MOST_QUERIES)
        turns = [(seconds("ours", points, queries), seconds("flat", points, queries)) for _ in range(_REPEATS + 1)][1:]
        mine, peers = (statistics.median(side) for side in zip(*turns, strict=True))
        ratio = statistics.median(peer / own for own, peer in turns)
        per_query.append(mine / queries)
        print(
            f"{queries:,} of {count:,}: ours {mine:.2f} s, flat {peers:.2f} s, ratio {ratio:.2f}; "
            f"peak +{peak('ours', count):,.0f} MB, flat +{peak('flat', count):,.0f} MB"
        )
        for name in ("ivf", "hnsw"):
            taken = seconds(name, points, queries)
            print(f"  {name} {taken:.2f} s, recall {recall(name, points):.3f}, peak +{peak(name, count):,.0f} MB")
    for pair in zip(counts, counts[1:], per_query, per_query[1:], strict=False):
        few, many, before, after = pair
        growth = np.log(after / before) / np.log(many / few)
        print(f"all against all, {few:,} to {many:,}: time grows with exponent {1 + growth:.2f}")


if __name__ == "__main__":
    main([int(count) for count in sys.argv[1:]] or [10_000, 30_000, 100_000])

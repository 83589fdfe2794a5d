import importlib.util
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import siamese_core.triplets.neighbours
from siamese_core.config import TripletConfig
from siamese_core.errors import ConfigError, DataError
from siamese_core.triplets.neighbours import choose_search, find_nearest, nearest

CPU = torch.device("cpu")
needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="needs the extra 'search'")


@pytest.fixture(params=["float32", "as the processor likes"])
def precision(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "float32":
        monkeypatch.setattr(siamese_core.triplets.neighbours, "computes_in_bfloat16", lambda _: False)


def reference(queries: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """All squared distances in float64, (Q, N)."""
    y = points.double()
    return torch.stack([((row - y) ** 2).sum(1) for row in queries.double()])


def check(queries: torch.Tensor, points: torch.Tensor, k: int, tolerance: float = 2e-6) -> None:
    distances, ids = nearest(queries, points, k)
    exact = reference(queries, points)
    expected = exact.sort(1).values[:, :k]
    assert distances.shape == ids.shape == (len(queries), k)
    torch.testing.assert_close(distances.double(), expected, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(exact.gather(1, ids), expected, rtol=tolerance, atol=tolerance)
    assert all(len(set(row)) == k for row in ids.tolist())


def unit(rows: int, dim: int, seed: int = 0) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn((rows, dim), generator=torch.Generator().manual_seed(seed)))


def identities(count: int, each: int, dim: int, spread: float) -> torch.Tensor:
    """Unit vectors around `count` centres, shuffled."""
    random = torch.Generator().manual_seed(3)
    points = unit(count, dim).repeat(each, 1) + spread * torch.randn((count * each, dim), generator=random) / dim**0.5
    return torch.nn.functional.normalize(points)[torch.randperm(len(points), generator=random)]


@pytest.mark.parametrize(("queries", "points", "dim", "k"), [(20, 9_000, 128, 10), (600, 4_097, 3, 64), (1, 1, 1, 1)])
@pytest.mark.usefixtures("precision")
def test_the_nearest_are_those_of_all_pairs_in_float64(queries: int, points: int, dim: int, k: int) -> None:
    check(unit(queries, dim, 1), unit(points, dim), k)


@pytest.mark.usefixtures("precision")
@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(1, 60), st.integers(1, 6), st.data())
def test_any_size_and_any_k(queries: int, points: int, dim: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(1, points))
    check(unit(queries, dim, 1), unit(points, dim), k)


@pytest.mark.usefixtures("precision")
def test_points_are_merged_across_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"_TILE": 128, "_QUERIES": 16, "_SCORES": 1024, "_RANKED": 8}.items():
        monkeypatch.setattr(siamese_core.triplets.neighbours, name, value)
    done: list[int] = []
    points = identities(300, 6, 16, 0.5)
    # Each tile is nearer to the first query than the one before: every tile displaces the last one's.
    order = points @ points[0]
    check(points[:40], points[order.argsort()], 5)
    nearest(points[:40], points, 5, done.append)
    assert sum(done) == 40


@pytest.mark.usefixtures("precision")
@pytest.mark.parametrize("spread", [1e-3, 1e-1])
def test_nearly_equal_embeddings_are_still_told_apart(spread: float) -> None:
    points = torch.nn.functional.normalize(unit(1, 32) + spread * unit(3_000, 32, 1))
    tolerance = 1e-5 * spread**2  # distances are of the order of spread², far below bfloat16's resolution of 1
    distances, ids = nearest(points[:50], points, 8)
    exact = reference(points[:50], points)
    torch.testing.assert_close(exact.gather(1, ids), exact.sort(1).values[:, :8], rtol=0, atol=tolerance)
    torch.testing.assert_close(distances.double(), exact.gather(1, ids), rtol=1e-5, atol=tolerance)


@pytest.mark.usefixtures("precision")
def test_what_rounding_hides_is_found_by_the_second_screening() -> None:
    # All points at one distance from the query, but for differences that bfloat16 cannot show.
    order = torch.randperm(4_000, generator=torch.Generator().manual_seed(5))[:, None]
    check(torch.zeros(1, 64), unit(4_000, 64) * (1 + 1e-3 * order / 4_000), 10, tolerance=1e-6)


@pytest.mark.usefixtures("precision")
def test_duplicates_come_all_and_each_once() -> None:
    points = unit(50, 8).repeat(40, 1)
    distances, ids = nearest(points[:50], points, 40)
    assert distances.max() < 1e-12
    for query, row in enumerate(ids.sort(1).values.tolist()):
        assert row == list(range(query, 2000, 50))


def test_a_rotation_and_a_shift_change_nothing() -> None:
    points = identities(200, 5, 16, 0.6).double()
    rotation = torch.linalg.qr(torch.randn((16, 16), generator=torch.Generator().manual_seed(2)).double()).Q
    plain, moved = (nearest(x.float(), x.float(), 6) for x in (points, points @ rotation + 3))
    torch.testing.assert_close(plain[0], moved[0], rtol=1e-4, atol=2e-5)
    assert (plain[1] == moved[1]).float().mean() > 0.999


def test_the_same_again_gives_the_same_bits() -> None:
    points = identities(300, 4, 16, 0.6)
    first, again = (nearest(points, points, 7) for _ in range(2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])


@pytest.mark.parametrize("k", [0, 6])
def test_too_few_points_are_named(k: int) -> None:
    with pytest.raises(DataError, match="of 5 points; ask for 1 to 5"):
        nearest(unit(2, 3), unit(5, 3), k)


_PEAK = """
import re, torch
from siamese_core.triplets.neighbours import nearest

def peak():  # of this program alone; the rusage of a child starts with its parent's
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024

torch.set_num_threads(1)
points = torch.randn({points}, 16)
nearest(points[:1], points[:5000], 10)
before = peak()
nearest(points[:600], points, 10)
print(peak() - before)
"""


def peak(points: int) -> float:
    """Megabytes that a search adds to a process's peak."""
    command = [sys.executable, "-c", _PEAK.format(points=points)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_points() -> None:
    # One matrix of all distances would take 600 · 400,000 · 4 bytes = 960 MB.
    assert peak(400_000) < 300


def test_auto_is_exact_up_to_the_measured_size_and_on_a_gpu() -> None:
    assert choose_search("auto", 20_000, 5_000_000, CPU) == "exact"
    assert choose_search("auto", 10**7, 10**7, torch.device("cuda")) == "exact"
    assert choose_search("exact", 10**7, 10**7, CPU) == "exact"


def test_without_faiss_auto_stays_exact_and_says_what_would_be_faster(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(siamese_core.triplets.neighbours, "find_spec", lambda _: None)
    assert choose_search("auto", 10**6, 10**6, CPU) == "exact"
    assert "pip install 'siamese-pipelines[search]'" in caplog.text
    with pytest.raises(ConfigError, match=r"'ivf' needs FAISS.*pip install 'siamese-pipelines\[search\]'"):
        choose_search("ivf", 10, 10, CPU)


def test_an_unknown_search_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"triplets\.search is 'fast'"):
        TripletConfig(search="fast")  # type: ignore[arg-type]


@needs_faiss
@pytest.mark.parametrize(("search", "least"), [("flat", 0.999), ("ivf", 0.9), ("hnsw", 0.9)])
def test_approximate_search_finds_most_of_the_nearest_and_the_same_each_time(search: str, least: float) -> None:
    points = identities(600, 10, 32, 0.6)
    assert choose_search(search, 1, 1, CPU) == search  # type: ignore[arg-type]
    exact = nearest(points[:500], points, 20)
    found, again = (find_nearest(points[:500], points, 20, search) for _ in range(2))  # type: ignore[arg-type]
    recall = (found[1][:, :, None] == exact[1][:, None, :]).any(2).float().mean()
    assert least <= recall <= 1
    assert (found[0] >= exact[0] - 1e-5).all()
    assert torch.equal(found[1], again[1])


@needs_faiss
@pytest.mark.parametrize("search", ["flat", "ivf", "hnsw"])
@pytest.mark.parametrize(("rows", "k"), [(1, 1), (5, 5), (300, 299)])
def test_approximate_search_of_few_points_is_complete(search: str, rows: int, k: int) -> None:
    points = unit(rows, 4)
    distances, ids = find_nearest(points, points, k, search)  # type: ignore[arg-type]
    assert all(len(set(row)) == k and min(row) >= 0 for row in ids.tolist())
    assert (distances[:, 0] < 1e-6).all()


@needs_faiss
def test_auto_takes_the_lists_beyond_the_measured_size() -> None:
    assert choose_search("auto", 10**6, 10**6, CPU) == "ivf"

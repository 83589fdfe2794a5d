import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from siamese_core.config import EncoderConfig, SplitConfig, TripletConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import make_split
from siamese_core.data.store import ImageStore
from siamese_core.network.encoders import make_encoder
from siamese_core.triplets.offline import Triplets, build_triplets, choose_triplets, neighbour_graph

needs_faiss = pytest.mark.skipif(importlib.util.find_spec("faiss") is None, reason="needs the extra 'search'")


@pytest.fixture
def points(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    labels = np.repeat(np.arange(8), [1, 2, 3, 4, 5, 5, 5, 5])
    centres = rng.normal(size=(8, 6))
    points = centres[labels] + rng.normal(size=(30, 6))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


def test_the_negative_is_the_nearest_beyond_the_positive(points: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, labels = points
    table = choose_triplets(embeddings, labels, 0.2, TripletConfig(max_triplets=10_000), seed=0)
    squared = ((embeddings[:, None] - embeddings[None]) ** 2).sum(-1)
    for row in table.itertuples():
        assert labels[row.anchor] == labels[row.positive] != labels[row.negative]
        assert row.anchor != row.positive
        negatives = squared[row.anchor][labels != labels[row.anchor]]
        beyond = negatives[negatives > row.d_positive]
        expected = beyond.min() if len(beyond) else negatives.max()
        assert row.d_negative == pytest.approx(expected, abs=1e-5)
        gap = row.d_negative - row.d_positive
        assert row.kind == ("hard" if gap <= 0 else "semi-hard" if gap < 0.2 else "easy")


def test_without_a_cap_every_ordered_positive_pair_comes_once(points: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, labels = points
    table = choose_triplets(embeddings, labels, 0.2, TripletConfig(max_triplets=10_000), seed=0)
    sizes = np.bincount(labels)
    assert len(table) == (sizes * (sizes - 1)).sum()
    assert not table.duplicated(["anchor", "positive"]).any()


def test_the_cap_is_kept_and_the_seed_decides(points: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, labels = points
    first, again, other = (
        choose_triplets(embeddings, labels, 0.2, TripletConfig(max_triplets=20), seed) for seed in (0, 0, 1)
    )
    assert len(first) == 20
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_only_singletons_give_an_empty_table() -> None:
    table = choose_triplets(np.eye(4, dtype=np.float32), np.arange(4), 0.2, TripletConfig(), seed=0)
    assert table.empty
    assert {"anchor", "positive", "negative", "d_positive", "d_negative", "kind"} == set(table.columns)


def test_one_identity_has_no_negatives_and_so_no_triplets() -> None:
    table = choose_triplets(np.eye(4, dtype=np.float32), np.zeros(4, np.int64), 0.2, TripletConfig(), seed=0)
    assert table.empty


@needs_faiss
@pytest.mark.parametrize(("search", "least"), [("flat", 1.0), ("ivf", 0.9), ("hnsw", 0.9)])
@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_approximate_search_chooses_nearly_the_same_negatives(
    rng: np.random.Generator, search: str, least: float, spread: float
) -> None:
    # At spread 1 positives are about as far as negatives: for many anchors none of the nearest lies beyond.
    labels = np.repeat(np.arange(500), 6)
    points = rng.normal(size=(500, 16))[labels] + spread * rng.normal(size=(3000, 16))
    embeddings = (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)
    configs = TripletConfig(2000, search="exact"), TripletConfig(2000, search=search)  # type: ignore[arg-type]
    exact, found = (choose_triplets(embeddings, labels, 0.2, config, seed=0) for config in configs)
    pd.testing.assert_frame_equal(
        exact[["anchor", "positive", "d_positive"]], found[["anchor", "positive", "d_positive"]]
    )
    # Distances, and not rows, because two negatives may be equally near to the last bit.
    assert np.isclose(exact["d_negative"], found["d_negative"], rtol=0, atol=2e-6).mean() >= least
    assert (labels[found["negative"]] != labels[found["anchor"]]).all()


@needs_faiss
@pytest.mark.parametrize("search", ["flat", "ivf", "hnsw"])
def test_approximate_search_works_on_few_images(points: tuple[np.ndarray, np.ndarray], search: str) -> None:
    embeddings, labels = points
    configs = TripletConfig(10_000, 3, "exact"), TripletConfig(10_000, 3, search)  # type: ignore[arg-type]
    exact, found = (choose_triplets(embeddings, labels, 0.2, config, seed=0) for config in configs)
    pd.testing.assert_frame_equal(exact, found)
    names = [f"id{i}" for i in range(8)]
    exact, found = (neighbour_graph(embeddings, labels, names, config) for config in configs)
    pd.testing.assert_frame_equal(exact, found, atol=1e-5)


_PEAK = """
import re, numpy as np
from siamese_core.config import TripletConfig
from siamese_core.triplets.offline import choose_triplets

def peak():  # of this program alone; the rusage of a child starts with its parent's
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024

embeddings, labels = np.random.default_rng(0).normal(size=(400_000, 16)).astype(np.float32), np.arange(400_000) // 4
config = TripletConfig(max_triplets=600)
choose_triplets(embeddings[:5000], labels[:5000], 0.2, config, 0)
before = peak()
choose_triplets(embeddings, labels, 0.2, config, 0)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_anchors_times_images() -> None:
    result = subprocess.run([sys.executable, "-c", _PEAK], capture_output=True, text=True, check=True)
    # One row of distances for each anchor of a block would take 512 · 400,000 · 4 bytes = 820 MB.
    assert float(result.stdout.splitlines()[-1]) < 400


def test_identities_with_one_mean_do_not_neighbour_themselves() -> None:
    labels = np.arange(30)
    embeddings = np.tile(np.eye(3, dtype=np.float32), (10, 1))
    graph = neighbour_graph(embeddings, labels, [str(i) for i in range(30)], TripletConfig(neighbours=5))
    assert (graph["identity"] != graph["neighbour"]).all()
    assert (graph["distance"] == 0).all()


def test_a_single_identity_has_no_neighbours() -> None:
    graph = neighbour_graph(np.eye(2, dtype=np.float32), np.zeros(2, np.int64), ["a"], TripletConfig())
    assert graph.empty


def test_the_graph_lists_the_nearest_identities(points: tuple[np.ndarray, np.ndarray]) -> None:
    embeddings, labels = points
    names = [f"id{i}" for i in range(8)]
    graph = neighbour_graph(embeddings, labels, names, TripletConfig(neighbours=3))
    means = np.stack([embeddings[labels == i].mean(0) for i in range(8)])
    squared = ((means[:, None] - means[None]) ** 2).sum(-1)
    np.fill_diagonal(squared, np.inf)
    for i, name in enumerate(names):
        listed = graph[graph["identity"] == name].sort_values("rank")
        expected = [names[j] for j in np.argsort(squared[i])[:3]]
        assert listed["neighbour"].tolist() == expected


def test_the_artifact_names_rows_of_the_store_and_round_trips(
    ingested: tuple[Manifest, ImageStore], tmp_path: Path
) -> None:
    manifest, store = ingested
    data = Dataset(manifest, store, make_split(manifest, SplitConfig(salt="a")))
    encoder = make_encoder(EncoderConfig(width=4, embedding_dim=8), 1, seed=0)
    made = build_triplets(encoder, data, TripletConfig(max_triplets=50), 0.2, seed=0)
    train_rows = set(data.part("train").rows)
    assert set(made.table[["anchor", "positive", "negative"]].to_numpy().ravel()) <= train_rows
    made.save(tmp_path)
    again = Triplets.load(tmp_path)
    pd.testing.assert_frame_equal(made.table, again.table)
    pd.testing.assert_frame_equal(made.graph, again.graph)
    assert again.picture.startswith(b"\x89PNG")
    assert again.summary()["triplets"] == 50

import numpy as np
import pandas as pd
import pytest

from siamese_core.config import EncoderConfig, SplitConfig, TripletConfig
from siamese_core.encoders import make_encoder
from siamese_core.manifest import Manifest
from siamese_core.split import make_split
from siamese_core.store import ImageStore
from siamese_core.triplets import Triplets, build_triplets, choose_triplets, neighbour_graph


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
    ingested: tuple[Manifest, ImageStore], tmp_path: object
) -> None:
    from pathlib import Path

    manifest, store = ingested
    split = make_split(manifest, SplitConfig(salt="a"))
    encoder = make_encoder(EncoderConfig(width=4, embedding_dim=8), 1, seed=0)
    made = build_triplets(encoder, manifest, store, split, TripletConfig(max_triplets=50), 0.2, seed=0)
    train_rows = set(split.rows(manifest, "train"))
    assert set(made.table[["anchor", "positive", "negative"]].to_numpy().ravel()) <= train_rows
    folder = Path(str(tmp_path))
    made.save(folder)
    again = Triplets.load(folder)
    pd.testing.assert_frame_equal(made.table, again.table)
    pd.testing.assert_frame_equal(made.graph, again.graph)
    assert again.picture.startswith(b"\x89PNG")
    assert again.summary()["triplets"] == 50

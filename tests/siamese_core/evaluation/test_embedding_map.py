"""The embedding map: which images, the same bits each time, neighbours that stay neighbours."""

import numpy as np
import pytest

from siamese_core.evaluation.embedding_map import embedding_map
from siamese_core.evaluation.results import EmbeddingMap


def clouds(identities: int, images: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(identities), images))
    x = rng.normal(size=(identities, 16))[labels] + 0.05 * rng.normal(size=(len(labels), 16))
    return x.astype(np.float32), labels


def made(identities: int, images: int, seed: int = 0) -> tuple[EmbeddingMap, np.ndarray]:
    x, labels = clouds(identities, images)
    return embedding_map(x, np.arange(len(x)) + 1000, labels, seed), labels


def test_neighbours_stay_neighbours_and_bits_stay_bits() -> None:
    found, labels = made(12, 8)
    assert found == made(12, 8)[0]
    assert found.method == "t-SNE of 96 images of the 12 identities with most test images, at most 12 of each"
    place = np.stack([found.x, found.y], axis=1)
    assert np.abs(place).max() == pytest.approx(1)
    squared = ((place[:, None] - place[None]) ** 2).sum(-1) + 9 * np.eye(len(place))
    identity = labels[np.array(found.rows) - 1000]
    assert (identity[squared.argmin(axis=1)] == identity).mean() > 0.95


def test_the_identities_with_most_images_are_shown_and_few_images_of_each() -> None:
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(35), 20), np.arange(35, 90)])
    found = embedding_map(rng.normal(size=(len(labels), 8)), np.arange(len(labels)), labels, 0)
    sizes = np.bincount(labels[found.rows])
    assert sizes.max() == 12
    assert (sizes > 0).sum() == 30
    assert len(sizes) <= 35
    assert found.rows == sorted(set(found.rows))


@pytest.mark.parametrize(("identities", "images"), [(1, 1), (2, 1), (4, 3)])
def test_few_images_are_placed_by_principal_components(identities: int, images: int) -> None:
    found, _ = made(identities, images)
    assert found.method.startswith("Principal components of ")
    assert len(found.x) == len(found.y) == len(found.rows) == identities * images
    assert np.isfinite([*found.x, *found.y]).all()


def test_equal_embeddings_lie_on_one_spot() -> None:
    found = embedding_map(np.ones((40, 8), np.float32), np.arange(40), np.repeat(np.arange(4), 10), 0)
    assert np.isfinite([*found.x, *found.y]).all()

"""Pixels and principal components, against NumPy."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from siamese_core.data.dataset import Dataset
from siamese_core.data.split import Split
from siamese_core.evaluation.baselines import _components, _parts, pixel_vectors, principal_components


def test_pixel_vectors_ignore_light_and_are_bounded() -> None:
    images = np.random.default_rng(0).integers(0, 100, (5, 70, 70, 3), dtype=np.uint8)
    vectors = pixel_vectors(np.concatenate([images, images + 100]), np.arange(10))
    assert vectors.shape == (10, 35 * 35)
    np.testing.assert_allclose(vectors[:5], vectors[5:], atol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (pixel_vectors(np.full((1, 16, 16, 1), 7, np.uint8), np.arange(1)) == 0).all()


@pytest.mark.parametrize("images", [20, 200])
def test_components_are_numpys_singular_vectors(images: int) -> None:
    """With fewer images than components, and with more."""
    x = np.random.default_rng(0).normal(size=(images, 90)).astype(np.float32) * np.geomspace(1, 0.1, 90)
    mean, axes, deviation = _components(x.astype(np.float32))
    _, scale, expected = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    count = min(64, images - 1)
    np.testing.assert_allclose(mean, x.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(deviation[::-1][:count], scale[:count] / np.sqrt(images), rtol=1e-3)
    agreement = np.abs((axes.T[::-1][:count] * expected[:count]).sum(axis=1))  # the sign is chance
    np.testing.assert_allclose(agreement, 1, atol=1e-2)


def test_images_without_any_difference_do_no_harm() -> None:
    _, axes, deviation = _components(np.ones((5, 9), np.float32))
    assert np.isfinite(axes / deviation).all()


def test_the_result_is_seeded_and_reads_no_other_images(dataset: Dataset) -> None:
    train, pixels, rows = dataset.part("train"), dataset.store.images, dataset.part("test").rows
    vectors = principal_components(train, 0)(pixels, rows)
    assert vectors.shape == (len(rows), 64)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    spoilt = np.array(pixels)
    spoilt[np.concatenate([rows, dataset.part("calibration").rows])] = 7
    np.testing.assert_array_equal(principal_components(replace(train, pixels=spoilt), 0)(pixels, rows), vectors)
    assert (principal_components(train, 1)(pixels, rows) != vectors).any()


def test_components_and_choice_come_from_different_identities(dataset: Dataset) -> None:
    fit, others = _parts(dataset.part("train"), np.random.default_rng(0))
    assert not set(fit.names) & set(others.names)
    assert set(fit.names) | set(others.names) <= set(dataset.split.identities("train"))
    assert others.labels.max() + 1 == len(others.names)


def test_two_train_identities_are_enough(dataset: Dataset) -> None:
    names = sorted(set(dataset.manifest.ok["identity"]))
    table = pd.DataFrame({"identity": names, "split": ["train"] * 2 + ["test"] * (len(names) - 2)})
    two = replace(dataset, split=Split(table)).part("train")
    assert np.isfinite(principal_components(two, 0)(dataset.store.images, np.arange(50))).all()

"""Pixels and principal components, against NumPy."""

import numpy as np
import pandas as pd
import pytest

from siamese_core.config import SplitConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split, make_split
from siamese_core.data.store import ImageStore
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
    known = min(64, images - 1)
    np.testing.assert_allclose(mean, x.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(deviation[::-1][:known], scale[:known] / np.sqrt(images), rtol=1e-3)
    agreement = np.abs((axes.T[::-1][:known] * expected[:known]).sum(axis=1))  # the sign is chance
    np.testing.assert_allclose(agreement, 1, atol=1e-2)


def test_images_without_any_difference_do_no_harm() -> None:
    _, axes, deviation = _components(np.ones((5, 9), np.float32))
    assert np.isfinite(axes / deviation).all()


def test_only_train_identities_count_and_the_result_is_seeded(ingested: tuple[Manifest, ImageStore]) -> None:
    manifest, store = ingested
    split = make_split(manifest, SplitConfig(salt="a"))
    rows = split.rows(manifest, "test")
    found = principal_components(manifest, store, split, 0)(store.images, rows)
    assert found.shape == (len(rows), 64)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    spoilt = np.array(store.images)
    spoilt[np.concatenate([rows, split.rows(manifest, "calibration")])] = 7
    other = ImageStore(spoilt, store.config, store.folder)
    np.testing.assert_array_equal(principal_components(manifest, other, split, 0)(store.images, rows), found)
    assert (principal_components(manifest, store, split, 1)(store.images, rows) != found).any()


def test_components_and_choice_come_from_different_identities(ingested: tuple[Manifest, ImageStore]) -> None:
    manifest = ingested[0]
    split = make_split(manifest, SplitConfig(salt="a"))
    fit, held_out, labels = _parts(manifest, split, np.random.default_rng(0))
    names = manifest.ok["identity"]
    assert not set(names[fit]) & set(names[held_out])
    assert set(names[fit]) | set(names[held_out]) <= set(split.identities("train"))
    assert len(labels) == len(held_out)


def test_two_train_identities_are_enough(ingested: tuple[Manifest, ImageStore]) -> None:
    manifest, store = ingested
    names = sorted(set(manifest.ok["identity"]))
    table = pd.DataFrame({"identity": names, "split": ["train"] * 2 + ["test"] * (len(names) - 2)})
    found = principal_components(manifest, store, Split(table), 0)(store.images, np.arange(50))
    assert np.isfinite(found).all()

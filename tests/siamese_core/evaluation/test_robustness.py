"""Robustness curves: no change is the plain result, everything is seeded, and changes are what they are called."""

import numpy as np
import numpy.typing as npt
import pytest

from siamese_core.arrays import Indices, Pixels, labels_of
from siamese_core.data.manifest import Manifest
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.baselines import pixel_vectors
from siamese_core.evaluation.results import RobustnessCurve
from siamese_core.evaluation.robustness import CHANGES, robustness_curves
from siamese_core.metrics.pairs import Pairs, make_pairs, pair_distances
from siamese_core.metrics.rates import fmr_at, fnmr_at

Case = tuple[Pixels, Indices, Pairs, float]


@pytest.fixture(scope="module")
def case(ingested: tuple[Manifest, ImageStore]) -> Case:
    """Ten characters, compared by their pixels."""
    manifest, store = ingested
    names = sorted(set(manifest.ok["identity"]))[10:20]
    rows = np.flatnonzero(manifest.ok["identity"].isin(names))
    labels, _ = labels_of(manifest.ok["identity"].iloc[rows].tolist())
    pairs = make_pairs(labels, 10**6, 10**6, 0)
    impostor = pair_distances(pixel_vectors(store.images, rows), pairs).impostor
    return store.images, rows, pairs, float(np.quantile(impostor, 0.1))


def curves(case: Case, most_images: int = 30, seed: int = 0) -> dict[str, RobustnessCurve]:
    images, rows, pairs, threshold = case
    embeddings = pixel_vectors(images, rows)
    found = robustness_curves(pixel_vectors, images, rows, embeddings, pairs, threshold, seed, most_images)
    return {curve.change: curve for curve in found}


def test_no_change_is_exactly_the_plain_result(case: Case) -> None:
    images, rows, pairs, threshold = case
    distances = pair_distances(pixel_vectors(images, rows), pairs)
    for curve in curves(case, most_images=1000).values():
        assert curve.levels[0] == 0
        assert curve.fnmr[0] == fnmr_at(distances.genuine, threshold)
        assert curve.fmr[0] == fmr_at(distances.impostor, threshold)


def test_the_rates_are_those_of_a_loop_over_the_pairs(case: Case) -> None:
    """All images are turned, and each is compared with the others as they are, whichever comes first in a pair."""
    images, rows, pairs, threshold = case
    levels, turn = next(entry[2:] for entry in CHANGES if entry[0] == "rotation")
    turned = turn(np.asarray(images[rows]), levels[0], np.random.default_rng(0))
    plain, changed = pixel_vectors(images, rows), pixel_vectors(turned, np.arange(len(turned)))

    def distances(listed: Indices) -> npt.NDArray[np.float64]:
        both_ways = [(a, b) for i, j in listed for a, b in ((i, j), (j, i))]
        return np.array([((plain[a] - changed[b]) ** 2).sum() for a, b in both_ways])

    found = curves(case, most_images=1000)["rotation"]
    assert found.fnmr[1] == pytest.approx((distances(pairs.genuine) >= threshold).mean(), abs=1e-4)
    assert found.fmr[1] == pytest.approx((distances(pairs.impostor) < threshold).mean(), abs=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(case: Case) -> None:
    assert curves(case) == curves(case)
    assert curves(case)["noise"] != curves(case, seed=1)["noise"]


def test_strong_changes_do_harm(case: Case) -> None:
    found = curves(case, most_images=1000)
    assert list(found) == ["blur", "noise", "JPEG", "occlusion", "brightness", "rotation"]
    for name in ("noise", "occlusion", "rotation"):  # blurred pixels are nearer to all others
        assert found[name].fnmr[-1] > found[name].fnmr[0] + 0.05, name
    for curve in found.values():
        assert len(curve.fnmr) == len(curve.fmr) == len(curve.levels)
        assert sorted(curve.levels) == curve.levels


def test_a_sample_of_impostor_pairs_that_misses_the_images_still_gives_rates(case: Case) -> None:
    images, rows, pairs, threshold = case
    few = Pairs(pairs.genuine[:1], pairs.impostor[-3:], pairs.labels, len(pairs.genuine), len(pairs.impostor))
    embeddings = pixel_vectors(images, rows)
    for curve in robustness_curves(pixel_vectors, images, rows, embeddings, few, threshold, 0, 1):
        assert all(0 <= rate <= 1 for rate in (*curve.fmr, *curve.fnmr))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [name for name, *_ in CHANGES])
def test_changes_keep_the_shape_and_grow_with_the_level(name: str, channels: int) -> None:
    levels, change = next(entry[2:] for entry in CHANGES if entry[0] == name)
    x = np.linspace(0, 6, 40)
    waves = 128 + 100 * np.sin(x)[:, None] * np.cos(1.7 * x)
    images = np.repeat(waves.astype(np.uint8)[None, :, :, None], channels, axis=3).repeat(6, axis=0)
    before = images.copy()

    def changed(level: float) -> npt.NDArray[np.float64]:
        result = change(images, level, np.random.default_rng(0))
        assert (result.shape, result.dtype) == (images.shape, np.uint8)
        return np.abs(result.astype(np.float64) - images).mean()

    distances = [changed(level) for level in levels]
    assert distances[0] > 0
    assert distances == sorted(distances)
    assert (images == before).all()

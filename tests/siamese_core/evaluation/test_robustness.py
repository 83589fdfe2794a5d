"""Robustness curves: no change is the plain result, everything is seeded, and changes are what they are called."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from siamese_core.arrays import Indices
from siamese_core.config import CalibrationConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.split import Split
from siamese_core.evaluation.baselines import pixel_vectors
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.results import RobustnessCurve
from siamese_core.evaluation.robustness import CHANGES, robustness_curves
from siamese_core.metrics.pairs import PairDistances, pair_distances
from siamese_core.metrics.rates import fmr_at, fnmr_at


@dataclass(frozen=True)
class Case:
    """Ten characters, compared by their pixels."""

    held_out: HeldOut
    embeddings: npt.NDArray[np.float32]
    distances: PairDistances
    threshold: float

    def curves(self, most_images: int = 30, seed: int = 0) -> dict[str, RobustnessCurve]:
        held_out = replace(self.held_out, seed=seed)
        curves = robustness_curves(pixel_vectors, held_out, self.embeddings, self.threshold, most_images)
        return {curve.change: curve for curve in curves}


@pytest.fixture(scope="module")
def case(dataset: Dataset) -> Case:
    names = sorted(set(dataset.manifest.ok["identity"]))[10:20]
    parts = pd.DataFrame({"identity": names, "split": "test"})
    ten = Dataset(dataset.manifest, dataset.store, Split(parts))
    held_out = HeldOut.of(ten, "test", CalibrationConfig(), 0)
    embeddings = pixel_vectors(dataset.store.images, held_out.images.rows)
    distances = pair_distances(embeddings, held_out.pairs)
    return Case(held_out, embeddings, distances, float(np.quantile(distances.impostor, 0.1)))


def test_no_change_is_exactly_the_plain_result(case: Case) -> None:
    for curve in case.curves(most_images=1000).values():
        assert curve.levels[0] == 0
        assert curve.fnmr[0] == fnmr_at(case.distances.genuine, case.threshold)
        assert curve.fmr[0] == fmr_at(case.distances.impostor, case.threshold)


def test_the_rates_are_those_of_a_loop_over_the_pairs(case: Case) -> None:
    """All images are turned, and each is compared with the others as they are, whichever comes first in a pair."""
    images, pairs, plain = case.held_out.images, case.held_out.pairs, case.embeddings
    levels, turn = next(entry[2:] for entry in CHANGES if entry[0] == "rotation")
    turned = turn(np.asarray(images.pixels[images.rows]), levels[0], np.random.default_rng(0))
    changed = pixel_vectors(turned, np.arange(len(turned)))

    def distances(some: Indices) -> npt.NDArray[np.float64]:
        both_ways = [(a, b) for i, j in some for a, b in ((i, j), (j, i))]
        return np.array([((plain[a] - changed[b]) ** 2).sum() for a, b in both_ways])

    curve = case.curves(most_images=1000)["rotation"]
    assert curve.fnmr[1] == pytest.approx((distances(pairs.genuine) >= case.threshold).mean(), abs=1e-4)
    assert curve.fmr[1] == pytest.approx((distances(pairs.impostor) < case.threshold).mean(), abs=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(case: Case) -> None:
    assert case.curves() == case.curves()
    assert case.curves()["noise"] != case.curves(seed=1)["noise"]


def test_strong_changes_do_harm(case: Case) -> None:
    curves = case.curves(most_images=1000)
    assert list(curves) == ["blur", "noise", "JPEG", "occlusion", "brightness", "rotation"]
    for name in ("noise", "occlusion", "rotation"):  # blurred pixels are nearer to all others
        assert curves[name].fnmr[-1] > curves[name].fnmr[0] + 0.05, name
    for curve in curves.values():
        assert len(curve.fnmr) == len(curve.fmr) == len(curve.levels)
        assert sorted(curve.levels) == curve.levels


def test_a_sample_of_impostor_pairs_that_misses_the_images_still_gives_rates(case: Case) -> None:
    pairs = case.held_out.pairs
    few = replace(pairs, genuine=pairs.genuine[:1], impostor=pairs.impostor[-3:])
    for curve in replace(case, held_out=replace(case.held_out, pairs=few)).curves(most_images=1).values():
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

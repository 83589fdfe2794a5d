from collections.abc import Callable

import numpy as np
import pytest

from siamese_core.calibration.expected_rates import Concentration, IdentityEvidence
from siamese_core.calibration.operating_points import Calibration, calibrate
from siamese_core.config import CalibrationConfig
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances
from siamese_core.metrics.rates import fmr_at, fnmr_at

CONFIG = CalibrationConfig(bootstrap=20, fmr_targets=(0.1, 0.01))
Population = Callable[[np.random.Generator], PairDistances]


def compared(points: np.ndarray, labels: np.ndarray) -> PairDistances:
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    return pair_distances(points, make_pairs(labels, 10**6, 10**6, 0))


def alike(rng: np.random.Generator) -> PairDistances:
    """40 identities of 5 images."""
    labels = np.repeat(np.arange(40), 5)
    return compared(rng.normal(size=(40, 10))[labels] + 0.4 * rng.normal(size=(200, 10)), labels)


def families(rng: np.random.Generator) -> PairDistances:
    """Half of the identities belong to one of 40 families of look-alikes; some identities vary more than others."""
    labels = np.repeat(np.arange(40), 5)
    parents = np.random.default_rng(99).normal(size=(40, 10))
    centers = rng.normal(size=(40, 10))
    centers[:20] = parents[rng.integers(0, 40, 20)] + 0.5 * rng.normal(size=(20, 10))
    noise = 0.4 * np.exp(0.4 * rng.normal(size=(40, 1)))
    return compared(centers[labels] + noise[labels] * rng.normal(size=(200, 10)), labels)


def uneven(rng: np.random.Generator) -> PairDistances:
    """2 to 8 images an identity, mostly 2."""
    labels = np.repeat(np.arange(40), np.minimum(1 + rng.zipf(2.0, 40), 8))
    noise = 0.35 * np.exp(0.3 * rng.normal(size=(40, 1)))
    return compared(rng.normal(size=(40, 10))[labels] + noise[labels] * rng.normal(size=(len(labels), 10)), labels)


def concentration(distances: PairDistances) -> Concentration:
    return Concentration.of(distances.genuine_identity, distances.impostor_identities)


def repeats(population: Population, config: CalibrationConfig) -> list[tuple[Calibration, PairDistances]]:
    found = []
    for seed in range(50):
        rng = np.random.default_rng(seed)
        known, new = population(rng), population(rng)
        found.append((calibrate(known, config, 0, seed, concentration(new)), new))
    return found


@pytest.mark.parametrize("population", [alike, families, uneven])
def test_new_identities_of_a_known_population_lie_in_the_stated_intervals(population: Population) -> None:
    """95 % are promised for all points at once; of 50 repeats 2.5 miss in the mean, 6 or more by a chance of 4 %."""
    fmr_held, fnmr_held, width = [], [], []
    for calibration, new in repeats(population, CONFIG):
        points = calibration.points.values()
        fmr_held.append(all(p.expected_fmr.holds(fmr_at(new.impostor, p.threshold)) for p in points))  # type: ignore[union-attr]
        fnmr_held.append(all(p.expected_fnmr.holds(fnmr_at(new.genuine, p.threshold)) for p in points))  # type: ignore[union-attr]
        width.append(calibration.points["fmr_1e-1"].expected_fmr)
    assert sum(fmr_held) >= 45
    assert sum(fnmr_held) >= 45
    assert np.mean([each.high - each.low for each in width if each]) < 0.1  # honest, and not by saying nothing


def test_a_conservative_threshold_keeps_its_target_on_new_identities() -> None:
    careful = CalibrationConfig(bootstrap=20, fmr_targets=(0.1,), operating_point="fmr_1e-1", conservative=True)
    kept, plain = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        known, new = alike(rng), alike(rng)
        for config, found in (
            (careful, kept),
            (CalibrationConfig(bootstrap=20, fmr_targets=(0.1,), operating_point="fmr_1e-1"), plain),
        ):
            point = calibrate(known, config, 0, seed, concentration(new)).points["fmr_1e-1"]
            found.append(fmr_at(new.impostor, point.threshold) <= 0.1)
    assert sum(kept) >= 35
    assert 10 <= sum(plain) <= 30


def test_a_target_that_nothing_can_keep_is_refused_in_words() -> None:
    config = CalibrationConfig(bootstrap=20, fmr_targets=(0.1, 0.01), conservative=True)
    labels = np.repeat(np.arange(20), 4)
    points = np.random.default_rng(0).normal(size=(20, 10))[labels]  # equal images: no more than one pair tells
    refused = calibrate(compared(points, labels), config, 0, 0).refused["fmr_1e-2"]
    assert "kept on new identities with 95% confidence, needs at least 597 impostor pairs from 36 ident" in refused
    assert "has 3,040 from 20" in refused


@pytest.mark.parametrize("seed", range(3))
def test_the_variance_of_fmr_is_the_covariance_of_all_pairs_that_share_an_identity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(30), 3)
    centers = rng.normal(size=(30, 6))
    centers[:10, 0] += 2  # a third of the identities are easily confused
    distances = compared(centers[labels] + 0.3 * rng.normal(size=(90, 6)), labels)
    wrong = (distances.impostor < 1.2).astype(float)
    deviation = (wrong - wrong.mean()) / len(wrong)
    first, second = distances.impostor_identities.T
    shared = alone = 0.0
    for one, (a, b) in enumerate(distances.impostor_identities):
        same = (np.minimum(first, second) == min(a, b)) & (np.maximum(first, second) == max(a, b))
        shared += deviation[one] * deviation[np.isin(first, [a, b]) | np.isin(second, [a, b])].sum()
        alone += deviation[one] * deviation[same].sum()
    assert shared > alone
    # Once for the identities that calibrate, once for as many new ones.
    assert IdentityEvidence(distances).fmr(1.2).variance == pytest.approx(2 * shared, rel=1e-9)


def test_without_an_error_the_interval_starts_at_none_and_ends_by_the_exact_binomial() -> None:
    distances = alike(np.random.default_rng(0))
    found = IdentityEvidence(distances).fnmr(4.1)  # beyond every distance
    assert (found.rate, found.units) == (0, pytest.approx(20))  # 40 identities, halved
    assert found.interval(0.05).low == 0
    assert found.interval(0.05).high == pytest.approx(1 - 0.025 ** (1 / 20))
    everyone = IdentityEvidence(distances).fnmr(0.0)
    assert (everyone.rate, everyone.interval(0.05).high) == (1, 1)


def test_few_new_identities_widen_the_interval() -> None:
    distances = alike(np.random.default_rng(1))
    same = concentration(distances)
    few = Concentration(10 * same.genuine, 10 * same.impostor, 100 * same.dyads)
    for rate in ("fmr", "fnmr"):
        near, far = (getattr(IdentityEvidence(distances, new), rate)(1.0).interval(0.05) for new in (same, few))
        assert far.low <= near.low <= near.high <= far.high
        assert far.high - far.low > 1.5 * (near.high - near.low)

"""Slices against loops over all pairs, under the null, and with a gap that was planted."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.arrays import Indices
from siamese_core.config import CalibrationConfig
from siamese_core.evaluation.image_groups import Groups
from siamese_core.evaluation.results import Slice
from siamese_core.evaluation.slices import measure_slices
from siamese_core.metrics.pairs import PairDistances, Pairs, make_pairs, pair_distances

CONFIG = CalibrationConfig(bootstrap=200)
Compared = tuple[Indices, Pairs, PairDistances, float]


def compare(
    identities: int, images: int, seed: int, noise: npt.NDArray[np.float64] | float = 0.5, most: int = 10**6
) -> Compared:
    """Identities of different spread, as people are: labels, pairs, distances, threshold."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(identities), images)
    centres = rng.normal(size=(identities, 8))
    spread = noise * rng.lognormal(0, 0.3, identities)
    x = centres[labels] + spread[labels, None] * rng.normal(size=(len(labels), 8))
    pairs = make_pairs(labels, most, most, seed)
    distances = pair_distances(x, pairs)
    return labels, pairs, distances, float(np.quantile(distances.impostor, 0.03))


def measure(compared: Compared, *columns: Groups, seed: int = 0, config: CalibrationConfig = CONFIG) -> list[Slice]:
    _, pairs, distances, threshold = compared
    return measure_slices(columns, pairs, distances, threshold, config, seed)


def column(codes: Indices, name: str = "camera") -> Groups:
    return Groups(name, "metadata", [f"group {i}" for i in range(int(codes.max()) + 1)], codes)


def by_loop(
    compared: Compared, codes: Indices, a: int, b: int, drawn: npt.NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """(wrong, all) impostor and genuine pairs between two groups, when identity i counts `drawn[i]` times."""
    labels, pairs, distances, threshold = compared
    impostor, genuine = [0.0, 0.0], [0.0, 0.0]
    for (i, j), distance in zip(pairs.impostor, distances.impostor, strict=True):
        if {codes[i], codes[j]} == {a, b}:
            times = drawn[labels[i]] * drawn[labels[j]]
            impostor[0] += times * (distance < threshold)
            impostor[1] += times
    for (i, j), distance in zip(pairs.genuine, distances.genuine, strict=True):
        if {codes[i], codes[j]} == {a, b}:
            genuine[0] += drawn[labels[i]] * (distance >= threshold)
            genuine[1] += drawn[labels[i]]
    return impostor, genuine


@pytest.mark.parametrize("by_image", [True, False])
def test_rates_and_intervals_are_those_of_loops_over_all_pairs(by_image: bool) -> None:
    identities, config = 9, CalibrationConfig(bootstrap=40)
    labels, pairs, distances, _ = compare(identities, 4, seed=1, noise=0.8)
    compared = labels, pairs, distances, float(np.sort(distances.genuine)[20])  # a pair at the threshold: no match
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 3, 36) if by_image else rng.integers(0, 3, identities)[compared[0]]
    found = {(group.value, group.other): group for group in measure(compared, column(codes), config=config)}
    # The seeded draws of the implementation: identities with replacement.
    draws = np.random.default_rng(0).multinomial(identities, np.full(identities, 1 / identities), size=40)
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        group = found[f"group {a}", f"group {b}"]
        in_group = {int(label) for label, code in zip(compared[0], codes, strict=True) if code in (a, b)}
        assert group.identities == len(in_group)
        once = by_loop(compared, codes, a, b, np.ones(identities, np.int64))
        drawn = [by_loop(compared, codes, a, b, draw) for draw in draws]
        for kind, rate in enumerate((group.fmr, group.fnmr)):
            wrong, total = once[kind]
            if rate is None:
                assert total == 0
                continue
            assert (rate.errors, rate.pairs, rate.value) == (wrong, total, wrong / total)
            resampled = [counts[kind][0] / counts[kind][1] for counts in drawn if counts[kind][1]]
            low, high = np.quantile(resampled, [0.025, 0.975])
            assert rate.low == pytest.approx(min(low, rate.value), abs=1e-9)
            if rate.errors:
                assert rate.high == pytest.approx(max(high, rate.value), abs=1e-9)
    assert any(group.fmr and group.fmr.errors for group in found.values())


@given(seed=st.integers(0, 100), groups=st.integers(1, 5))
def test_every_pair_is_in_one_slice(seed: int, groups: int) -> None:
    compared = compare(8, 3, seed)
    codes = np.random.default_rng(seed).integers(0, groups, 24)
    codes[:groups] = np.arange(groups)
    found = measure(compared, column(codes), config=CalibrationConfig(bootstrap=5))
    _, pairs, distances, threshold = compared
    assert sum(group.fmr.pairs for group in found if group.fmr) == len(pairs.impostor)
    assert sum(group.fnmr.pairs for group in found if group.fnmr) == len(pairs.genuine)
    assert sum(group.fmr.errors for group in found if group.fmr) == (distances.impostor < threshold).sum()
    assert sum(group.value == group.other for group in found) == groups


def test_a_sample_of_the_pairs_gives_about_the_intervals_of_all() -> None:
    codes = np.random.default_rng(0).integers(0, 2, 60)[np.repeat(np.arange(60), 6)]
    every, some = (measure(compare(60, 6, 3, most=most), column(codes)) for most in (10**6, 30_000))
    for a, b in zip(every, some, strict=True):
        assert a.fmr
        assert b.fmr
        assert b.fmr.pairs < a.fmr.pairs
        assert b.fmr.high - b.fmr.low == pytest.approx(a.fmr.high - a.fmr.low, rel=0.35)


def test_random_groups_are_rarely_flagged() -> None:
    """Of 40 repeats of two columns of random groups, 5 % may have a gap; 6 or more would be a chance of 1 in 70."""
    flagged = 0
    for seed in range(40):
        compared = compare(30, 5, seed)
        rng = np.random.default_rng(1000 + seed)
        columns = column(rng.integers(0, 4, 30)[compared[0]]), column(rng.integers(0, 4, 150), "light")
        flagged += any(group.gap for group in measure(compared, *columns, seed=seed))
    assert flagged <= 5


def test_a_planted_gap_is_found_where_it_is_and_only_there() -> None:
    bad = np.arange(60) % 3 == 0
    compared = compare(60, 5, seed=0, noise=np.where(bad, 0.9, 0.4))
    camera, random = bad.astype(np.int64), np.random.default_rng(5).integers(0, 3, 60)
    found = measure(compared, column(camera[compared[0]]), column(random[compared[0]], "hat"))
    (gap,) = [group for group in found if group.gap]
    assert (gap.column, gap.value, gap.other) == ("camera", "group 1", "group 1")
    assert gap.fnmr
    _, _, distances, threshold = compared
    assert gap.gap == f"FNMR {gap.fnmr.value:.2%}, in all pairs {(distances.genuine >= threshold).mean():.2%}"


def test_look_alikes_are_found_as_false_matches() -> None:
    labels = np.repeat(np.arange(60), 4)
    alike = np.arange(60) < 20
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 8)) * np.where(alike, 0.4, 1.0)[:, None]
    pairs = make_pairs(labels, 10**6, 10**6, 0)
    distances = pair_distances(centres[labels] + 0.1 * rng.normal(size=(240, 8)), pairs)
    compared = labels, pairs, distances, float(np.quantile(distances.impostor, 0.03))
    gaps = [group for group in measure(compared, column((~alike).astype(np.int64)[labels])) if group.gap]
    assert [(group.value, group.other) for group in gaps] == [("group 0", "group 0")]
    assert gaps[0].gap.startswith("FMR ")


def test_two_hard_people_are_no_group_with_a_gap() -> None:
    bad = np.arange(60) < 2
    compared = compare(60, 5, seed=0, noise=np.where(bad, 3.0, 0.4))
    found = measure(compared, column(bad.astype(np.int64)[compared[0]]))
    (group,) = [group for group in found if group.value == group.other == "group 1"]
    assert group.fnmr
    assert group.fnmr.value > 0.9
    assert not any(group.gap for group in found)


def test_one_group_alone_is_all_pairs_and_no_gap() -> None:
    compared = compare(20, 4, 0)
    (only,) = measure(compared, column(np.zeros(80, np.int64)))
    _, pairs, distances, threshold = compared
    assert only.fmr
    assert only.fmr.value == (distances.impostor < threshold).mean()
    assert (only.fmr.pairs, only.gap) == (len(pairs.impostor), "")


def test_a_group_of_one_image_has_no_rates_but_is_there() -> None:
    codes = np.zeros(80, np.int64)
    codes[7] = 1
    found = measure(compare(20, 4, 0), column(codes))
    (alone,) = [group for group in found if group.value == group.other == "group 1"]
    assert (alone.fmr, alone.fnmr, alone.identities) == (None, None, 1)


def test_no_columns_no_slices() -> None:
    assert measure(compare(20, 4, 0)) == []

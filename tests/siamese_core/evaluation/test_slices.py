"""Slices against loops over all pairs, under the null, and with a gap that was planted."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.arrays import Indices
from siamese_core.data.dataset import Images
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.image_groups import Grouping
from siamese_core.evaluation.results import Slice
from siamese_core.evaluation.slices import measure_slices
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances


@dataclass(frozen=True)
class Compared:
    """Identities of different spread, as people are, with all their pairs."""

    held_out: HeldOut
    distances: PairDistances
    threshold: float

    @property
    def labels(self) -> Indices:
        return self.held_out.images.labels

    def slices(self, *columns: Grouping) -> list[Slice]:
        return measure_slices(list(columns), self.held_out, self.distances, self.threshold)


def held_out_of(labels: Indices, most: int = 10**6, resamples: int = 200, seed: int = 0) -> HeldOut:
    """Images without pixels."""
    names = [str(name) for name in range(int(labels.max()) + 1)]
    rows = np.arange(len(labels))
    images = Images(np.empty((0, 8, 8, 1), np.uint8), rows, labels, names, [f"{row}.png" for row in rows])
    return HeldOut(images, make_pairs(labels, most, most, seed), 0.95, resamples, seed)


def compare(
    identities: int,
    images: int,
    seed: int,
    noise: npt.NDArray[np.float64] | float = 0.5,
    most: int = 10**6,
    resamples: int = 200,
) -> Compared:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(identities), images)
    centres = rng.normal(size=(identities, 8))
    spread = noise * rng.lognormal(0, 0.3, identities)
    x = centres[labels] + spread[labels, None] * rng.normal(size=(len(labels), 8))
    held_out = held_out_of(labels, most, resamples, seed)
    distances = pair_distances(x, held_out.pairs)
    return Compared(held_out, distances, float(np.quantile(distances.impostor, 0.03)))


def column(codes: Indices, name: str = "camera") -> Grouping:
    return Grouping(name, "metadata", [f"group {i}" for i in range(int(codes.max()) + 1)], codes)


def by_loop(
    compared: Compared, codes: Indices, a: int, b: int, drawn: npt.NDArray[np.int64]
) -> tuple[list[float], list[float]]:
    """(wrong, all) impostor and genuine pairs between two groups, when identity i counts `drawn[i]` times."""
    labels, distances, threshold = compared.labels, compared.distances, compared.threshold
    pairs = compared.held_out.pairs
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
    identities = 9
    compared = compare(identities, 4, seed=1, noise=0.8, resamples=40)
    # A pair at the threshold is no match.
    compared = replace(compared, threshold=float(np.sort(compared.distances.genuine)[20]))
    rng = np.random.default_rng(2)
    codes = rng.integers(0, 3, 36) if by_image else rng.integers(0, 3, identities)[compared.labels]
    slices = {(each.value, each.other): each for each in compared.slices(column(codes))}
    # The seeded draws of the implementation: identities with replacement.
    draws = np.random.default_rng(1).multinomial(identities, np.full(identities, 1 / identities), size=40)
    for a, b in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        group = slices[f"group {a}", f"group {b}"]
        in_group = {int(label) for label, code in zip(compared.labels, codes, strict=True) if code in (a, b)}
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
    assert any(each.fmr and each.fmr.errors for each in slices.values())


@given(seed=st.integers(0, 100), groups=st.integers(1, 5))
def test_every_pair_is_in_one_slice(seed: int, groups: int) -> None:
    compared = compare(8, 3, seed, resamples=5)
    codes = np.random.default_rng(seed).integers(0, groups, 24)
    codes[:groups] = np.arange(groups)
    slices, distances = compared.slices(column(codes)), compared.distances
    assert sum(each.fmr.pairs for each in slices if each.fmr) == len(distances.impostor)
    assert sum(each.fnmr.pairs for each in slices if each.fnmr) == len(distances.genuine)
    assert sum(each.fmr.errors for each in slices if each.fmr) == (distances.impostor < compared.threshold).sum()
    assert sum(each.value == each.other for each in slices) == groups


def test_a_sample_of_the_pairs_gives_about_the_intervals_of_all() -> None:
    codes = np.random.default_rng(0).integers(0, 2, 60)[np.repeat(np.arange(60), 6)]
    every, some = (compare(60, 6, 3, most=most).slices(column(codes)) for most in (10**6, 30_000))
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
        columns = column(rng.integers(0, 4, 30)[compared.labels]), column(rng.integers(0, 4, 150), "light")
        flagged += any(each.gap for each in compared.slices(*columns))
    assert flagged <= 5


def test_a_planted_gap_is_found_where_it_is_and_only_there() -> None:
    bad = np.arange(60) % 3 == 0
    compared = compare(60, 5, seed=0, noise=np.where(bad, 0.9, 0.4))
    camera, random = bad.astype(np.int64), np.random.default_rng(5).integers(0, 3, 60)
    slices = compared.slices(column(camera[compared.labels]), column(random[compared.labels], "hat"))
    (gap,) = [each for each in slices if each.gap]
    assert (gap.column, gap.value, gap.other) == ("camera", "group 1", "group 1")
    assert gap.fnmr
    overall = (compared.distances.genuine >= compared.threshold).mean()
    assert gap.gap == f"FNMR {gap.fnmr.value:.2%}, in all pairs {overall:.2%}"


def test_look_alikes_are_found_as_false_matches() -> None:
    labels = np.repeat(np.arange(60), 4)
    alike = np.arange(60) < 20
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 8)) * np.where(alike, 0.4, 1.0)[:, None]
    held_out = held_out_of(labels)
    distances = pair_distances(centres[labels] + 0.1 * rng.normal(size=(240, 8)), held_out.pairs)
    compared = Compared(held_out, distances, float(np.quantile(distances.impostor, 0.03)))
    gaps = [each for each in compared.slices(column((~alike).astype(np.int64)[labels])) if each.gap]
    assert [(gap.value, gap.other) for gap in gaps] == [("group 0", "group 0")]
    assert gaps[0].gap.startswith("FMR ")


def test_two_hard_people_are_no_group_with_a_gap() -> None:
    bad = np.arange(60) < 2
    compared = compare(60, 5, seed=0, noise=np.where(bad, 3.0, 0.4))
    slices = compared.slices(column(bad.astype(np.int64)[compared.labels]))
    (hard,) = [each for each in slices if each.value == each.other == "group 1"]
    assert hard.fnmr
    assert hard.fnmr.value > 0.9
    assert not any(each.gap for each in slices)


def test_one_group_alone_is_all_pairs_and_no_gap() -> None:
    compared = compare(20, 4, 0)
    (only,) = compared.slices(column(np.zeros(80, np.int64)))
    assert only.fmr
    assert only.fmr.value == (compared.distances.impostor < compared.threshold).mean()
    assert (only.fmr.pairs, only.gap) == (len(compared.distances.impostor), "")


def test_a_group_of_one_image_has_no_rates_but_is_there() -> None:
    codes = np.zeros(80, np.int64)
    codes[7] = 1
    slices = compare(20, 4, 0).slices(column(codes))
    (alone,) = [each for each in slices if each.value == each.other == "group 1"]
    assert (alone.fmr, alone.fnmr, alone.identities) == (None, None, 1)


def test_no_columns_no_slices() -> None:
    assert compare(20, 4, 0).slices() == []

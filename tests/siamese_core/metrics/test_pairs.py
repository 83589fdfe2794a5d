import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from siamese_core.errors import DataError
from siamese_core.metrics.pairs import few_of_each, make_pairs


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(1, 6), st.sampled_from([None, 0, 7]))
def test_few_of_each_keeps_as_many_as_there_are_and_no_more(identities: list[int], most: int, seed: int | None) -> None:
    labels = np.array(identities)
    sample = few_of_each(labels, most, seed)
    assert (np.diff(sample) > 0).all()
    wanted = {label: min(most, count) for label, count in zip(*np.unique(labels, return_counts=True), strict=True)}
    assert dict(zip(*np.unique(labels[sample], return_counts=True), strict=True)) == wanted
    if seed is None:
        assert sample.tolist() == [i for i, label in enumerate(identities) if identities[:i].count(label) < most]


def test_a_sample_depends_on_the_seed_alone() -> None:
    labels = np.repeat(np.arange(20), 10)
    assert (
        few_of_each(labels, 3, 1).tolist() == few_of_each(labels, 3, 1).tolist() != few_of_each(labels, 3, 2).tolist()
    )


def test_pairs_are_all_pairs_once_and_a_sample_is_distinct(rng: np.random.Generator) -> None:
    labels = rng.integers(0, 6, size=40)
    every = make_pairs(labels, 10**6, 10**6, 0)
    assert len(every.genuine) + len(every.impostor) == 40 * 39 // 2
    assert (labels[every.genuine[:, 0]] == labels[every.genuine[:, 1]]).all()
    assert (labels[every.impostor[:, 0]] != labels[every.impostor[:, 1]]).all()
    some = make_pairs(labels, 20, 300, 0)
    assert (len(some.genuine), len(some.impostor)) == (20, 300)
    assert len(np.unique(some.impostor, axis=0)) == 300
    assert (some.impostor[:, 0] < some.impostor[:, 1]).all()
    assert (labels[some.impostor[:, 0]] != labels[some.impostor[:, 1]]).all()
    assert (some.genuine_total, some.impostor_total) == (len(every.genuine), len(every.impostor))


def test_genuine_pairs_are_sampled_evenly() -> None:
    labels = np.repeat([0, 1, 2], [9, 2, 5])
    counts = np.zeros((16, 16))
    for seed in range(600):
        sample = make_pairs(labels, 12, 5, seed).genuine
        assert len(np.unique(sample, axis=0)) == 12
        np.add.at(counts, tuple(sample.T), 1)
    drawn = counts[counts > 0]
    assert len(drawn) == 36 + 1 + 10
    assert abs(drawn - 600 * 12 / 47).max() < 5 * np.sqrt(600 * 12 / 47)


def test_a_huge_identity_needs_no_memory_for_all_its_pairs() -> None:
    """50,000 images of one identity have 1.25 G genuine pairs, 20 GB."""
    labels = np.r_[np.zeros(50_000, np.int64), np.arange(10_000) % 5 + 1]
    tracemalloc.start()
    pairs = make_pairs(labels, 1_000, 1_000, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert pairs.genuine_total == 50_000 * 49_999 // 2 + 5 * 2_000 * 1_999 // 2
    assert len(np.unique(pairs.genuine, axis=0)) == 1_000
    assert peak < 50e6


def test_impostor_pairs_are_sampled_evenly() -> None:
    labels = np.arange(30)
    counts = np.zeros((30, 30))
    for seed in range(300):
        sample = make_pairs(np.r_[labels, 0], 1, 60, seed).impostor
        np.add.at(counts, (sample[:, 0].clip(max=29), sample[:, 1].clip(max=29)), 1)
    inner = counts[np.triu_indices(29, 1)]
    assert inner.mean() == pytest.approx(300 * 60 / 464, rel=0.1)
    assert inner.std() < 2.5 * np.sqrt(inner.mean())


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]])
def test_one_kind_of_pairs_is_refused(labels: list[int]) -> None:
    with pytest.raises(DataError, match="both kinds are needed"):
        make_pairs(np.array(labels), 10, 10, 0)

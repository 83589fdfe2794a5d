"""Against the sorted vector of all pairs."""

from functools import reduce

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from siamese_core.errors import DataError
from siamese_core.metrics import all_pairs
from siamese_core.metrics.all_pairs import BINS, PairCounts, count_pairs
from siamese_core.metrics.pairs import PairDistances, make_pairs, pair_distances
from siamese_core.metrics.rates import fmr_at, threshold_at_fmr

BIN = 4 / BINS


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that few embeddings make many tiles, with edges inside of identities."""
    monkeypatch.setattr(all_pairs, "_TILE", {"cpu": (32, 96)})


def people(count: int, images: int, noise: float = 0.6, seed: int = 0) -> tuple[torch.Tensor, np.ndarray]:
    generator = torch.Generator().manual_seed(seed)
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(count), images))
    x = torch.randn(count, 16, generator=generator)[labels] + noise * torch.randn(len(labels), 16, generator=generator)
    return torch.nn.functional.normalize(x, dim=1), labels


def every_pair(x: torch.Tensor, labels: np.ndarray) -> PairDistances:
    return pair_distances(x.numpy(), make_pairs(labels, 10**9, 10**9, 0))


@pytest.mark.parametrize("keep", [1, 50, 700, 10**6])
def test_what_is_kept_is_the_start_of_the_sorted_vector(keep: int) -> None:
    x, labels = people(40, 8)
    expected = np.sort(every_pair(x, labels).impostor)[:keep]
    np.testing.assert_array_equal(count_pairs(x, labels, keep).nearest, expected)


def test_the_histograms_are_those_of_all_pairs_up_to_the_next_bin() -> None:
    x, labels = people(40, 8)
    found, distances = count_pairs(x, labels, 10), every_pair(x, labels)
    for counts, values in ((found.genuine, distances.genuine), (found.impostor, distances.impostor)):
        assert counts.sum() == len(values)
        in_order = np.repeat(np.arange(BINS), counts)  # the bin of each pair
        assert np.abs(in_order - np.floor(np.sort(values) / BIN)).max() <= 1


def test_thresholds_are_exact_in_the_tail_and_within_a_bin_beyond() -> None:
    x, labels = people(40, 8)
    found, impostor = count_pairs(x, labels, keep=500), every_pair(x, labels).impostor
    for target in (0, 1e-4, 1e-3, 499.5 / len(impostor), 500 / len(impostor), 0.02, 0.1, 0.5, 0.99, 1):
        threshold, expected = found.threshold_at_fmr(target), threshold_at_fmr(impostor, target)
        if target * len(impostor) < 500:
            assert threshold == expected
        assert expected - 1.01 * BIN <= threshold <= expected + 1e-5
        assert fmr_at(impostor, threshold) <= target


@settings(max_examples=15)
@given(st.integers(2, 7), st.integers(1, 60), st.integers(0, 2**31))
def test_shares_in_any_order_merge_into_the_whole(shares: int, keep: int, seed: int) -> None:
    x, labels = people(12, 10, seed=seed % 5)
    whole = count_pairs(x, labels, keep)
    order = np.random.default_rng(seed).permutation(shares)
    merged = reduce(PairCounts.merge, [count_pairs(x, labels, keep, share=(int(i), shares)) for i in order])
    for name in ("genuine", "impostor", "nearest"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))


@settings(max_examples=40)
@given(st.data())
def test_contract_with_ties(data: st.DataObject) -> None:
    """Few distinct points: the threshold is the largest whose FMR is at most the target, or within a bin below it."""
    corners = torch.eye(4)
    chosen = data.draw(st.lists(st.integers(0, 3), min_size=4, max_size=60))
    labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(chosen), max_size=len(chosen))))
    labels[:2] = 0, 1
    found = count_pairs(corners[chosen], labels, keep=data.draw(st.integers(1, 100)))
    pairs = np.stack(np.triu_indices(len(chosen), 1), 1)
    differ = labels[pairs[:, 0]] != labels[pairs[:, 1]]
    impostor = np.where(np.array(chosen)[pairs[:, 0]] == np.array(chosen)[pairs[:, 1]], 0.0, 2.0)[differ]
    target = data.draw(st.floats(0, 1))
    threshold, expected = found.threshold_at_fmr(target), threshold_at_fmr(impostor, target)
    assert fmr_at(impostor, threshold) <= target
    assert expected - 1.01 * BIN <= threshold <= expected
    assert found.impostor.sum() == differ.sum()


def test_all_equal_one_pair_and_perfect_separation() -> None:
    same = count_pairs(torch.ones(300, 4) / 2, np.arange(300) // 3, keep=7)
    assert same.nearest.tolist() == [0] * 7
    assert same.threshold_at_fmr(0.5) == 0
    assert np.flatnonzero(same.genuine).tolist() == np.flatnonzero(same.impostor).tolist() == [0]
    pair = count_pairs(torch.eye(2), np.array([0, 1]))
    assert (pair.nearest.tolist(), pair.threshold_at_fmr(0.9)) == ([2], 2)
    apart = count_pairs(torch.eye(3)[[0, 0, 1, 1]], np.array([0, 0, 1, 1]))
    assert np.flatnonzero(apart.genuine).max() < np.flatnonzero(apart.impostor).min()


def test_nearly_equal_embeddings_keep_their_exact_order() -> None:
    """All distances in one bin: what is kept does not come from the bins."""
    x, labels = people(30, 4)
    x = 0.49 + 1e-3 * x[:, :4]
    expected = np.sort(every_pair(x, labels).impostor)[:100]
    np.testing.assert_array_equal(count_pairs(x, labels, 100).nearest, expected)


def test_longer_embeddings_need_a_larger_top() -> None:
    x, labels = people(10, 5)
    with pytest.raises(DataError, match=r"Distances may be up to 36, more than top = 4"):
        count_pairs(3 * x, labels)
    found = count_pairs(3 * x, labels, 20, top=36.1)
    np.testing.assert_array_equal(found.nearest, np.sort(every_pair(3 * x, labels).impostor)[:20])


def test_what_cannot_be_counted_is_refused() -> None:
    x, labels = people(5, 4)
    broken = x.clone()
    broken[3, 1] = torch.nan
    with pytest.raises(DataError, match="1 of 20 embeddings are not finite"):
        count_pairs(broken, labels)
    with pytest.raises(DataError, match="20 embeddings, 19 labels"):
        count_pairs(x, labels[:-1])
    with pytest.raises(DataError, match="do not merge"):
        PairCounts.none(5, 4.0).merge(PairCounts.none(6, 4.0))
    nothing = count_pairs(x, np.zeros(20, np.int64))
    with pytest.raises(DataError, match="no impostor pairs"):
        nothing.threshold_at_fmr(0.1)

import numpy as np
import pytest

from siamese_core.arrays import Indices, Labels
from siamese_core.config import TrainingConfig
from siamese_core.errors import DataError
from siamese_core.training.partners import HardPartners
from siamese_core.training.sampling import PKSampler

# 10 identities of 5 images, then 6 singletons.
LABELS = np.concatenate([np.repeat(np.arange(10), 5), np.arange(10, 16)])
NO_TRIPLETS = np.empty((0, 3), np.int64)
NO_PARTNERS = HardPartners(NO_TRIPLETS, np.empty((16, 0), np.int64))


def sampler_of(
    labels: Labels,
    p: int,
    k: int,
    seed: int = 0,
    hard: HardPartners = NO_PARTNERS,
    groups: Indices | None = None,
    **options: float,
) -> PKSampler:
    """A sampler of batches of P identities with K images each, and nothing else that is not asked for."""
    shape = {"identities_per_batch": p, "images_per_identity": k, "singletons_per_batch": 0, "hard_fraction": 0.0}
    groups = np.zeros(labels.max() + 1, np.int64) if groups is None else groups
    return PKSampler(labels, TrainingConfig(**(shape | options)), seed, hard, groups)


def test_a_batch_has_p_identities_with_k_different_images_and_the_singletons() -> None:
    sampler = sampler_of(LABELS, 4, 3, singletons_per_batch=2, seed=0)
    for step in range(20):
        batch = sampler.batch(step)
        counts = np.bincount(LABELS[batch], minlength=16)
        assert len(np.unique(batch)) == len(batch) == 4 * 3 + 2
        assert (counts[:10] == 3).sum() == 4
        assert (counts[10:] == 1).sum() == 2


def test_every_identity_is_a_seed_once_an_epoch() -> None:
    sampler = sampler_of(LABELS, 5, 2, seed=1)
    for epoch in range(3):
        seen = np.concatenate([np.unique(LABELS[sampler.batch(2 * epoch + i)]) for i in range(2)])
        assert sorted(seen) == list(range(10))


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    first, second = (sampler_of(LABELS, 4, 3, singletons_per_batch=2, seed=7) for _ in range(2))
    for step in range(5):
        first.batch(step)
    assert np.array_equal(first.batch(9), second.batch(9))
    assert not np.array_equal(second.batch(9), sampler_of(LABELS, 4, 3, singletons_per_batch=2, seed=8).batch(9))


def test_identities_with_fewer_images_repeat_some() -> None:
    labels = np.array([0, 0, 1, 1, 1, 1])
    batch = sampler_of(labels, 2, 4).batch(0)
    assert (np.bincount(labels[batch]) == 4).all()
    assert set(batch) == set(range(6))


def test_triplets_bring_their_three_images_into_one_batch() -> None:
    # Every identity's only triplet: its images 3 and 4 against image 2 of the next identity.
    triplets = np.array([[5 * i + 3, 5 * i + 4, 5 * ((i + 1) % 10) + 2] for i in range(10)])
    hard = HardPartners(triplets, np.full((10, 1), -1))
    sampler = sampler_of(LABELS, 4, 3, hard=hard, hard_fraction=0.5)
    for step in range(20):
        batch = set(sampler.batch(step).tolist())
        together = [row for row in triplets.tolist() if set(row) <= batch]
        assert len(together) >= 2  # one for each of the two seeds


def test_without_triplets_the_nearest_neighbour_joins() -> None:
    neighbours = ((np.arange(10)[:, None] + [1, 2]) % 10).astype(np.int64)
    hard = HardPartners(NO_TRIPLETS, neighbours)
    sampler = sampler_of(LABELS, 2, 2, hard=hard, hard_fraction=0.5)
    for step in range(20):
        a, b = np.unique(LABELS[sampler.batch(step)])
        assert (b - a) in (1, 9)


def test_the_batch_keeps_its_size_when_partners_are_missing() -> None:
    hard = HardPartners(NO_TRIPLETS, np.full((10, 1), -1))
    sampler = sampler_of(LABELS, 6, 2, hard=hard, hard_fraction=0.5)
    assert all(len(np.unique(LABELS[sampler.batch(step)])) == 6 for step in range(10))


def test_more_identities_than_there_are_is_all_of_them() -> None:
    assert len(np.unique(LABELS[sampler_of(LABELS, 99, 2).batch(0)])) == 10


def test_one_pairable_identity_is_refused_with_numbers() -> None:
    with pytest.raises(DataError, match=r"at least 2 identities.*there are 1 \(2 identities have a single image"):
        sampler_of(np.array([0, 0, 1, 2]), 2, 2)


def test_a_share_of_the_batches_is_drawn_from_few_groups_and_every_identity_keeps_its_turn() -> None:
    groups = np.arange(16) % 2
    sampler = sampler_of(LABELS, 4, 2, groups=groups, sibling_fraction=2 / 3, siblings=4)
    whole = 0
    seen: set[int] = set()
    for step in range(90):
        identities = np.unique(LABELS[sampler.batch(step)])
        assert len(identities) == 4
        whole += len(set(groups[identities])) == 1
        seen |= set(sampler.seeds(step))
    assert 60 <= whole <= 75  # two in three, and now and then by chance
    assert seen == set(range(10))
    turns = [seed for step in range(10) for seed in sampler.seeds(step)]
    assert sorted(turns[:10]) == list(range(10))  # one epoch of seeds


def test_two_groups_give_half_a_batch_each() -> None:
    labels = np.repeat(np.arange(40), 2)
    groups = np.arange(40) // 10
    sampler = sampler_of(labels, 8, 2, groups=groups, sibling_fraction=1.0, siblings=4)
    sizes = [sorted(np.bincount(groups[np.unique(labels[sampler.batch(step)])])) for step in range(30)]
    assert all(size[-2:] == [4, 4] or size[-1:] == [8] for size in sizes)
    assert any(size[-2:] == [4, 4] for size in sizes)


def test_a_group_that_is_too_small_is_filled_up() -> None:
    sampler = sampler_of(LABELS, 6, 2, groups=np.arange(16), sibling_fraction=1.0)
    assert all(len(np.unique(LABELS[sampler.batch(step)])) == 6 for step in range(10))


def test_replaced_neighbours_count_from_the_next_batch_on() -> None:
    hard = HardPartners(NO_TRIPLETS, ((np.arange(10)[:, None] + 1) % 10).astype(np.int64))
    other = HardPartners(hard.triplets, ((np.arange(10)[:, None] + 5) % 10).astype(np.int64))
    sampler = sampler_of(LABELS, 2, 2, hard=hard, hard_fraction=0.5)
    sampler.replace_hard(other)
    for step in range(10):
        a, b = np.unique(LABELS[sampler.batch(step)])
        assert b - a == 5


def test_another_sampler_continues_from_its_state() -> None:
    hard = HardPartners(NO_TRIPLETS, ((np.arange(10)[:, None] + 5) % 10).astype(np.int64))
    first, second = (sampler_of(LABELS, 2, 2, hard=partners, hard_fraction=0.5) for partners in (hard, NO_PARTNERS))
    assert not all(np.array_equal(first.batch(step), second.batch(step)) for step in range(5))
    second.load_state_dict(first.state_dict())
    assert all(np.array_equal(first.batch(step), second.batch(step)) for step in range(5))

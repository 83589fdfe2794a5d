"""The P×K sampler: batches of P identities with K images each, many of them confusable with one another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from siamese_core.arrays import Indices
from siamese_core.errors import DataError


@dataclass(frozen=True)
class HardPartners:
    """What build_triplets found, in terms of the sampler's images and identities.

    Attributes:
        triplets: (T, 3) int64 rows of images: anchor, positive, negative.
        neighbours: (I, k) int64 confusable identities of each identity, nearest first; -1 where there are fewer.
    """

    triplets: Indices
    neighbours: Indices


class PKSampler:
    """Chooses the images of each batch.

    P − H identities of a batch are seeds. They come from a permutation of all identities, so each identity is a
    seed once in each epoch. The other H = round(P · hard_fraction) are confusable partners of the seeds: a seed
    draws one of its triplets, whose anchor and positive are among its K images and whose negative's identity
    joins the batch with that negative; where that fails, the seed's nearest neighbour identity joins.

    A share of the batches is drawn from a few groups of identities (characters of one alphabet, say): such a batch
    has one seed for each `group_size` identities, and the others are members of the seeds' groups, at random.

    Identities with one image cannot be an anchor. They take turns as extra negatives.

    Batch n is a function of the seed and n alone: a run that starts again at step n continues with the same
    batches.
    """

    def __init__(
        self,
        labels: Indices,
        identities_per_batch: int,
        images_per_identity: int,
        singletons_per_batch: int = 0,
        hard: HardPartners | None = None,
        hard_fraction: float = 0.0,
        seed: int = 0,
        groups: Indices | None = None,
        group_fraction: float = 0.0,
        group_size: int = 20,
    ) -> None:
        """Prepares the sampler.

        Args:
            labels: (N,) int64, the identity of each image, 0 to I − 1.
            identities_per_batch: P; fewer if there are fewer identities.
            images_per_identity: K; an identity with fewer images repeats some (each is augmented anew).
            singletons_per_batch: Images of singletons in each batch.
            hard: Triplets and neighbours, in terms of `labels`.
            hard_fraction: Share of the P identities that are partners of the others.
            seed: Of all random choices.
            groups: (I,) int64, the group of each identity.
            group_fraction: Share of the batches that are drawn from few groups.
            group_size: Identities that each of these groups gives, the seed among them; fewer if it has fewer.

        Raises:
            DataError: Fewer than two identities have two images.
        """
        self._images = _group(labels)  # identity -> its images
        sizes = np.array([len(images) for images in self._images])
        self._pairable = np.flatnonzero(sizes >= 2)
        self._singletons = np.flatnonzero(sizes == 1)
        if len(self._pairable) < 2:
            raise DataError(
                f"Training needs at least 2 identities with at least 2 images each; there are {len(self._pairable)} "
                f"({len(self._singletons)} identities have a single image)."
            )
        self._p = min(identities_per_batch, len(self._pairable))
        self._k = images_per_identity
        self._extra = min(singletons_per_batch, len(self._singletons))
        self._partners = round(self._p * hard_fraction) if hard is not None else 0
        self._seeds = max(1, self._p - self._partners)
        self._labels, self._seed = labels, seed
        self._groups = groups if groups is not None else np.zeros(len(sizes), np.int64)
        self._members = [self._pairable[number] for number in _group(self._groups[self._pairable])]
        self._permutation = lru_cache(maxsize=2)(self._shuffled)  # a batch lies in one epoch or two
        self._group_size = group_size
        self._group_seeds = max(1, round(self._p / group_size))
        self._group_fraction = group_fraction if groups is not None else 0.0
        self.replace_hard(hard or HardPartners(np.empty((0, 3), np.int64), np.empty((len(sizes), 0), np.int64)))

    def replace_hard(self, hard: HardPartners) -> None:
        """From the next batch on, partners come from these triplets and neighbours."""
        self.hard = hard
        self._triplets_of = _rows_by_anchor(hard.triplets, self._labels, len(self._images))

    def batch(self, step: int) -> Indices:
        """The images of batch `step`: (P·K + singletons,) int64."""
        rng = np.random.default_rng([self._seed, step])
        seeds = self._seeds_of(step)
        chosen: dict[int, list[int]] = {seed: [] for seed in seeds}
        if self._is_group_batch(step):
            for seed in seeds:
                self._add_siblings(seed, chosen, rng)
        else:
            for turn in range(self._partners):
                self._add_partner(seeds[turn % len(seeds)], chosen, rng)
        self._fill_up(chosen, rng)
        images = [self._complete(identity, wanted, rng) for identity, wanted in chosen.items()]
        singles = rng.choice(self._singletons, self._extra, replace=False)
        return np.concatenate([*images, *(self._images[identity] for identity in singles)])

    def _seeds_of(self, step: int) -> list[int]:
        """The next identities of an endless row of permutations."""
        total, group_batches = len(self._pairable), self._group_batches_before(step)
        start = group_batches * self._group_seeds + (step - group_batches) * self._seeds
        seeds: dict[int, None] = {}
        for position in range(start, start + (self._group_seeds if self._is_group_batch(step) else self._seeds)):
            epoch, place = divmod(position, total)
            seeds[int(self._permutation(epoch)[place])] = None
        return list(seeds)

    def _shuffled(self, epoch: int) -> Indices:
        return np.random.default_rng([self._seed, epoch, 1]).permutation(self._pairable)

    def _group_batches_before(self, step: int) -> int:
        return math.floor(step * self._group_fraction + 1e-9)

    def _is_group_batch(self, step: int) -> bool:
        return self._group_batches_before(step + 1) > self._group_batches_before(step)

    def _add_siblings(self, seed: int, chosen: dict[int, list[int]], rng: np.random.Generator) -> None:
        members = np.setdiff1d(self._members[self._groups[seed]], np.fromiter(chosen, np.int64))
        wanted = min(self._group_size - 1, self._p - len(chosen))
        for identity in rng.permutation(members)[:wanted]:
            chosen[int(identity)] = []

    def _add_partner(self, seed: int, chosen: dict[int, list[int]], rng: np.random.Generator) -> None:
        rows = self._triplets_of[seed]
        if len(rows):
            anchor, positive, negative = self.hard.triplets[rng.choice(rows)]
            chosen[seed] += [int(anchor), int(positive)]
            other = int(self._labels[negative])
            if other in chosen:
                chosen[other].append(int(negative))
            elif len(self._images[other]) >= 2:
                chosen[other] = [int(negative)]
                return
        for neighbour in self.hard.neighbours[seed]:
            if neighbour >= 0 and neighbour not in chosen and len(self._images[neighbour]) >= 2:
                chosen[int(neighbour)] = []
                return

    def _fill_up(self, chosen: dict[int, list[int]], rng: np.random.Generator) -> None:
        """Random identities until there are P: fewer partners than wanted must not shrink the batch."""
        # At most len(chosen) of P different ones are there already, so the others are enough.
        for identity in rng.choice(self._pairable, self._p, replace=False):
            if len(chosen) == self._p:
                return
            chosen.setdefault(int(identity), [])

    def _complete(self, identity: int, wanted: list[int], rng: np.random.Generator) -> Indices:
        """K images of an identity, the wanted ones first."""
        images = rng.permutation(self._images[identity])
        if wanted:
            first = np.unique(wanted)
            images = np.concatenate([first, images[~np.isin(images, first)]])
        images = images[: self._k]
        missing = self._k - len(images)
        return np.concatenate([images, rng.choice(images, missing)]) if missing else images


def _group(labels: Indices) -> list[Indices]:
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    return np.split(order, np.cumsum(sizes)[:-1])


def _rows_by_anchor(triplets: Indices, labels: Indices, identities: int) -> list[Indices]:
    """For each identity, the triplets whose anchor is one of its images."""
    owner = labels[triplets[:, 0]]
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.searchsorted(owner[order], np.arange(1, identities)))

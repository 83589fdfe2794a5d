"""The P×K sampler: batches of P identities with K images each, many of them confusable with one another."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from siamese_core.arrays import Indices, Labels
from siamese_core.config import TrainingConfig
from siamese_core.errors import DataError
from siamese_core.training.partners import HardPartners


@dataclass(frozen=True)
class BatchShape:
    """The composition of a batch.

    Attributes:
        identities: P; fewer if there are fewer identities.
        images: K; an identity with fewer images repeats some (each is augmented anew).
        singletons: Images of singletons in each batch.
        hard_fraction: Share of the P identities that are partners of the others.
    """

    identities: int
    images: int
    singletons: int = 0
    hard_fraction: float = 0.0

    @classmethod
    def of(cls, config: TrainingConfig) -> BatchShape:
        """The shape that a configuration asks for."""
        return cls(
            config.identities_per_batch, config.images_per_identity, config.singletons_per_batch, config.hard_fraction
        )


@dataclass(frozen=True, eq=False)
class Siblings:
    """Groups of identities, characters of one alphabet, say.

    Attributes:
        groups: (I,) int64, the group of each identity.
        fraction: Share of the batches that are drawn from few groups.
        size: Identities that each of these groups gives, the seed among them; fewer if it has fewer.
    """

    groups: Indices
    fraction: float
    size: int = 20


class PKSampler:
    """Choice of the images of each batch.

    P − H identities of a batch are seeds. They come from a permutation of all identities, so each identity is a
    seed once in each epoch. The other H = round(P · hard_fraction) are confusable partners of the seeds: a seed
    draws one of its triplets, whose anchor and positive are among its K images and whose negative's identity
    joins the batch with that negative; where that fails, the seed's nearest neighbour identity joins.

    A share of the batches is drawn from a few groups of siblings: such a batch has one seed for each group, and the
    others are members of the seeds' groups, at random.

    Identities with one image cannot be an anchor. They take turns as extra negatives.

    Batch n is a function of the seed, the hard partners and n alone: a run that resumes at step n continues with the
    same batches.
    """

    def __init__(
        self,
        labels: Labels,
        shape: BatchShape,
        seed: int,
        hard: HardPartners | None = None,
        siblings: Siblings | None = None,
    ) -> None:
        """Prepare the sampler.

        Args:
            labels: (N,) int64, the identity of each image, 0 to I − 1.
            shape: Of each batch.
            seed: Of all random choices.
            hard: Triplets and neighbours, in terms of `labels`; without them no identity has partners.
            siblings: Groups; without them no batch is drawn from few groups.

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
        self._p = min(shape.identities, len(self._pairable))
        self._k = shape.images
        self._extra = min(shape.singletons, len(self._singletons))
        self._partners = round(self._p * shape.hard_fraction) if hard is not None else 0
        self._seeds = max(1, self._p - self._partners)
        self._labels, self._seed = labels, seed
        self._siblings = siblings or Siblings(np.zeros(len(sizes), np.int64), fraction=0.0)
        self._members = [self._pairable[members] for members in _group(self._siblings.groups[self._pairable])]
        self._group_seeds = max(1, round(self._p / self._siblings.size))
        self._permutation = lru_cache(maxsize=2)(self._shuffled)  # a batch lies in one epoch or two
        self.replace_hard(hard or HardPartners.none(len(sizes)))

    def replace_hard(self, hard: HardPartners) -> None:
        """Take partners from these triplets and neighbours, from the next batch on."""
        self._hard = hard
        self._triplets_of = _rows_by_anchor(hard.triplets, self._labels, len(self._images))

    def state_dict(self) -> dict[str, Any]:
        """The hard partners: all else follows from the seed and the step."""
        return {
            "triplets": torch.from_numpy(self._hard.triplets),
            "neighbours": torch.from_numpy(self._hard.neighbours),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.replace_hard(HardPartners(state["triplets"].numpy(), state["neighbours"].numpy()))

    def batch(self, step: int) -> Indices:
        """The images of batch `step`: (P·K + singletons,) int64."""
        rng = np.random.default_rng([self._seed, step])
        seeds = self.seeds(step)
        # Identities in the order in which they join, each with the images that it must bring.
        members: dict[int, list[int]] = {seed: [] for seed in seeds}
        if self._is_group_batch(step):
            for seed in seeds:
                self._add_siblings(seed, members, rng)
        else:
            for turn in range(self._partners):
                self._add_partner(seeds[turn % len(seeds)], members, rng)
        self._fill_up(members, rng)
        images = [self._complete(identity, wanted, rng) for identity, wanted in members.items()]
        singles = rng.choice(self._singletons, self._extra, replace=False)
        return np.concatenate([*images, *(self._images[identity] for identity in singles)])

    def seeds(self, step: int) -> list[int]:
        """The seeds of batch `step`: the next identities of an endless row of permutations."""
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
        return math.floor(step * self._siblings.fraction + 1e-9)

    def _is_group_batch(self, step: int) -> bool:
        return self._group_batches_before(step + 1) > self._group_batches_before(step)

    def _add_siblings(self, seed: int, members: dict[int, list[int]], rng: np.random.Generator) -> None:
        group = self._members[self._siblings.groups[seed]]
        others = np.setdiff1d(group, np.fromiter(members, np.int64))
        count = min(self._siblings.size - 1, self._p - len(members))
        members.update((int(identity), []) for identity in rng.permutation(others)[:count])

    def _add_partner(self, seed: int, members: dict[int, list[int]], rng: np.random.Generator) -> None:
        rows = self._triplets_of[seed]
        if len(rows):
            anchor, positive, negative = self._hard.triplets[rng.choice(rows)]
            members[seed] += [int(anchor), int(positive)]
            other = int(self._labels[negative])
            if other in members:
                members[other].append(int(negative))
            elif len(self._images[other]) >= 2:
                members[other] = [int(negative)]
                return
        for neighbour in self._hard.neighbours[seed]:
            if neighbour >= 0 and neighbour not in members and len(self._images[neighbour]) >= 2:
                members[int(neighbour)] = []
                return

    def _fill_up(self, members: dict[int, list[int]], rng: np.random.Generator) -> None:
        """Add random identities until there are P: a lack of partners must not shrink the batch."""
        # At most len(members) of P different ones are there already, so the others are enough.
        for identity in rng.choice(self._pairable, self._p, replace=False):
            if len(members) == self._p:
                return
            members.setdefault(int(identity), [])

    def _complete(self, identity: int, wanted: list[int], rng: np.random.Generator) -> Indices:
        """K images of an identity, the wanted ones first."""
        images = rng.permutation(self._images[identity])
        if wanted:
            first = np.unique(wanted)
            images = np.concatenate([first, images[~np.isin(images, first)]])
        images = images[: self._k]
        missing = self._k - len(images)
        return np.concatenate([images, rng.choice(images, missing)]) if missing else images


def _group(labels: Labels) -> list[Indices]:
    """The positions of each label."""
    order = np.argsort(labels, kind="stable")
    sizes = np.bincount(labels)
    return np.split(order, np.cumsum(sizes)[:-1])


def _rows_by_anchor(triplets: Indices, labels: Labels, identities: int) -> list[Indices]:
    """The triplets of each identity: those whose anchor is one of its images."""
    owner = labels[triplets[:, 0]]
    order = np.argsort(owner, kind="stable")
    return np.split(order, np.searchsorted(owner[order], np.arange(1, identities)))

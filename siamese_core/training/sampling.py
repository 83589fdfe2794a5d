"""The P×K sampler: batches of P identities with K images each, many of them confusable with one another."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from siamese_core.arrays import Indices, Labels, positions_of_each
from siamese_core.config import TrainingConfig
from siamese_core.errors import DataError
from siamese_core.training.partners import HardPartners


class PKSampler:
    """Choice of the images of each batch.

    It has P identities, or fewer if there are fewer, and K images of each; an identity with fewer images repeats some
    (each is augmented anew).

    P − H identities of a batch are seeds. They come from a permutation of all identities, so each identity is a
    seed once in each epoch. The other H = round(P · hard_fraction) are confusable partners of the seeds: a seed
    draws one of its triplets, whose anchor and positive are among its K images and whose negative's identity
    joins the batch with that negative; where that fails, the seed's nearest neighbour identity joins.

    A share of the batches is drawn from a few groups of siblings, characters of one alphabet, say: such a batch has
    one seed for each group, and the others are members of the seeds' groups, at random, as many as a group has.

    Identities with one image cannot be an anchor. They take turns as extra negatives.

    Batch n is a function of the seed, the hard partners and n alone: a run that resumes at step n continues with the
    same batches.
    """

    def __init__(
        self,
        labels: Labels,
        config: TrainingConfig,
        seed: int,
        hard: HardPartners,
        groups: Indices,
    ) -> None:
        """Prepare the sampler.

        Args:
            labels: (N,) int64, the identity of each image, 0 to I − 1.
            config: Composition of a batch.
            seed: Of all random choices.
            hard: Triplets and neighbours, in terms of `labels`.
            groups: (I,) int64, the group of siblings of each identity.

        Raises:
            DataError: Fewer than two identities have two images.
        """
        self._images = positions_of_each(labels)  # identity -> its images
        sizes = np.array([len(images) for images in self._images])
        self._pairable = np.flatnonzero(sizes >= 2)
        self._singletons = np.flatnonzero(sizes == 1)
        if len(self._pairable) < 2:
            raise DataError(
                f"Training needs at least 2 identities with at least 2 images each; there are {len(self._pairable)} "
                f"({len(self._singletons)} identities have a single image)."
            )
        self._p, self._k = min(config.identities_per_batch, len(self._pairable)), config.images_per_identity
        self._extra = min(config.singletons_per_batch, len(self._singletons))
        self._partners = round(self._p * config.hard_fraction)
        self._seeds = max(1, self._p - self._partners)
        self._labels, self._config, self._seed, self._groups = labels, config, seed, groups
        self._members = [self._pairable[members] for members in positions_of_each(groups[self._pairable])]
        self._group_seeds = max(1, round(self._p / config.siblings))
        self._permutation = lru_cache(maxsize=2)(self._shuffled)  # a batch lies in one epoch or two
        self.replace_hard(hard)

    def replace_hard(self, hard: HardPartners) -> None:
        """Take partners from these triplets and neighbours, from the next batch on."""
        self._hard = hard
        self._triplets_of = positions_of_each(self._labels[hard.triplets[:, 0]], len(self._images))

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
        return math.floor(step * self._config.sibling_fraction + 1e-9)

    def _is_group_batch(self, step: int) -> bool:
        return self._group_batches_before(step + 1) > self._group_batches_before(step)

    def _add_siblings(self, seed: int, members: dict[int, list[int]], rng: np.random.Generator) -> None:
        group = self._members[self._groups[seed]]
        others = np.setdiff1d(group, np.fromiter(members, np.int64))
        count = min(self._config.siblings - 1, self._p - len(members))
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

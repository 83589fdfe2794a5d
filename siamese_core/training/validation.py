"""Validation while training: identities that are kept aside choose the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from siamese_core.arrays import Indices, Pixels
from siamese_core.metrics.pairs import make_pairs, pair_distances
from siamese_core.metrics.rates import equal_error_rate, roc
from siamese_core.network.embedding import embed
from siamese_core.network.encoders import Encoder

# Validation compares at most this many pairs: enough for the EER, cheap enough to do often.
_PAIRS = 50_000


def carve_validation(labels: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Positions to train on and positions to validate on, by identity.

    Only identities with several images are held out. There must be two of them, and two must remain to train on;
    where there are too few, nothing is held out and the last weights are kept.

    Args:
        labels: (N,) int64 identities, 0 to I − 1.
        share: Of the identities with several images.
        seed: Of the choice.
    """
    sizes = np.bincount(labels)
    pairable = np.flatnonzero(sizes >= 2)
    count = max(2, round(share * len(pairable))) if share > 0 else 0
    if count == 0 or len(pairable) - count < max(2, count):
        if share > 0:
            print(f"train: {len(pairable)} identities are too few to hold some out; the last weights are kept")
        return np.arange(len(labels)), np.empty(0, np.int64)
    chosen = np.random.default_rng([seed, 2]).permutation(pairable)[:count]
    held_out = np.isin(labels, chosen)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


class Validation:
    """The EER on identities that are not trained on; without such identities it is 0.5 throughout."""

    def __init__(self, pixels: Pixels, rows: Indices, labels: Indices, seed: int) -> None:
        """Chooses the pairs once.

        Args:
            pixels: (N, H, W, C) uint8.
            rows: (n,) rows of `pixels` to validate on, maybe none.
            labels: (n,) int64, their identities.
            seed: Of the choice of pairs.
        """
        self._pixels, self._rows = pixels, rows
        self._pairs = None
        if len(rows):
            numbers = np.unique(labels, return_inverse=True)[1].astype(np.int64)
            self._pairs = make_pairs(numbers, _PAIRS, _PAIRS, seed)

    def eer(self, encoder: Encoder) -> float:
        """The EER of an encoder, 0 to 0.5."""
        if self._pairs is None:
            return 0.5
        distances = pair_distances(embed(encoder, self._pixels, self._rows), self._pairs)
        return equal_error_rate(roc(distances.genuine, distances.impostor))[0]


@dataclass
class Best:
    """The weights with the lowest validation EER; of equals, the latest.

    Attributes:
        state: Weights by name, on the host.
        step: When they were offered.
        eer: Their EER.
    """

    state: dict[str, torch.Tensor] = field(default_factory=dict)
    step: int = 0
    eer: float = math.inf

    def offer(self, encoder: Encoder, step: int, eer: float) -> None:
        """Keeps the weights if none were better."""
        if eer <= self.eer:
            self.eer, self.step = eer, step
            self.state = {name: value.detach().cpu().clone() for name, value in encoder.state_dict().items()}

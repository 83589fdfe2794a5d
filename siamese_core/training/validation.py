"""Validation while training: held-out identities choose the weights."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field

import numpy as np

from siamese_core.data.dataset import Images
from siamese_core.metrics.pairs import make_pairs, pair_distances
from siamese_core.metrics.rates import equal_error_rate, roc
from siamese_core.network.embedding import embed
from siamese_core.network.encoders import Encoder, Weights
from siamese_core.training.checkpoint import StatefulAttributes

logger = logging.getLogger(__name__)

# Validation compares at most this many pairs: enough for the EER, cheap enough to do often.
_PAIRS = 50_000


def hold_out(images: Images, share: float, seed: int) -> tuple[Images, Images]:
    """Images to train on and images to validate on, of different identities.

    Only identities with several images are held out. There must be two of them, and two must remain to train on;
    if there are too few, nothing is held out and the last weights are kept.

    Args:
        images: All.
        share: Of the identities with several images.
        seed: Of the choice.
    """
    pairable = np.flatnonzero(np.bincount(images.labels) >= 2)
    count = max(2, round(share * len(pairable))) if share > 0 else 0
    if count and len(pairable) - count < max(2, count):
        logger.info(f"train: {len(pairable)} identities are too few to hold some out; the last weights are kept")
        count = 0
    identities = np.random.default_rng([seed, 2]).permutation(pairable)[:count]
    held_out = np.isin(images.labels, identities)
    return images.take(np.flatnonzero(~held_out)), images.take(np.flatnonzero(held_out))


class Validation:
    """The EER on identities that are not trained on; without such identities it is 0.5 throughout."""

    def __init__(self, images: Images, seed: int) -> None:
        """Choose the pairs once.

        Args:
            images: Held-out images, maybe none.
            seed: Of the choice of pairs.
        """
        self._images = images
        self._pairs = make_pairs(images.labels, _PAIRS, _PAIRS, seed) if len(images) else None

    def eer(self, encoder: Encoder) -> float:
        """The EER of an encoder, 0 to 0.5."""
        if self._pairs is None:
            return 0.5
        distances = pair_distances(embed(encoder, self._images.pixels, self._images.rows), self._pairs)
        return equal_error_rate(roc(distances.genuine, distances.impostor))[0]


@dataclass
class Best(StatefulAttributes):
    """The weights with the lowest validation EER; of equals, the latest.

    Attributes:
        weights: By name, on the host.
        step: When they were offered.
        eer: Their EER.
    """

    weights: Weights = field(default_factory=dict)
    step: int = 0
    eer: float = math.inf

    def offer(self, encoder: Encoder, step: int, eer: float) -> None:
        """Keep the weights unless there are better ones."""
        if eer <= self.eer:
            self.eer, self.step = eer, step
            self.weights = {name: value.detach().cpu().clone() for name, value in encoder.state_dict().items()}


@dataclass
class History(StatefulAttributes):
    """The course of a run.

    Attributes:
        rows: One for each validation: `step`, means since the last one, `learning_rate` and `validation_eer`.
    """

    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Steps that are done."""
        return int(self.rows[-1]["step"]) if self.rows else 0

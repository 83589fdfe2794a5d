"""The recipe of a training run."""

from __future__ import annotations

from dataclasses import dataclass

from siamese_core.config import EncoderConfig, TrainingConfig


@dataclass(frozen=True)
class Recipe:
    """All that decides a trained encoder besides its data; on a CPU, down to the bits.

    Attributes:
        encoder: The network.
        training: The loop.
        seed: Of the first weights, the held-out identities, the batches and the augmentation.
    """

    encoder: EncoderConfig
    training: TrainingConfig
    seed: int

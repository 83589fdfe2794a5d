"""Objective of a training step: a batch's embeddings and labels in, the loss out."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from siamese_core.arrays import Labels
from siamese_core.config import TrainingConfig
from siamese_core.triplets.distances import paired_squared_distances, squared_distances
from siamese_core.triplets.losses import Loss, batch_all_loss, selectively_contrastive_loss, triplet_loss
from siamese_core.triplets.mining import Miner, make_miner

_LOSSES = {"triplet": triplet_loss, "selectively_contrastive": selectively_contrastive_loss}


class Objective(NamedTuple):
    """The loss of a batch, and figures that tell whether it is learning.

    Attributes:
        loss: Scalar float32 with a gradient; zero if the batch has no triplets.
        total: Scalar float32, the sum of the losses of all triplets, whatever the reduction.
        active_share: Scalar float32, share of the triplets with a loss above zero; 0 if there are none.
        mean_distance: Scalar float32, mean squared distance of two different images of the batch.
        triplets: Number of triplets; on the host.
    """

    loss: Tensor
    total: Tensor
    active_share: Tensor
    mean_distance: Tensor
    triplets: int


def objective(
    embeddings: Tensor, labels: Labels, config: TrainingConfig, generator: torch.Generator, miner: Miner | None = None
) -> Objective:
    """Mine a batch and compute its loss, in float32 whatever the autocast, without waiting for the device.

    Args:
        embeddings: (B, D) unit vectors, with their gradient.
        labels: (B,) int64 identities, on the host.
        config: `mining`, `loss`, `margin`, `reduction` and the ranges of `batch_hard`.
        generator: Of this step, on the CPU; drawn from by `distance_weighted` only.
        miner: Takes the place of `config.mining`.
    """
    embeddings = embeddings.float()
    if miner is None and config.mining == "batch_all":
        loss, mean_distance = _all_triplets(embeddings, labels, config)
    else:
        miner = miner or make_miner(config, embeddings.shape[1], generator)
        loss, mean_distance = _mined_triplets(embeddings, labels, config, miner)
    active_share = loss.active / max(1, loss.triplets)
    return Objective(loss.value, loss.total.detach(), active_share, mean_distance, loss.triplets)


def _all_triplets(embeddings: Tensor, labels: Labels, config: TrainingConfig) -> tuple[Loss, Tensor]:
    distances = squared_distances(embeddings, embeddings)  # (B, B)
    return batch_all_loss(distances, labels, config.margin, config.reduction), _mean_distance(distances.detach())


def _mined_triplets(embeddings: Tensor, labels: Labels, config: TrainingConfig, miner: Miner) -> tuple[Loss, Tensor]:
    distances = squared_distances(embeddings.detach(), embeddings.detach())  # (B, B)
    anchor, positive, negative = miner(distances, labels)
    d_positive = paired_squared_distances(embeddings, anchor, positive)  # (T,)
    d_negative = paired_squared_distances(embeddings, anchor, negative)  # (T,)
    return _LOSSES[config.loss](d_positive, d_negative, config.margin, config.reduction), _mean_distance(distances)


def _mean_distance(distances: Tensor) -> Tensor:
    count = len(distances)
    return distances.sum() / max(1, count * (count - 1))

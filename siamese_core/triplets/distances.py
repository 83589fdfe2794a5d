"""Squared L2 distances, d(x, y) = ‖f(x) − f(y)‖², in float32 whatever the autocast."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """All squared L2 distances between two sets of embeddings.

    Args:
        x: (N, D) embeddings.
        y: (M, D) embeddings.

    Returns:
        (N, M) float32, never negative. No square root is taken, so equal embeddings have finite gradients.
    """
    with torch.autocast(x.device.type, enabled=False):
        x, y = x.float(), y.float()
        distances = x @ y.T  # (N, M)
        # ‖x‖² − 2xy + ‖y‖², in place: each copy would be another N·M floats.
        distances.mul_(-2).add_((x * x).sum(1, keepdim=True)).add_((y * y).sum(1))
        return distances.clamp_min_(0)


def paired_squared_distances(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Squared L2 distances between x[first[i]] and x[second[i]].

    Args:
        x: (N, D) embeddings.
        first: (T,) int64 rows of x.
        second: (T,) int64 rows of x.

    Returns:
        (T,) float32, from the differences, so that small distances are exact too.
    """
    x = x.float()
    # The backward of x[first] adds in the order in which threads arrive; this one always in the same.
    difference = embedding(first, x).sub_(embedding(second, x))  # (T, D)
    return (difference * difference).sum(1)

"""Squared L2 distances, d(x, y) = ‖f(x) − f(y)‖², in float32 whatever the autocast."""

from __future__ import annotations

import torch
from torch import Tensor


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
        products = x @ y.T  # (N, M)
        distances = (x * x).sum(1, keepdim=True) - 2 * products + (y * y).sum(1)
        return distances.clamp_min(0)


def paired_squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared L2 distances between x[i] and y[i].

    Args:
        x: (N, D) embeddings.
        y: (N, D) embeddings.

    Returns:
        (N,) float32.
    """
    with torch.autocast(x.device.type, enabled=False):
        difference = x.float() - y.float()
        return (difference * difference).sum(1)

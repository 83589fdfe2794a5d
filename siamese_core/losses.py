"""The triplet loss, L = max(d(A,P) − d(A,N) + α, 0)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor


def triplet_loss(
    positive: Tensor, negative: Tensor, margin: float, reduction: Literal["sum", "mean_active"] = "sum"
) -> Tensor:
    """Triplet loss over chosen triplets (FaceNet, Schroff et al. 2015, equation 3).

    Args:
        positive: (T,) d(A,P), squared L2.
        negative: (T,) d(A,N), squared L2.
        margin: α, in squared L2.
        reduction: `sum` over all triplets (the definition), or `mean_active` over those with a positive loss.

    Returns:
        A scalar; zero, with a gradient of zero, where there are no triplets.
    """
    losses = torch.relu(positive - negative + margin)  # (T,)
    if reduction == "sum":
        return losses.sum()
    return losses.sum() / (losses > 0).sum().clamp_min(1)

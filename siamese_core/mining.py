"""Triplet mining: which (anchor, positive, negative) triplets of a batch are learned from.

All miners work on the B×B distance matrix with O(B²) memory and no loop over samples. They return three
int64 index tensors of equal length.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class TripletIndices(NamedTuple):
    """Triplets as rows of the batch: three (T,) int64 tensors."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


def positive_pairs(labels: Tensor) -> tuple[Tensor, Tensor]:
    """All ordered pairs (anchor, positive) of the same identity, an image with itself left out.

    Args:
        labels: (B,) int64 identities.

    Returns:
        Anchor and positive, two (M,) int64 tensors, anchors ascending.
    """
    same = labels[:, None] == labels[None, :]  # (B, B)
    same.fill_diagonal_(False)
    anchor, positive = same.nonzero(as_tuple=True)
    return anchor, positive


def semi_hard(distances: Tensor, labels: Tensor) -> TripletIndices:
    """For each positive pair, the nearest negative that is farther than the positive.

    That is d(A,P) < d(A,N) with d(A,N) as close to d(A,P) as the batch allows. Where every negative is nearer
    than the positive, the farthest of them is taken (FaceNet, Schroff et al. 2015, section 3.2: the hardest
    negatives lead to collapse early in training).

    Args:
        distances: (B, B) squared distances.
        labels: (B,) int64 identities.

    Returns:
        One triplet for each positive pair; none if the batch has one identity only.
    """
    anchor, positive = positive_pairs(labels)
    negatives = labels[:, None] != labels[None, :]  # (B, B)
    count = negatives.sum(1)  # (B,)
    # Rows sorted with the non-negatives pushed to the end: a binary search then finds the nearest negative
    # beyond each positive, in O(B² log B) instead of B³ comparisons.
    ordered, order = distances.masked_fill(~negatives, torch.inf).sort(dim=1)
    position = torch.searchsorted(ordered, distances, right=True)[anchor, positive]  # (M,)
    position = torch.minimum(position, count[anchor] - 1)
    has_negative = count[anchor] > 0
    anchor, positive, position = anchor[has_negative], positive[has_negative], position[has_negative]
    return TripletIndices(anchor, positive, order[anchor, position])


def batch_hard(distances: Tensor, labels: Tensor) -> TripletIndices:
    """For each anchor, its farthest positive and its nearest negative (Hermans et al. 2017, section 2).

    Args:
        distances: (B, B) squared distances.
        labels: (B,) int64 identities.

    Returns:
        One triplet for each anchor that has a positive and a negative.
    """
    same = labels[:, None] == labels[None, :]  # (B, B)
    positives = same.clone().fill_diagonal_(False)
    usable = (positives.any(1) & ~same.all(1)).nonzero().squeeze(1)  # (T,)
    hardest_positive = distances.masked_fill(~positives, -torch.inf).argmax(1)
    hardest_negative = distances.masked_fill(same, torch.inf).argmin(1)
    return TripletIndices(usable, hardest_positive[usable], hardest_negative[usable])


MINERS: dict[str, Callable[[Tensor, Tensor], TripletIndices]] = {
    "semi_hard": semi_hard,
    "batch_hard": batch_hard,
}

"""The triplet loss, L = max(d(A,P) − d(A,N) + α, 0), over mined triplets or over all."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from siamese_core.arrays import Labels
from siamese_core.triplets.positives import Positives

Reduction = Literal["sum", "mean_active"]


class Loss(NamedTuple):
    """A loss over triplets.

    Attributes:
        value: Scalar float32; zero, with a gradient of zero, if there are no triplets.
        total: Scalar float32, the sum over all triplets; `value` itself with the reduction `sum`.
        active: Scalar int64, number of triplets with a loss above zero.
        triplets: Number of all; on the host.
    """

    value: Tensor
    total: Tensor
    active: Tensor
    triplets: int


def triplet_loss(positive: Tensor, negative: Tensor, margin: float, reduction: Reduction = "sum") -> Loss:
    """Triplet loss over mined triplets (FaceNet, Schroff et al. 2015, equation 3).

    Args:
        positive: (T,) d(A,P), squared L2.
        negative: (T,) d(A,N), squared L2.
        margin: α, in squared L2.
        reduction: `sum` over all triplets (the definition), or `mean_active` over those with a positive loss.
    """
    losses = torch.relu(positive - negative + margin)  # (T,)
    return _reduce(losses.sum(), (losses > 0).sum(), len(losses), reduction)


def selectively_contrastive_loss(
    positive: Tensor, negative: Tensor, margin: float, reduction: Reduction = "sum"
) -> Loss:
    """The triplet loss without its pull where the negative is nearer than the positive.

    In such a triplet the pull on the positive drags the anchor to the negative as well, which collapses; so there
    only the negative is pushed away (Xuan et al. 2020, "Hard negative examples are hard, but useful", section 4).
    Their λ, the strength of that push, is the one of the triplet loss, and d(A,P) stays in the value as a constant:
    the value is the triplet loss, and has no step where the two orders meet.

    Args:
        positive: (T,) d(A,P), squared L2.
        negative: (T,) d(A,N), squared L2.
        margin: α, in squared L2.
        reduction: As in `triplet_loss`.
    """
    positive = torch.where(negative < positive, positive.detach(), positive)
    return triplet_loss(positive, negative, margin, reduction)


def batch_all_loss(distances: Tensor, labels: Labels, margin: float, reduction: Reduction = "sum") -> Loss:
    """The triplet loss over all triplets of a batch (Hermans et al. 2017, section 2, "batch all").

    No triplet is written out. For a positive pair, the negatives with a loss are those nearer than d(A,P) + α:
    the first k of the sorted row. Their losses sum to k · (d(A,P) + α) less the sum of those k distances, which is a
    difference of cumulated sums: O(B² log B) time and O(B²) memory for B³ triplets. k has no gradient, so the
    gradient is exact.

    Args:
        distances: (B, B) squared distances, with their gradient.
        labels: (B,) int64 identities, on the host.
        margin: α, in squared L2.
        reduction: As in `triplet_loss`.
    """
    positives = Positives.of(labels)
    on = positives.on(distances.device)
    reach = distances[on.anchor[:, None], on.member] + margin  # (A, S)
    ordered = distances[on.anchor].scatter(1, on.member, torch.inf).sort(dim=1).values  # (A, B), negatives first
    # Beyond the negatives the sums are infinite, but no k reaches there.
    sums = pad(ordered.cumsum(1), (1, 0))  # (A, B + 1)
    nearer = torch.searchsorted(ordered.detach(), reach.detach())  # (A, S)
    nearer = torch.minimum(nearer, on.negatives).masked_fill(~on.is_positive, 0)
    losses = nearer * reach - sums.gather(1, nearer)  # (A, S)
    triplets = int((positives.is_positive.sum(1, keepdims=True) * positives.negatives).sum())
    return _reduce(losses.sum(), nearer.sum(), triplets, reduction)


def _reduce(total: Tensor, active: Tensor, triplets: int, reduction: Reduction) -> Loss:
    value = total if reduction == "sum" else total / active.clamp_min(1)
    return Loss(value, total, active, triplets)

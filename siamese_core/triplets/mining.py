"""Triplet mining: choice of the (anchor, positive, negative) triplets of a batch to learn from.

A miner reads the B×B distance matrix, on any device, and the labels, on the host. It needs O(B²) memory, has no
loop over samples, and never waits for a GPU: the number of triplets follows from the labels.

A miner gives no triplets if no anchor has both a positive and a negative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from siamese_core.arrays import Labels
from siamese_core.config import TrainingConfig
from siamese_core.devices import send
from siamese_core.triplets.positives import Positives, PositiveTensors

# Numbers compared at once: few enough for a processor's cache, enough to keep a GPU busy.
_BLOCK_NUMBERS = 2**19
_LARGEST = 2**31 - 1

# Wu et al. 2017, section 4 and the authors' code: below 0.5 the weight no longer grows, and beyond 1.4 a negative
# teaches nothing. Squared here.
_NEAR, _FAR = 0.5**2, 1.4**2


class TripletIndices(NamedTuple):
    """Triplets as rows of the batch: three (T,) int64 tensors."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


Miner = Callable[[Tensor, Labels], TripletIndices]
"""(B, B) float32 squared distances without gradient and (B,) int64 labels on the host → triplets."""


def make_miner(config: TrainingConfig, dimension: int, generator: torch.Generator) -> Miner:
    """The miner that `config.mining` names, with its options bound.

    Args:
        config: The loop.
        dimension: D, the length of the embeddings.
        generator: On the CPU; the only source of chance.

    Raises:
        KeyError: `batch_all`, which learns from all triplets and needs no miner (`losses.batch_all`).
    """
    miners: dict[str, Miner] = {
        "semi_hard": semi_hard,
        "batch_hard": partial(batch_hard, positives=config.hardest_positives, negatives=config.hardest_negatives),
        "easy_positive": easy_positive,
        "distance_weighted": partial(distance_weighted, dimension=dimension, generator=generator),
    }
    return miners[config.mining]


def semi_hard(distances: Tensor, labels: Labels) -> TripletIndices:
    """Take for each positive pair the nearest negative that is farther than the positive.

    That is d(A,P) < d(A,N) with d(A,N) as close to d(A,P) as the batch allows. If every negative is nearer
    than the positive, the farthest of them is taken (FaceNet, Schroff et al. 2015, section 3.2: the hardest
    negatives lead to collapse early in training).

    Args:
        distances: (B, B) squared distances.
        labels: (B,) int64 identities, on the host.

    Returns:
        One triplet for each positive pair.
    """
    positives = Positives.of(labels)
    on = positives.on(distances.device)
    d_positive = distances[on.anchor[:, None], on.member]  # (A, S)
    return _each_pair(positives, on, _nearest_beyond(distances, on, d_positive))


def batch_hard(
    distances: Tensor,
    labels: Labels,
    positives: tuple[int, int] = (1, 1),
    negatives: tuple[int, int] = (1, 1),
) -> TripletIndices:
    """Take for each anchor its farthest positive and its nearest negative (Hermans et al. 2017, section 2).

    Or a range of hard ones: with noisy labels the very hardest are the wrongly labelled, so `(2, 3)` skips the first.

    Args:
        distances: (B, B) squared distances.
        labels: (B,) int64 identities, on the host.
        positives: First and last rank of the positives, 1 being the farthest.
        negatives: First and last rank of the negatives, 1 being the nearest.

    Returns:
        For each anchor, every positive of the one range with every negative of the other; ranks beyond an anchor's
        positives or negatives are left out.
    """
    pairs = Positives.of(labels)
    on = pairs.on(distances.device)
    to_positives = distances[on.anchor[:, None], on.member].masked_fill(~on.is_positive, -torch.inf)  # (A, S)
    to_negatives = _to_negatives(distances, on.anchor, on.member)  # (A, B)
    farthest = on.member.gather(1, _ranked(to_positives, positives, largest=True))  # (A, ranks of positives)
    nearest = _ranked(to_negatives, negatives, largest=False)  # (A, ranks of negatives)
    has_positive = _ranks(positives, farthest.shape[1]) <= pairs.is_positive.sum(1, keepdims=True)
    has_negative = _ranks(negatives, nearest.shape[1]) <= pairs.negatives
    places = np.nonzero(has_positive[:, :, np.newaxis] & has_negative[:, np.newaxis, :])
    row, i, j = (send(place, distances.device) for place in places)
    return TripletIndices(on.anchor[row], farthest[row, i], nearest[row, j])


def easy_positive(distances: Tensor, labels: Labels) -> TripletIndices:
    """Take for each anchor its nearest positive with a semi-hard negative (Xuan et al. 2020, EPSHN).

    "Improved embeddings with easy positive triplet mining", section 3: an image need be near one image of its
    identity only, so that an identity may keep its variety.

    Args:
        distances: (B, B) squared distances.
        labels: (B,) int64 identities, on the host.

    Returns:
        One triplet for each anchor; its negative is chosen as `semi_hard` does.
    """
    on = Positives.of(labels).on(distances.device)
    d_positive = distances[on.anchor[:, None], on.member].masked_fill(~on.is_positive, torch.inf)  # (A, S)
    nearest, place = d_positive.min(1, keepdim=True)  # (A, 1)
    negative = _nearest_beyond(distances, on, nearest)  # (A, 1)
    return TripletIndices(on.anchor, on.member.gather(1, place).squeeze(1), negative.squeeze(1))


def distance_weighted(distances: Tensor, labels: Labels, dimension: int, generator: torch.Generator) -> TripletIndices:
    """Draw for each positive pair a random negative, such that all distances come up equally often.

    Between random points of a sphere in D dimensions nearly all distances are near √2: a uniformly drawn negative
    is an easy one. So a negative at distance d is drawn with a probability ∝ 1 / q(d), where
    q(d) ∝ d^(D−2) · (1 − d²/4)^((D−3)/2) is the density of such distances (Wu et al. 2017, "Sampling matters in deep
    embedding learning", section 4). Distances below 0.5 weigh as much as 0.5; negatives beyond 1.4 are left out,
    except if an anchor has no others: then they are drawn uniformly.

    Args:
        distances: (B, B) squared distances of unit vectors.
        labels: (B,) int64 identities, on the host.
        dimension: D, the length of the embeddings.
        generator: On the CPU, so that the same draws are made for every device.

    Returns:
        One triplet for each positive pair.
    """
    positives = Positives.of(labels)
    on = positives.on(distances.device)
    uniform = send(torch.rand(positives.member.shape, generator=generator), distances.device)  # (A, S)
    negatives = []
    for rows in _blocks(len(positives.anchor), len(labels)):
        weights = _inverse_density(_to_negatives(distances, on.anchor[rows], on.member[rows]), dimension)
        negatives.append(_draw(weights, uniform[rows]))
    return _each_pair(positives, on, torch.cat(negatives))


def _each_pair(positives: Positives, on: PositiveTensors, negative: Tensor) -> TripletIndices:
    """Triplets of all positive pairs, anchors ascending, given the negative for each place; (A, S) int64."""
    row, column = (send(place, negative.device) for place in np.nonzero(positives.is_positive))  # (T,)
    return TripletIndices(on.anchor[row], on.member[row, column], negative[row, column])


def _nearest_beyond(distances: Tensor, on: PositiveTensors, threshold: Tensor) -> Tensor:
    """The nearest negative beyond each threshold, (A, R), of an anchor, or else its farthest; (A, R) int64."""
    negatives = []
    for rows in _blocks(len(on.anchor), threshold.shape[1] * distances.shape[1]):
        to_negatives = _to_negatives(distances, on.anchor[rows], on.member[rows])  # (block, B)
        nearest = _first_beyond(to_negatives, threshold[rows])  # (block, R)
        farthest = to_negatives.masked_fill(torch.isinf(to_negatives), -1).argmax(1, keepdim=True)  # (block, 1)
        none_beyond = torch.isinf(to_negatives.gather(1, nearest))
        negatives.append(torch.where(none_beyond, farthest, nearest))
    return torch.cat(negatives)


def _first_beyond(values: Tensor, threshold: Tensor) -> Tensor:
    """Find in each row the column of the smallest value above each threshold.

    The bits of floats that are not negative, read as integers, are in the same order. Added to the difference of the
    largest integer and a threshold, those above the threshold overflow, and no other: they become negative, and stay
    in order. So one addition and one argmin replace a comparison, a masked copy and an argmin, four times as fast;
    and a sort would take eight times as long.

    Args:
        values: (A, B) float32, at least 0, with an infinity in each row.
        threshold: (A, R) float32, at least 0 and finite.

    Returns:
        (A, R) int64; the column of an infinity if no other value is above the threshold.
    """
    lacking = _LARGEST - threshold.view(torch.int32)  # (A, R)
    return (values.view(torch.int32)[:, None, :] + lacking[:, :, None]).argmin(2)  # (A, R, B) before argmin


def _to_negatives(distances: Tensor, anchor: Tensor, member: Tensor) -> Tensor:
    """Distances from the anchors, (A, B), with infinity for the images of the anchor's own identity."""
    return distances[anchor].scatter_(1, member, torch.inf)


def _ranked(distances: Tensor, ranks: tuple[int, int], largest: bool) -> Tensor:
    """The columns from the first to the last rank in each row; fewer if a row is shorter."""
    last = min(ranks[1], distances.shape[1])
    return distances.topk(last, dim=1, largest=largest).indices[:, ranks[0] - 1 :]


def _ranks(ranks: tuple[int, int], count: int) -> Labels:
    return np.arange(ranks[0], ranks[0] + count)


def _inverse_density(distances: Tensor, dimension: int) -> Tensor:
    """Weights that sum to 1 in each row, (A, B); zero for an infinite distance."""
    informative = distances < _FAR
    # Without an informative negative all count, and the clamp below makes them equal.
    informative |= torch.isfinite(distances) & ~informative.any(1, keepdim=True)
    squared = distances.clamp(_NEAR, _FAR)
    log_density = (dimension - 2) / 2 * squared.log() + (dimension - 3) / 2 * torch.log1p(-squared / 4)
    return log_density.neg().masked_fill(~informative, -torch.inf).softmax(1)


def _draw(weights: Tensor, uniform: Tensor) -> Tensor:
    """Draw columns with the weights of their row, by the inverse of the cumulated weights.

    Args:
        weights: (A, B) float32, at least one above zero in each row.
        uniform: (A, R) float32, in [0, 1).

    Returns:
        (A, R) int64; never a column with a weight of zero.
    """
    cumulated = weights.cumsum(1)
    total = cumulated[:, -1:]
    # Rounding must not lift a target to the total: beyond it there is no column.
    target = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    # A NaN finds no column at all: the loss, not an index, must tell.
    return torch.searchsorted(cumulated, target, right=True).clamp_max(cumulated.shape[1] - 1)


def _blocks(rows: int, numbers: int) -> Iterator[slice]:
    """Slices of rows with so many numbers each, about `_BLOCK_NUMBERS` in a slice; at least one, if an empty one."""
    size = max(1, _BLOCK_NUMBERS // numbers)
    return (slice(start, start + size) for start in range(0, max(1, rows), size))

"""The positive pairs of a batch, worked out on the host, where the labels are.

The number of pairs depends on the labels alone. So a GPU is never asked: all sizes and index tensors are
made with NumPy in O(B log B + pairs), and go over without waiting.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from siamese_core.arrays import Labels
from siamese_core.devices import send


class PositiveTensors(NamedTuple):
    """The arrays of `Positives` that miners read, on the device.

    Attributes:
        anchor: (A,) int64.
        member: (A, S) int64.
        is_positive: (A, S) bool.
        negatives: (A, 1) int64.
    """

    anchor: Tensor
    member: Tensor
    is_positive: Tensor
    negatives: Tensor


class Positives(NamedTuple):
    """Anchors of a batch and the images of their identities; S is the size of the largest identity.

    Attributes:
        anchor: (A,) int64 rows of the batch that have a positive and a negative, ascending.
        member: (A, S) int64 rows of the anchor's identity, the anchor among them, ascending; if there are fewer
            than S, the last is repeated.
        is_positive: (A, S) bool, false for the anchor itself and for repeated rows.
        negatives: (A, 1) int64, number of negatives of each anchor.
    """

    anchor: Labels
    member: Labels
    is_positive: npt.NDArray[np.bool_]
    negatives: Labels

    @classmethod
    def of(cls, labels: Labels) -> Positives:
        """Find the pairs.

        Args:
            labels: (B,) int64 identities, on the host.
        """
        _, identity, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        order = np.argsort(identity, kind="stable")
        size = sizes[identity]  # (B,)
        anchor = np.flatnonzero((size > 1) & (size < len(labels)))
        first = (np.cumsum(sizes) - sizes)[identity[anchor], np.newaxis]  # (A, 1)
        size = size[anchor, np.newaxis]  # (A, 1)
        turn = np.arange(size.max(initial=1))  # (S,)
        member = order[first + np.minimum(turn, size - 1)]  # (A, S)
        is_positive = (turn < size) & (member != anchor[:, np.newaxis])
        return cls(anchor, member, is_positive, len(labels) - size)

    def on(self, device: torch.device) -> PositiveTensors:
        """The same, on a device."""
        return PositiveTensors._make(send(array, device) for array in self)

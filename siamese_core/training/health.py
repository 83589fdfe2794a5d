"""Health of training: measures of whether the encoder still tells images apart.

A collapsed encoder maps every image to one point: all distances are 0, every triplet is active, and its loss is
exactly α. Plain hardest-negative mining gets there within minutes on real data (Schroff et al. 2015, section 3.2),
and no gradient leads back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

# In units of the margin. Below the first no triplet can be satisfied; healthy runs stay far above the second.
_COLLAPSED_DISTANCE, _NARROW_DISTANCE = 0.25, 0.5
_COLLAPSED_LOSS = 0.1  # |triplet loss − α| in units of α
_NARROW_RANK = 2.0

Condition = Literal["healthy", "narrow", "collapsed"]


@dataclass(frozen=True)
class Health:
    """Means over some batches.

    Attributes:
        batches: Their number.
        loss: The loss of a batch, as it is minimised.
        distance: Mean squared distance over all pairs of a batch, 0 to 4; 0 means that all embeddings are equal.
        effective_rank: Dimensions that the embeddings of a batch really use, 1 to D.
        active: Share of the triplets with a positive loss.
        triplet_loss: Loss per triplet; exactly α where all embeddings are equal.
    """

    batches: int
    loss: float
    distance: float
    effective_rank: float
    active: float
    triplet_loss: float

    @classmethod
    def mean(cls, parts: Sequence[Health]) -> Health:
        """The mean of several, each weighted by its batches."""
        batches = [part.batches for part in parts]
        means = np.average([list(part.figures().values()) for part in parts], axis=0, weights=batches)
        return cls(sum(batches), *means.tolist())

    def figures(self) -> dict[str, float]:
        """All means by name."""
        return {name: value for name, value in asdict(self).items() if name != "batches"}

    def condition(self, margin: float) -> Condition:
        """Condition of the encoder: `collapsed`; `narrow`, which often comes before; or `healthy`."""
        stuck = abs(self.triplet_loss - margin) < _COLLAPSED_LOSS * margin
        if self.distance < _COLLAPSED_DISTANCE * margin and stuck:
            return "collapsed"
        narrow = self.distance < _NARROW_DISTANCE * margin or self.effective_rank < _NARROW_RANK
        return "narrow" if narrow else "healthy"

    def __str__(self) -> str:
        return (
            f"mean distance {self.distance:.3g}, effective rank {self.effective_rank:.1f}, "
            f"{self.active:.0%} of the triplets active, loss per triplet {self.triplet_loss:.3g}"
        )


def effective_rank(embeddings: Tensor) -> Tensor:
    """The participation ratio of the covariance's eigenvalues, (Σλ)² / Σλ², without computing them.

    It is D for embeddings that spread evenly over D dimensions and 1 for embeddings on a line (Gao et al. 2017,
    "A theory of multineuronal dimensionality, dynamics and measurement").

    Args:
        embeddings: (B, D) float32.

    Returns:
        A scalar on the same device, 0 where all embeddings are equal.
    """
    centred = embeddings - embeddings.mean(dim=0)  # (B, D)
    covariance = centred.T @ centred  # (D, D)
    # Both traces of order B² ε² vanish together where all embeddings are equal up to rounding.
    return covariance.trace().square() / covariance.square().sum().clamp_min(torch.finfo(torch.float32).tiny)

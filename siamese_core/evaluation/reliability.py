"""Reliability: of the pairs that were given a probability of "same", how many are genuine?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from siamese_core.calibration.operating_points import Calibration
from siamese_core.evaluation.results import ReliabilityBin
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import PairDistances

Probabilities = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]

_BINS = 10


def reliability(
    distances: PairDistances, calibration: Calibration, bootstrap: IdentityBootstrap, confidence: float
) -> list[ReliabilityBin]:
    """Groups pairs by probability and compares it with the share of genuine pairs (DeGroot & Fienberg 1983).

    All genuine pairs together weigh as much as all impostor pairs, which is what the probability stands for; each
    group has about a tenth of that weight.

    Args:
        distances: Of the test pairs.
        calibration: Gives the probabilities.
        bootstrap: Of the same pairs, over identities.
        confidence: Level of the intervals.

    Returns:
        The groups, by ascending probability; fewer than ten where many probabilities are equal.
    """
    given = [calibration.probability(kind) for kind in (distances.genuine, distances.impostor)]
    weights = [np.full(len(kind), 1 / len(kind)) for kind in given]
    edges = _weighted_quantiles(np.concatenate(given), np.concatenate(weights))
    genuine, impostor = (np.searchsorted(edges, kind, side="right") for kind in given)
    found = []
    for place in range(len(edges) + 1):
        chosen = genuine == place, impostor == place
        mass = [mask.mean() for mask in chosen]
        if not sum(mass):
            continue
        total = sum(float(kind[mask].sum()) / len(kind) for kind, mask in zip(given, chosen, strict=True))
        share = mass[0] / sum(mass)
        low, high = np.quantile(_shares(bootstrap, *chosen), [(1 - confidence) / 2, (1 + confidence) / 2])
        found.append(
            ReliabilityBin(
                probability=float(total / sum(mass)),
                genuine=float(share),
                low=float(min(low, share)),
                high=float(max(high, share)),
                pairs=sum(int(mask.sum()) for mask in chosen),
            )
        )
    return found


def _weighted_quantiles(values: Probabilities, weights: Probabilities) -> Probabilities:
    """Distinct values that cut the weight into about equal parts."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    places = np.searchsorted(reached, np.arange(1, _BINS) / _BINS)
    return np.unique(values[order][places])


def _shares(bootstrap: IdentityBootstrap, genuine: Chosen, impostor: Chosen) -> Probabilities:
    """(R',): the share of genuine pairs in each draw that has any pair of the group."""
    ours, theirs = bootstrap.shares(genuine, impostor)
    drawn = ours + theirs > 0
    return ours[drawn] / (ours + theirs)[drawn] if drawn.any() else np.array([0.0, 1.0])

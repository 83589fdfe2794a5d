"""Reliability: the share of genuine pairs among those with about the same probability of "same"."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from siamese_core.calibration.operating_points import Calibration
from siamese_core.evaluation.results import ReliabilityBin
from siamese_core.metrics.bootstrap import IdentityBootstrap, Mask, Resamples

Probabilities = npt.NDArray[np.float64]

_BINS = 10


def reliability(bootstrap: IdentityBootstrap, calibration: Calibration) -> list[ReliabilityBin]:
    """Put pairs of about equal probability together, and measure the share of genuine ones (DeGroot & Fienberg 1983).

    All genuine pairs together weigh as much as all impostor pairs, which is what the probability stands for; each
    bin has about a tenth of that weight.

    Args:
        bootstrap: Distances of the test pairs, and resamples of their identities.
        calibration: Gives the probabilities.

    Returns:
        The bins, by ascending probability; fewer than ten where many probabilities are equal.
    """
    distances = bootstrap.distances
    probabilities = [calibration.probability(kind) for kind in (distances.genuine, distances.impostor)]
    weights = [np.full(len(kind), 1 / len(kind)) for kind in probabilities]
    edges = _weighted_quantiles(np.concatenate(probabilities), np.concatenate(weights))
    genuine, impostor = (np.searchsorted(edges, kind, side="right") for kind in probabilities)
    bins = []
    for place in range(len(edges) + 1):
        masks = genuine == place, impostor == place
        mass = [mask.mean() for mask in masks]
        if not sum(mass):
            continue
        total = sum(float(kind[mask].sum()) / len(kind) for kind, mask in zip(probabilities, masks, strict=True))
        share = mass[0] / sum(mass)
        low, high = bootstrap.interval(_shares(bootstrap.resamples, *masks))
        bins.append(
            ReliabilityBin(
                probability=float(total / sum(mass)),
                genuine=float(share),
                low=float(min(low, share)),
                high=float(max(high, share)),
                pairs=sum(int(mask.sum()) for mask in masks),
            )
        )
    return bins


def _weighted_quantiles(values: Probabilities, weights: Probabilities) -> Probabilities:
    """Distinct values that cut the weight into about equal parts."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    places = np.searchsorted(reached, np.arange(1, _BINS) / _BINS)
    return np.unique(values[order][places])


def _shares(resamples: Resamples, genuine: Mask, impostor: Mask) -> Probabilities:
    """(R',): the share of genuine pairs in each resample that has any pair of the bin."""
    ours, theirs = resamples.shares(genuine, impostor)
    filled = ours + theirs > 0
    return ours[filled] / (ours + theirs)[filled] if filled.any() else np.array([0.0, 1.0])

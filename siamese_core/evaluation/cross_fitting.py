"""Cross-fitting: all held-out identities set the thresholds and are measured, but no pair by a threshold that it set.

Identities are dealt into folds; a pair is judged by the thresholds of the identities outside its one or two folds
(Stone 1974, "Cross-validatory choice and assessment of statistical predictions").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np

from siamese_core.arrays import Distances, Indices
from siamese_core.calibration.operating_points import thresholds_as_asked
from siamese_core.config import CalibrationConfig
from siamese_core.errors import DataError
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import Rate


def cross_fitted(
    bootstrap: IdentityBootstrap, names: list[str], config: CalibrationConfig, seed: int
) -> Callable[[str], tuple[Rate, Rate]]:
    """Find the thresholds of all folds.

    Args:
        bootstrap: Of all held-out identities.
        names: Operating points.
        config: Targets and folds.
        seed: Of the deal.

    Returns:
        Name → (FMR, FNMR).

    Raises:
        DataError: The identities outside two folds have no genuine or no impostor pairs.
    """
    distances = bootstrap.distances
    fold = np.random.default_rng(seed).permutation(distances.identities) % config.folds  # (I,)
    limits = _limits(distances, fold, names, config)
    genuine, (first, second) = fold[distances.genuine_identity], fold[distances.impostor_identities].T

    def rates(name: str) -> tuple[Rate, Rate]:
        limit = limits[name]
        # d < t is d − t < 0 to the last bit, so that one threshold serves all folds.
        beyond = replace(
            distances,
            genuine=distances.genuine - limit[genuine, genuine],
            impostor=distances.impostor - limit[first, second],
        )
        return bootstrap.with_distances(beyond).rates(0.0)

    return rates


def _limits(
    distances: PairDistances, fold: Indices, names: list[str], config: CalibrationConfig
) -> dict[str, Distances]:
    """Name → (F, F) thresholds for a pair of two folds."""
    limits = {name: np.zeros((config.folds, config.folds)) for name in names}
    for first, second in combinations_with_replacement(range(config.folds), 2):
        thresholds = thresholds_as_asked(_outside(distances, (fold != first) & (fold != second), config), names, config)
        for name, threshold in thresholds.items():
            limits[name][[first, second], [second, first]] = threshold.value
    return limits


def _outside(distances: PairDistances, members: Indices, config: CalibrationConfig) -> PairDistances:
    """The pairs of some identities, (I,) bool."""
    genuine, impostor = members[distances.genuine_identity], members[distances.impostor_identities].all(axis=1)
    if not genuine.any() or not impostor.any():
        raise DataError(
            f"calibration.folds: {config.folds} leaves a fold's thresholds without genuine or impostor pairs: "
            f"{distances.identities} identities do not train, and too few of them have two images. Add identities."
        )
    return replace(
        distances,
        genuine=distances.genuine[genuine],
        impostor=distances.impostor[impostor],
        genuine_identity=distances.genuine_identity[genuine],
        impostor_identities=distances.impostor_identities[impostor],
    )

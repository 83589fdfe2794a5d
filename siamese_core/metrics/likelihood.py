"""Quality of distances as evidence: the log-likelihood-ratio cost Cllr, and its minimum (Brümmer & du Preez 2006).

"Application-independent evaluation of speaker detection", Computer Speech & Language 20. A system that always says
"equally likely" costs 1; a perfect one 0. What Cllr is above its minimum is lost by a poor calibration.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import check_finite

LogRatios = npt.NDArray[np.float64]


def cllr(genuine: LogRatios, impostor: LogRatios) -> float:
    """Cllr = ½ · (mean of log₂(1 + e^−s) over genuine pairs + mean of log₂(1 + e^s) over impostor pairs).

    Args:
        genuine: (G,) natural logarithms s of the likelihood ratio genuine : impostor.
        impostor: (M,) the same for impostor pairs.

    Returns:
        Bits a pair, where both kinds are equally likely; at least 0, without an upper bound.

    Raises:
        DataError: One kind of pairs is missing, or a value is not finite.
    """
    check_finite(genuine=genuine, impostor=impostor)
    bits = np.logaddexp(0, -genuine).mean() + np.logaddexp(0, impostor).mean()
    return float(bits / 2 / np.log(2))


def min_cllr(genuine: npt.NDArray[np.float64], impostor: npt.NDArray[np.float64]) -> float:
    """Cllr at the best that any calibration without a change of order could do, by pool-adjacent-violators (PAV).

    Args:
        genuine: (G,) distances of genuine pairs.
        impostor: (M,) distances of impostor pairs.

    Returns:
        Between 0 (the kinds are apart) and 1 (the distances tell nothing).

    Raises:
        DataError: One kind of pairs is missing, or a distance is not finite.
    """
    check_finite(genuine=genuine, impostor=impostor)
    posterior, genuine_in, impostor_in = _pooled(genuine, impostor)
    # An empty kind weighs 0, whatever its logarithm.
    genuine_bits = genuine_in @ -np.log2(np.where(genuine_in > 0, posterior, 1))
    impostor_bits = impostor_in @ -np.log2(np.where(impostor_in > 0, 1 - posterior, 1))
    return float(genuine_bits + impostor_bits) / 2


def _pooled(genuine: LogRatios, impostor: LogRatios) -> tuple[LogRatios, LogRatios, LogRatios]:
    """For each distinct distance the PAV probability of "genuine", and the share of each kind that lies there."""
    from sklearn.isotonic import isotonic_regression  # here, so that a verifier starts without it

    values, place = np.unique(np.concatenate([genuine, impostor]), return_inverse=True)
    shares = [
        np.bincount(place[: len(genuine)], minlength=len(values)) / len(genuine),
        np.bincount(place[len(genuine) :], minlength=len(values)) / len(impostor),
    ]
    weight = shares[0] + shares[1]
    posterior = isotonic_regression(shares[0] / weight, sample_weight=weight, y_min=0, y_max=1, increasing=False)
    return posterior, shares[0], shares[1]

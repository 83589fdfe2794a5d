"""Error rates of verification, in the terms of ISO/IEC 19795-1, exact and with ties handled.

A pair matches when its distance is *below* the threshold. FMR is the share of impostor pairs that match, FNMR
the share of genuine pairs that do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Distances, check_finite

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rate:
    """An error rate with its interval.

    Attributes:
        value: errors / pairs.
        low: Lower end of the interval.
        high: Upper end of the interval.
        errors: Pairs that were decided wrongly.
        pairs: Pairs in all.
    """

    value: float
    low: float
    high: float
    errors: int
    pairs: int

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.low:.2%} to {self.high:.2%})"


@dataclass(frozen=True)
class Roc:
    """FMR and FNMR at every threshold where one of them changes.

    Attributes:
        thresholds: (T,) ascending; the last is above every distance.
        fmr: (T,) ascending.
        fnmr: (T,) descending.
    """

    thresholds: Curve
    fmr: Curve
    fnmr: Curve


def fmr_at(impostor: Distances, threshold: float) -> float:
    """Share of impostor distances below the threshold.

    Raises:
        DataError: There are no distances, or not all of them are finite.
    """
    check_finite(impostor=impostor)
    return float(np.mean(impostor < threshold))


def fnmr_at(genuine: Distances, threshold: float) -> float:
    """Share of genuine distances at or above the threshold.

    Raises:
        DataError: There are no distances, or not all of them are finite.
    """
    check_finite(genuine=genuine)
    return float(np.mean(genuine >= threshold))


def threshold_at_fmr(impostor: Distances, target: float) -> float:
    """The largest threshold whose FMR is *at most* the target.

    Args:
        impostor: (M,) distances, in any order.
        target: Between 0 and 1.

    Returns:
        One of the distances: with k = ⌊target · M⌋, the (k+1)-th smallest. At most k distances lie below it, and
        any larger threshold would have more, ties included.

    Raises:
        DataError: There are no distances, or not all of them are finite.
    """
    check_finite(impostor=impostor)
    place = min(int(np.floor(target * len(impostor) * (1 + 1e-12))), len(impostor) - 1)
    return float(np.partition(impostor, place)[place])


def roc(genuine: Distances, impostor: Distances) -> Roc:
    """The exact curve, by sorting.

    Raises:
        DataError: One kind of pairs is missing, or a distance is not finite.
    """
    check_finite(genuine=genuine, impostor=impostor)
    genuine, impostor = np.sort(genuine), np.sort(impostor)
    every = np.sort(np.concatenate([genuine, impostor]), kind="stable")  # which merges what is in order already
    thresholds = every[np.append(True, every[1:] != every[:-1])]
    thresholds = np.append(thresholds, np.nextafter(thresholds[-1], np.inf))
    fmr = np.searchsorted(impostor, thresholds, side="left") / len(impostor)
    fnmr = 1 - np.searchsorted(genuine, thresholds, side="left") / len(genuine)
    return Roc(thresholds, fmr, fnmr)


def equal_error_rate(curve: Roc) -> tuple[float, float]:
    """The EER and its threshold: where FMR and FNMR are closest, the mean of the two.

    Returns:
        (rate, threshold).
    """
    gap = np.abs(curve.fmr - curve.fnmr)
    best = int(np.argmin(gap))
    return float((curve.fmr[best] + curve.fnmr[best]) / 2), float(curve.thresholds[best])


def best_accuracy(curve: Roc) -> tuple[float, float]:
    """The highest balanced accuracy, 1 − (FMR + FNMR) / 2, and its threshold.

    Where a range of thresholds is equally good, the middle one is taken: it is the least sensitive.

    Returns:
        (accuracy, threshold).
    """
    accuracy = 1 - (curve.fmr + curve.fnmr) / 2
    best = np.flatnonzero(accuracy == accuracy.max())
    return float(accuracy.max()), float(curve.thresholds[best[len(best) // 2]])


def area_under_roc(genuine: Distances, impostor: Distances) -> float:
    """The probability that a genuine pair is nearer than an impostor pair; ties count half.

    Raises:
        DataError: One kind of pairs is missing, or a distance is not finite.
    """
    check_finite(genuine=genuine, impostor=impostor)
    ordered = np.sort(impostor)
    below = np.searchsorted(ordered, genuine, side="left")
    up_to = np.searchsorted(ordered, genuine, side="right")
    return float(1 - (below + up_to).mean() / 2 / len(impostor))


def sensitivity_index(genuine: Distances, impostor: Distances) -> float | None:
    """d′ = |mean of impostor − mean of genuine| / √(half the sum of their variances) (Green & Swets 1966).

    Returns:
        How many standard deviations the two kinds lie apart; None where neither kind varies.

    Raises:
        DataError: One kind of pairs is missing, or a distance is not finite.
    """
    check_finite(genuine=genuine, impostor=impostor)
    spread = float(np.sqrt((genuine.var() + impostor.var()) / 2))
    return float(abs(impostor.mean() - genuine.mean()) / spread) if spread > 0 else None

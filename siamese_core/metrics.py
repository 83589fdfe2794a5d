"""Error rates of verification, in the terms of ISO/IEC 19795-1, exact and with ties handled.

A pair matches when its distance is *below* the threshold. FMR is the share of impostor pairs that match, FNMR
the share of genuine pairs that do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.errors import DataError
from siamese_core.pairs import Distances, PairDistances

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
    check_finite(impostor, "impostor")
    return float(np.mean(impostor < threshold))


def fnmr_at(genuine: Distances, threshold: float) -> float:
    """Share of genuine distances at or above the threshold.

    Raises:
        DataError: There are no distances, or not all of them are finite.
    """
    check_finite(genuine, "genuine")
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
    check_finite(impostor, "impostor")
    allowed = int(np.floor(target * len(impostor) * (1 + 1e-12)))
    return float(np.partition(impostor, min(allowed, len(impostor) - 1))[min(allowed, len(impostor) - 1)])


def roc(genuine: Distances, impostor: Distances) -> Roc:
    """The exact curve, by sorting.

    Raises:
        DataError: One kind of pairs is missing, or a distance is not finite.
    """
    check_finite(genuine, "genuine")
    check_finite(impostor, "impostor")
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    thresholds = np.append(thresholds, np.nextafter(thresholds[-1], np.inf))
    fmr = np.searchsorted(np.sort(impostor), thresholds, side="left") / len(impostor)
    fnmr = 1 - np.searchsorted(np.sort(genuine), thresholds, side="left") / len(genuine)
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
    check_finite(genuine, "genuine")
    check_finite(impostor, "impostor")
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
    check_finite(genuine, "genuine")
    check_finite(impostor, "impostor")
    spread = float(np.sqrt((genuine.var() + impostor.var()) / 2))
    return float(abs(impostor.mean() - genuine.mean()) / spread) if spread > 0 else None


class IdentityBootstrap:
    """Error rates with bootstrap intervals over *identities*.

    Pairs that share an identity are not independent, so whole identities are drawn with replacement (Bolle,
    Ratha & Pankanti 2004, "Error analysis of pattern recognition systems: the subsets bootstrap"). An impostor
    pair counts as often as its two identities are drawn together.
    """

    def __init__(self, distances: PairDistances, resamples: int, seed: int) -> None:
        """Draws the identities once, for all thresholds.

        Args:
            distances: Distances and identities of the pairs.
            resamples: Bootstrap draws, R.
            seed: Of the draws.

        Raises:
            DataError: One kind of pairs is missing, or a distance is not finite.
        """
        check_finite(distances.genuine, "genuine")
        check_finite(distances.impostor, "impostor")
        count = distances.identities
        rng = np.random.default_rng(seed)
        draws = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
        self._weights = draws.astype(np.float64)  # (R, I): how often each identity is drawn
        self._distances = distances
        self._genuine_pairs = self._count_genuine(np.ones(len(distances.genuine), bool))  # (R,)
        self._impostor_pairs = self._count_impostor(np.ones(len(distances.impostor), bool))  # (R,)

    def rates(self, threshold: float, confidence: float) -> tuple[Rate, Rate]:
        """FMR and FNMR at a threshold.

        Args:
            threshold: Pairs below it match.
            confidence: Level of the intervals, such as 0.95.

        Returns:
            (FMR, FNMR). Where no error was seen, the upper end is 3 / n by the rule of three, with n identities
            (FNMR) or pairs of identities (FMR).
        """
        matches = self._distances.impostor < threshold
        misses = self._distances.genuine >= threshold
        false_non_match, false_match = self.shares(misses, matches)
        identities = self._distances.identities
        people = len(np.unique(self._distances.genuine_identity))
        return (
            _rate(matches, false_match, confidence, identities * (identities - 1) // 2),
            _rate(misses, false_non_match, confidence, people),
        )

    def shares(self, genuine: npt.NDArray[np.bool_], impostor: npt.NDArray[np.bool_]) -> tuple[Curve, Curve]:
        """The shares of the genuine and of the impostor pairs that chosen ones make up, in each draw.

        Args:
            genuine: (G,) which genuine pairs are chosen.
            impostor: (M,) which impostor pairs are chosen.

        Returns:
            (R,) and (R,); 0 in a draw without any pair of the kind.
        """
        return (
            _ratio(self._count_genuine(genuine), self._genuine_pairs),
            _ratio(self._count_impostor(impostor), self._impostor_pairs),
        )

    def fnmr_band(self, thresholds: Curve, confidence: float) -> tuple[Curve, Curve]:
        """Both ends of the interval of the FNMR at many thresholds, each for itself.

        Args:
            thresholds: (T,) ascending.
            confidence: Level of the intervals.

        Returns:
            (T,) and (T,).
        """
        identities = self._weights.shape[1]
        # A genuine pair is missed at all thresholds up to its distance: counted at the last of these, then summed.
        last = np.searchsorted(thresholds, self._distances.genuine, side="right")  # 0: missed at none
        counted = np.zeros((identities, len(thresholds) + 1))
        np.add.at(counted, (self._distances.genuine_identity, last), 1)
        missed = counted[:, :0:-1].cumsum(axis=1)[:, ::-1]  # (I, T)
        drawn = _ratio(self._weights @ missed, self._genuine_pairs[:, np.newaxis])  # (R, T)
        low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
        return low, high

    def _count_genuine(self, chosen: npt.NDArray[np.bool_]) -> Curve:
        """(R,): the chosen genuine pairs, each as often as its identity is drawn."""
        identity = self._distances.genuine_identity[chosen]
        return self._weights @ np.bincount(identity, minlength=self._weights.shape[1])

    def _count_impostor(self, chosen: npt.NDArray[np.bool_]) -> Curve:
        """(R,): the chosen impostor pairs, each as often as its two identities are drawn together."""
        from scipy.sparse import coo_array  # here, so that a verifier starts without it

        count = self._weights.shape[1]
        first, second = self._distances.impostor_identities[chosen].T
        # Sparse: with thousands of identities most pairs of them have no error (or were not sampled).
        pairs = coo_array((np.ones(len(first)), (first, second)), shape=(count, count)).tocsr()
        drawn: Curve = np.einsum("ri,ri->r", self._weights, (pairs @ self._weights.T).T)
        return drawn


def _ratio(errors: Curve, pairs: Curve) -> Curve:
    return np.divide(errors, pairs, out=np.zeros_like(errors), where=pairs > 0)


def _rate(wrong: npt.NDArray[np.bool_], draws: Curve, confidence: float, independent: int) -> Rate:
    errors = int(wrong.sum())
    value = errors / len(wrong)
    low, high = np.quantile(draws, [(1 - confidence) / 2, (1 + confidence) / 2])
    if errors == 0:
        high = min(1.0, 3 / max(independent, 1))
    return Rate(value, min(float(low), value), max(float(high), value), errors, len(wrong))


def check_finite(distances: Distances, kind: str) -> None:
    """Refuses to measure what is not there.

    Raises:
        DataError: There are no distances, or not all of them are finite.
    """
    if len(distances) == 0:
        raise DataError(f"There are no {kind} pairs.")
    if not np.isfinite(distances).all():
        raise DataError(f"{int((~np.isfinite(distances)).sum())} {kind} distances are not finite numbers.")

"""Intervals from a bootstrap over identities: pairs of one identity are not independent."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import check_finite
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import Curve, Rate


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

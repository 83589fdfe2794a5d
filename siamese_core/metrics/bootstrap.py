"""Intervals from a bootstrap over identities: pairs of one identity are not independent."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices, check_finite
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import Curve, Rate

Mask = npt.NDArray[np.bool_]


class Resamples:
    """Identities drawn with replacement: the same for every system that is measured on the same pairs.

    Pairs that share an identity are not independent, so whole identities are drawn (Bolle, Ratha & Pankanti 2004,
    "Error analysis of pattern recognition systems: the subsets bootstrap"). An impostor pair counts as often as its
    two identities are drawn together.

    Attributes:
        weights: (R, I) float64, how often each resample draws each identity.
        genuine_pairs: (R,) float64, genuine pairs of each resample.
    """

    def __init__(
        self, genuine_identity: Indices, impostor_identities: Indices, identities: int, count: int, seed: int
    ) -> None:
        """Draw the identities once, for all thresholds.

        Args:
            genuine_identity: (G,) identity of each genuine pair.
            impostor_identities: (M, 2) identities of each impostor pair.
            identities: I.
            count: R.
            seed: Of the draws.
        """
        rng = np.random.default_rng(seed)
        draws = rng.multinomial(identities, np.full(identities, 1 / identities), size=count)
        self.weights = draws.astype(np.float64)
        self._genuine_identity, self._impostor_identities = genuine_identity, impostor_identities
        self.genuine_pairs = self._count_genuine(np.ones(len(genuine_identity), bool))
        self._impostor_pairs = self._count_impostor(np.ones(len(impostor_identities), bool))  # (R,)

    def shares(self, genuine: Mask, impostor: Mask) -> tuple[Curve, Curve]:
        """The shares of the genuine and of the impostor pairs that some of them make up, in each resample.

        Args:
            genuine: (G,) which genuine pairs.
            impostor: (M,) which impostor pairs.

        Returns:
            (R,) and (R,); 0 in a resample without any pair of the kind.
        """
        return _ratio(self._count_genuine(genuine), self.genuine_pairs), self.impostor_shares(impostor)

    def impostor_shares(self, impostor: Mask) -> Curve:
        """(R,): the share of the impostor pairs that some of them, (M,), make up in each resample."""
        return _ratio(self._count_impostor(impostor), self._impostor_pairs)

    def _count_genuine(self, mask: Mask) -> Curve:
        """(R,): some genuine pairs, each as often as its identity is drawn."""
        return self.weights @ np.bincount(self._genuine_identity[mask], minlength=self.weights.shape[1])

    def _count_impostor(self, mask: Mask) -> Curve:
        """(R,): some impostor pairs, each as often as its two identities are drawn together."""
        from scipy.sparse import coo_array  # here, so that a verifier starts without it

        count = self.weights.shape[1]
        first, second = self._impostor_identities[mask].T
        # Sparse: with thousands of identities most pairs of them have no error (or were not sampled).
        pairs = coo_array((np.ones(len(first)), (first, second)), shape=(count, count)).tocsr()
        totals: Curve = np.einsum("ri,ri->r", self.weights, (pairs @ self.weights.T).T)
        return totals


class IdentityBootstrap:
    """Error rates of one system, with bootstrap intervals over *identities*.

    Attributes:
        distances: Of the pairs.
        resamples: Of the identities behind them.
    """

    def __init__(self, distances: PairDistances, resamples: Resamples, confidence: float) -> None:
        """Put distances beside resamples of the same pairs; `confidence` is the level of the intervals.

        Raises:
            DataError: One kind of pairs is missing, or a distance is not finite.
        """
        check_finite(genuine=distances.genuine, impostor=distances.impostor)
        self.distances, self.resamples = distances, resamples
        self._confidence = confidence

    @classmethod
    def of(cls, distances: PairDistances, confidence: float, count: int, seed: int) -> Self:
        """Draw `count` resamples for one system alone."""
        identities = distances.genuine_identity, distances.impostor_identities, distances.identities
        return cls(distances, Resamples(*identities, count, seed), confidence)

    def with_distances(self, distances: PairDistances) -> Self:
        """The same resamples for other distances of the same pairs."""
        return type(self)(distances, self.resamples, self._confidence)

    def rates(self, threshold: float) -> tuple[Rate, Rate]:
        """FMR and FNMR at a threshold; pairs below it match.

        Returns:
            (FMR, FNMR). Where no error was seen, the upper end is 3 / n by the rule of three, with n identities
            (FNMR) or pairs of identities (FMR).
        """
        matches = self.distances.impostor < threshold
        misses = self.distances.genuine >= threshold
        false_non_match, false_match = self.resamples.shares(misses, matches)
        identities = self.distances.identities
        people = len(np.unique(self.distances.genuine_identity))
        dyads = identities * (identities - 1) // 2
        return (
            resampled_rate(int(matches.sum()), len(matches), false_match, self._confidence, dyads),
            resampled_rate(int(misses.sum()), len(misses), false_non_match, self._confidence, people),
        )

    def fnmr_band(self, thresholds: Curve) -> tuple[Curve, Curve]:
        """Both ends of the interval of the FNMR at many (T,) ascending thresholds, each for itself; (T,) and (T,)."""
        # A genuine pair is missed at all thresholds up to its distance: counted at the last of these, then summed.
        last = np.searchsorted(thresholds, self.distances.genuine, side="right")  # 0: missed at none
        counted = np.zeros((self.distances.identities, len(thresholds) + 1))
        np.add.at(counted, (self.distances.genuine_identity, last), 1)
        missed = counted[:, :0:-1].cumsum(axis=1)[:, ::-1]  # (I, T)
        shares = _ratio(self.resamples.weights @ missed, self.resamples.genuine_pairs[:, np.newaxis])  # (R, T)
        low, high = self.interval(shares)
        return low, high

    def interval(self, values: Curve) -> Curve:
        """Both ends of the interval of what the resamples gave, (R,) or (R, T) values; (2,) or (2, T)."""
        return interval_of(values, self._confidence)


def resampled_rate(errors: int, pairs: int, shares: Curve, confidence: float, independent: float) -> Rate:
    """The rate errors / pairs with the interval of its values in (R,) resamples.

    Where no error was seen, the upper end is 3 / independent by the rule of three, and where no resample has a value,
    the interval is everything.
    """
    value = errors / pairs
    low, high = interval_of(shares, confidence) if len(shares) else (0.0, 1.0)
    if errors == 0:
        high = min(1.0, 3 / max(independent, 1))
    return Rate(value, min(float(low), value), max(float(high), value), errors, pairs)


def interval_of(values: Curve, confidence: float) -> Curve:
    """Both ends of the interval of what resamples gave, (R,) or (R, T) values; (2,) or (2, T)."""
    return np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)


def _ratio(errors: Curve, pairs: Curve) -> Curve:
    return np.divide(errors, pairs, out=np.zeros_like(errors), where=pairs > 0)

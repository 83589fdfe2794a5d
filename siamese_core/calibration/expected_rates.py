"""Intervals for the error rates of identities that nobody has seen, from the calibration identities alone.

A threshold keeps its target exactly on the identities that it was chosen on, so their error says nothing. What is
stated is where the rate will be found on *new identities*: as many, with as many images, as those that will test, or
as those that calibrate. That rate differs from the calibrated one by chance in which identities set the threshold, and
by chance in which come then. So the interval is that of an observation whose variance is the sum of both:

1. Pairs that share an identity are not independent. The variance of a rate over the choice of identities is that for
   dyads (Aronow, Samii & Assenova 2015, "Cluster-robust variance estimation for dyadic data", Political Analysis 23):
   the squared sum of each identity's pairs, summed, less what that counts twice. Of new identities it is larger where
   few of them have most of the images: the part that identities bring grows with the sum of their squared shares.
2. The sum says how many independent observations would vary as much. For these the exact binomial interval (Clopper
   & Pearson 1934) is right where errors are few, and never below 0 or above 1. A variance that hangs on few identities
   is itself uncertain; the observations are reduced by Student's t at its degrees of freedom (Korn & Graubard 1998,
   "Confidence intervals for proportions with small expected number of positive counts", Survey Methodology 24).
3. The intervals of several operating points hold *together*: their level follows from the largest of as many correlated
   normal variables (Hothorn, Bretz & Westfall 2008, "Simultaneous inference", Biometrical Journal 50).

`python -m benchmarks.intervals` measures how often that holds on real data: docs/calibration.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices, check_finite
from siamese_core.metrics.pairs import PairDistances, Pairs, dyad_keys

_NORMAL_DRAWS = 20_000
Influence = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A range that a rate is stated to lie in, ends included."""

    low: float
    high: float

    def holds(self, rate: float) -> bool:
        """Whether a rate lies inside."""
        return self.low <= rate <= self.high

    def __str__(self) -> str:
        return f"{self.low:.2%} to {self.high:.2%}"


@dataclass(frozen=True)
class Concentration:
    """Concentration of pairs on few identities: sums of squared shares (Kish 1965, Survey Sampling).

    Attributes:
        genuine: Of each identity's share of the genuine pairs: 1 over the identities, where these are alike.
        impostor: Of each identity's share of the impostor pairs, which sum to 2.
        dyads: Of each pair of identities' share of the impostor pairs.
    """

    genuine: float
    impostor: float
    dyads: float

    @classmethod
    def of(cls, genuine_identity: Indices, impostor_identities: Indices) -> Self:
        """The concentration of pairs, by their identities, (G,) and (M, 2) int64."""
        count = int(max(genuine_identity.max(), impostor_identities.max())) + 1
        _, of_dyad = np.unique(dyad_keys(impostor_identities, count), return_counts=True)
        return cls(
            _squared_shares(np.bincount(genuine_identity), len(genuine_identity)),
            _squared_shares(np.bincount(impostor_identities.ravel()), len(impostor_identities)),
            _squared_shares(of_dyad, len(impostor_identities)),
        )

    @classmethod
    def of_pairs(cls, pairs: Pairs) -> Self:
        """The concentration of pairs that have not been compared yet."""
        return cls.of(pairs.labels[pairs.genuine[:, 0]], pairs.labels[pairs.impostor])


@dataclass(frozen=True, eq=False)
class Evidence:
    """An error rate, and how much it hangs on which identities were there.

    Attributes:
        rate: errors / pairs.
        influence: (I,) what each identity adds to the rate's deviation.
        variance: Of the difference between this rate and that of the new identities.
        units: Independent observations, if pairs depended on nothing but their (pair of) identities.
        pairs: Pairs that were counted.
    """

    rate: float
    influence: Influence
    variance: float
    units: float
    pairs: int

    def observations(self, level: float) -> float:
        """Independent observations that would vary as much, as far as the variance is known at a level (two-sided)."""
        from scipy.special import ndtri, stdtrit  # here, so that a verifier starts without it

        identities = len(self.influence)
        if self.variance <= 0 or identities < 2:
            return self.units
        variance = self.variance * identities / (identities - 1)
        certain = (ndtri(level / 2) / stdtrit(_degrees_of_freedom(self.influence), level / 2)) ** 2
        return float(min(self.rate * (1 - self.rate) / variance, self.pairs) * certain)

    def interval(self, level: float) -> Interval:
        """The interval of the new identities' rate; it misses with a probability of `level`, half at each end."""
        return Interval(self._low(level), self.upper(level / 2))

    def upper(self, miss: float) -> float:
        """The bound that the rate of the new identities exceeds with a probability of `miss`."""
        from scipy.special import betaincinv

        trials = self.observations(2 * miss)
        errors = self.rate * trials
        return float(betaincinv(errors + 1, trials - errors, 1 - miss)) if trials > errors else 1.0

    def _low(self, level: float) -> float:
        from scipy.special import betaincinv

        trials = self.observations(level)
        errors = self.rate * trials
        low = float(betaincinv(errors, trials - errors + 1, level / 2)) if errors > 0 else 0.0
        # The new identities are about twice as many observations as the difference is: less than one error is none.
        return low if low * 2 * trials >= 1 else 0.0


class IdentityEvidence:
    """The evidence of one set of pairs at any threshold."""

    def __init__(self, distances: PairDistances, new: Concentration | None = None) -> None:
        """Take the distances; pairs are grouped by identity when they are first asked for, once for all thresholds.

        Args:
            distances: Of the calibration identities.
            new: That of the pairs of the new identities; where it is not known, that of these pairs.

        Raises:
            DataError: There are no genuine or no impostor pairs, or a distance is not finite.
        """
        check_finite(genuine=distances.genuine, impostor=distances.impostor)
        self._distances, self._new = distances, new

    @cached_property
    def _present(self) -> Concentration:
        return Concentration.of(self._distances.genuine_identity, self._distances.impostor_identities)

    @cached_property
    def _dyads(self) -> tuple[Indices, Indices, Indices]:
        """(Q,) keys of the pairs of identities, (M,) the place of each impostor pair among them, (Q,) pairs of each."""
        keys = dyad_keys(self._distances.impostor_identities, self._distances.identities)
        return np.unique(keys, return_inverse=True, return_counts=True)

    def fnmr(self, threshold: float) -> Evidence:
        """Evidence of the share of genuine pairs at or above the threshold."""
        wrong = self._distances.genuine >= threshold
        identity, count = self._distances.genuine_identity, self._distances.identities
        errors = np.bincount(identity[wrong], minlength=count)
        rate, influence = _deviation(errors, np.bincount(identity, minlength=count))
        present, new = self._present, self._new or self._present
        variance = float(influence @ influence) * (1 + new.genuine / present.genuine)
        return Evidence(rate, influence, variance, 1 / (present.genuine + new.genuine), len(wrong))

    def fmr(self, threshold: float) -> Evidence:
        """Evidence of the share of impostor pairs below the threshold."""
        wrong = self._distances.impostor < threshold
        count, (dyads, places, sizes) = self._distances.identities, self._dyads
        rate, deviation = _deviation(np.bincount(places[wrong], minlength=len(dyads)), sizes)
        first, second = (np.bincount(end, deviation, minlength=count) for end in (dyads // count, dyads % count))
        influence = np.asarray(first + second, np.float64)
        present, new = self._present, self._new or self._present
        of_dyads = float(deviation @ deviation)
        # Each pair of identities is in the sum twice more than it varies.
        of_identities = max(float(influence @ influence) - 2 * of_dyads, 0.0)
        variance = of_identities * (1 + new.impostor / present.impostor) + of_dyads * (1 + new.dyads / present.dyads)
        return Evidence(rate, influence, variance, 1 / (present.dyads + new.dyads), len(wrong))


def joint_intervals(rates: Sequence[Evidence], confidence: float, seed: int) -> list[Interval]:
    """Intervals that hold all at once with this confidence, for the rates of new identities.

    Args:
        rates: From the same identities.
        confidence: Such as 0.95.
        seed: Of the draws behind the joint level.
    """
    level = _joint_level(np.array([rate.influence for rate in rates]), confidence, seed)
    return [rate.interval(level) for rate in rates]


def units_needed(target: float, confidence: float) -> int:
    """Independent observations without an error after which the rate of as many new ones is at most the target."""
    return math.ceil(2 * math.log(1 - confidence) / math.log1p(-target))


def _joint_level(influences: Influence, confidence: float, seed: int) -> float:
    """The two-sided level at which each of several correlated normal variables must be tested.

    Args:
        influences: (P, I) of P rates; where a rate has none, it counts as independent of the others.
        confidence: That all hold at once.
        seed: Of the draws.
    """
    from scipy.special import ndtr

    length = np.sqrt((influences**2).sum(1, keepdims=True))
    directions = influences / np.where(length > 0, length, 1)
    correlation = directions @ directions.T
    np.fill_diagonal(correlation, 1)
    normal = np.random.default_rng(seed).multivariate_normal(np.zeros(len(correlation)), correlation, _NORMAL_DRAWS)
    return float(2 * ndtr(-np.quantile(np.abs(normal).max(1), confidence)))


def _deviation(errors: Indices, pairs: Indices) -> tuple[float, Influence]:
    """The rate, and what each group of pairs adds to its deviation (the rate is a ratio of two sums)."""
    rate = errors.sum() / pairs.sum()
    return float(rate), (errors - rate * pairs) / pairs.sum()


def _squared_shares(pairs: Indices, total: int) -> float:
    return float(((pairs / total) ** 2).sum())


def _degrees_of_freedom(influence: Influence) -> float:
    """Degrees of freedom of a sum of squares: as many as make its own variance right (Satterthwaite 1946)."""
    squares = influence[influence != 0] ** 2
    most = max(len(squares) - 1, 1)
    excess = float((squares**2).sum() / squares.sum() ** 2) - 1 / len(squares)
    return min(max(2 / excess, 1), most) if excess > 0 else most

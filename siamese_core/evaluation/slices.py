"""Error rates by group of images at one threshold, and which groups do measurably worse than all pairs together.

A group holds images, a cell pairs: a within-group cell those of two images of one group, a between-group cell those of
an image of each. Every pair is in exactly one cell of a column. A slice is a cell, measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.image_groups import Grouping
from siamese_core.evaluation.results import Slice
from siamese_core.metrics.bootstrap import resampled_rate
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import Rate
from siamese_core.progress import track

# With fewer identities in a group, one person who is hard to verify looks like a gap.
_FEWEST_IDENTITIES = 5

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Cells:
    """The cells of a column, for one kind of pairs.

    Attributes:
        errors: (C,) pairs that were decided wrongly.
        pairs: (C,) pairs in all.
        draws: (R, C) error rate in each resample of the identities; NaN where a resample has no such pair.
        all_draws: (R,) the same for the pairs of all cells.
        independent: (C,) what the rule of three counts: identities, or pairs of them.
        identities: (C,) in the smaller of the two groups.
    """

    errors: Numbers
    pairs: Numbers
    draws: Numbers
    all_draws: Numbers
    independent: Numbers
    identities: Numbers

    def rate(self, cell: int, confidence: float) -> Rate | None:
        """The error rate with its interval; None where there is no pair."""
        errors, pairs = int(self.errors[cell]), int(self.pairs[cell])
        if not pairs:
            return None
        draws = self.draws[:, cell]
        return resampled_rate(errors, pairs, draws[np.isfinite(draws)], confidence, self.independent[cell])

    def overall(self) -> float:
        """The error rate of the pairs of all cells."""
        return float(self.errors.sum() / self.pairs.sum())

    def beside_all(self, cell: int) -> str:
        """The error rate of a cell with pairs and that of all pairs, in words."""
        return f"{self.errors[cell] / self.pairs[cell]:.2%}, in all pairs {self.overall():.2%}"

    def chance(self) -> Numbers:
        """(C,) one-sided p-values of "not worse than all pairs"; NaN where there are too few identities.

        Student's t of the difference to the rate of all pairs, its deviation from the bootstrap, in which both rates
        come from the same identities.
        """
        from scipy.special import stdtr  # here, so that a verifier starts without it

        testable = (self.identities >= _FEWEST_IDENTITIES) & (self.pairs > 0)
        p = np.full(len(self.pairs), np.nan)
        difference = self.draws[:, testable] - self.all_draws[:, np.newaxis]
        spread = np.maximum(np.nanstd(difference, axis=0), 1e-12)
        observed = self.errors[testable] / self.pairs[testable] - self.overall()
        observed[np.abs(observed) < 1e-12] = 0  # the one group of a column without others
        p[testable] = stdtr(self.identities[testable] - 1, -observed / spread)
        return p


def measure_slices(
    columns: list[Grouping], held_out: HeldOut, distances: PairDistances, threshold: float
) -> list[Slice]:
    """FMR and FNMR within and between the groups of each column, at one threshold.

    A gap is named where a rate is higher than in all pairs beyond noise: at a level of 1 − confidence for all slices
    and both rates together, by Holm's correction (1979, "A simple sequentially rejective multiple test procedure"),
    and only for groups of at least 5 identities.

    Args:
        columns: Groups of the images of `held_out`.
        held_out: Images and pairs, level of the intervals, and resamples.
        distances: Of its pairs.
        threshold: Pairs below it match.

    Returns:
        Column by column, within-group slices first; between groups only where there are pairs.
    """
    cells: list[_Cells] = []  # of the impostor and of the genuine pairs, column by column
    with track("measure groups", len(columns), "columns") as progress:
        for column in columns:
            arguments = column, held_out, distances, threshold
            cells += [_impostor_cells(*arguments), _genuine_cells(*arguments)]
            progress.advance()
    p_values = [each.chance() for each in cells]
    rejected = _holm(np.concatenate([[], *p_values]), 1 - held_out.confidence)
    worse = np.split(rejected, np.cumsum([len(p) for p in p_values]))
    return [
        each
        for i, column in enumerate(columns)
        for each in _slices(column, held_out, cells[2 * i : 2 * i + 2], worse[2 * i : 2 * i + 2])
    ]


def _slices(
    column: Grouping, held_out: HeldOut, cells: list[_Cells], worse: list[npt.NDArray[np.bool_]]
) -> Iterator[Slice]:
    """The slices of a column, with a gap where the FMR or FNMR of its (C,) cells is worse than in all pairs."""
    first, second = _group_pairs(column)
    present, names = _images(column, held_out.pairs.labels) > 0, column.names  # (I, K)
    for cell in np.argsort(first != second, kind="stable").tolist():
        a, b = int(first[cell]), int(second[cell])
        fmr, fnmr = (kind.rate(cell, held_out.confidence) for kind in cells)
        if a == b or fmr or fnmr:
            kinds = zip(("FMR", "FNMR"), cells, worse, strict=True)
            gap = "; ".join(f"{name} {kind.beside_all(cell)}" for name, kind, is_worse in kinds if is_worse[cell])
            identities = int((present[:, a] | present[:, b]).sum())
            yield Slice(column.column, names[a], names[b], column.source, identities, fmr, fnmr, gap)


def _holm(p: Numbers, level: float) -> npt.NDArray[np.bool_]:
    """(H,) whether each hypothesis is rejected, at a level for all of them together; NaN is no hypothesis."""
    order = np.argsort(p)  # NaN last
    tests = int(np.isfinite(p).sum())
    allowed = level / np.arange(tests, 0, -1)
    passed = np.cumprod(p[order[:tests]] <= allowed).astype(bool)
    rejected = np.zeros(len(p), bool)
    rejected[order[:tests]] = passed
    return rejected


def _group_pairs(column: Grouping) -> tuple[Indices, Indices]:
    """The two groups of each cell, (C,) each."""
    first, second = np.triu_indices(len(column.names))
    return first, second


def _cell_of(column: Grouping, pairs: Indices) -> Indices:
    """(P,) the cell of each pair."""
    groups = len(column.names)
    first, second = _group_pairs(column)
    cells = np.empty((groups, groups), np.int64)
    cells[first, second] = cells[second, first] = np.arange(len(first))
    cell: Indices = cells.ravel()[column.codes[pairs[:, 0]] * groups + column.codes[pairs[:, 1]]]
    return cell


def _images(column: Grouping, labels: Indices) -> Numbers:
    """(I, K) images of each identity in each group."""
    groups = len(column.names)
    counts = np.bincount(labels * groups + column.codes, minlength=(int(labels.max()) + 1) * groups)
    return counts.reshape(-1, groups).astype(np.float64)


def _impostor_cells(column: Grouping, held_out: HeldOut, distances: PairDistances, threshold: float) -> _Cells:
    """Cells of the impostor pairs: in a resample, one counts as often as its two identities are drawn together."""
    weights, pairs = held_out.draws.weights, held_out.pairs
    first, second = _group_pairs(column)
    cells = _cell_of(column, pairs.impostor)
    wrong = np.flatnonzero(distances.impostor < threshold)
    total = np.bincount(cells, minlength=len(first)).astype(np.float64)
    error_draws = _error_draws(cells[wrong], distances.impostor_identities[wrong], len(first), weights)
    images = _images(column, pairs.labels)
    all_images = _impostor_pairs(images, first, second, np.ones((1, len(images))))
    # Of a sample, as many of each cell's pairs are drawn as of all its pairs: counting those needs no pass over pairs.
    sampled = np.divide(total, all_images[0], out=np.zeros(len(first)), where=all_images[0] > 0)
    pair_draws = _impostor_pairs(images, first, second, weights) * sampled
    people = (images > 0).sum(axis=0).astype(np.float64)
    independent = np.where(first == second, people[first] * (people[first] - 1) / 2, people[first] * people[second])
    smaller = np.minimum(people[first], people[second])
    return _cells(cells[wrong], total, error_draws, pair_draws, independent, smaller)


def _genuine_cells(column: Grouping, held_out: HeldOut, distances: PairDistances, threshold: float) -> _Cells:
    """Cells of the genuine pairs: in a resample, one counts as often as its identity is drawn."""
    weights, pairs = held_out.draws.weights, held_out.pairs
    count, identities = len(_group_pairs(column)[0]), weights.shape[1]
    cells = _cell_of(column, pairs.genuine)
    wrong = np.flatnonzero(distances.genuine >= threshold)
    keys = distances.genuine_identity * count + cells
    total, errors = (
        np.bincount(some, minlength=identities * count).reshape(identities, count).astype(np.float64)
        for some in (keys, keys[wrong])
    )
    people = (total > 0).sum(axis=0).astype(np.float64)
    return _cells(cells[wrong], total.sum(axis=0), weights @ errors, weights @ total, people, people)


def _cells(
    wrong: Indices, total: Numbers, errors: Numbers, pairs: Numbers, independent: Numbers, identities: Numbers
) -> _Cells:
    return _Cells(
        errors=np.bincount(wrong, minlength=len(total)).astype(np.float64),
        pairs=total,
        draws=_ratio(errors, pairs),
        all_draws=_ratio(errors.sum(axis=1), pairs.sum(axis=1)),
        independent=independent,
        identities=identities,
    )


def _ratio(errors: Numbers, pairs: Numbers) -> Numbers:
    # At most 1: the pairs of a sample are counted as expected, not as they are.
    return np.minimum(np.divide(errors, pairs, out=np.full_like(errors, np.nan), where=pairs > 0), 1.0)


def _impostor_pairs(images: Numbers, first: Indices, second: Indices, weights: Numbers) -> Numbers:
    """(R, C): impostor pairs between the groups when identity i is there `weights[:, i]` times.

    All pairs of an image of each group less those of one identity: (Σ wᵢ aᵢ)(Σ wᵢ bᵢ) − Σ wᵢ² aᵢ bᵢ.
    """
    in_group = weights @ images  # (R, K)
    pairs = in_group[:, first] * in_group[:, second] - weights**2 @ (images[:, first] * images[:, second])
    pairs[:, first == second] /= 2
    return pairs


def _error_draws(cells: Indices, identities: Indices, count: int, weights: Numbers) -> Numbers:
    """(R, C): wrong impostor pairs of each cell, each as often as its two identities are drawn together."""
    from scipy.sparse import coo_array  # here, so that a verifier starts without it

    draws = np.zeros((len(weights), count))
    by_identity = np.ascontiguousarray(weights.T)  # (I, R)
    order = np.argsort(cells, kind="stable")
    for part in np.split(order, np.flatnonzero(np.diff(cells[order])) + 1) if len(order) else []:
        # Sparse, and only of identities with an error: most pairs of identities have none.
        names, first = np.unique(identities[part, 0], return_inverse=True)
        shape = (len(names), len(by_identity))
        wrong = coo_array((np.ones(len(part)), (first, identities[part, 1])), shape=shape).tocsr()
        draws[:, cells[part[0]]] = np.einsum("ir,ir->r", by_identity[names], wrong @ by_identity)
    return draws

"""Verification by a fixed list of pairs: at the model's calibrated thresholds, and k-fold where the list has folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from siamese_core.arrays import Indices, labels_of
from siamese_core.calibration.operating_points import Calibration, Threshold
from siamese_core.config import CalibrationConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.pair_lists import PairList, rows_of
from siamese_core.evaluation.results import PointResult
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.pairs import PairDistances, Pairs, dyad_keys, pair_distances
from siamese_core.metrics.rates import Rate, area_under_roc, best_accuracy, equal_error_rate, fmr_at, fnmr_at, roc
from siamese_core.network.embedding import Embedder

# Most drawn weights (resamples × identities) of a bootstrap: 256 MB.
_MAX_WEIGHTS = 2**25

Folds = npt.NDArray[np.integer]
# A threshold to (FMR, FNMR) with their intervals.
Rates = Callable[[float], tuple[Rate, Rate]]


@dataclass(frozen=True)
class KFold:
    """Accuracy with each fold's threshold chosen on the other folds.

    Attributes:
        accuracy: Mean over the folds.
        standard_error: Of that mean: the folds' standard deviation (of K − 1 degrees of freedom) / √K.
        folds: Accuracy by fold.
        thresholds: Threshold by fold.
    """

    accuracy: float
    standard_error: float
    folds: dict[int, float]
    thresholds: dict[int, float]


@dataclass(frozen=True)
class PairsResult:
    """Errors on a list of pairs.

    Attributes:
        genuine_pairs: Pairs of one identity.
        impostor_pairs: Pairs of two.
        duplicates: Rows that repeated a pair and were not counted again.
        images: Distinct images.
        identities: Distinct identities, or None where the folders do not tell them.
        interval: How the intervals were made: `bootstrap over identities` or `Wilson`.
        confidence: Level of the intervals.
        eer: Equal error rate.
        auc: Area under the ROC.
        default: Name of the model's default operating point; None where it has none.
        points: Results at the calibrated thresholds, by operating point.
        k_fold: Where the list has folds.
    """

    genuine_pairs: int
    impostor_pairs: int
    duplicates: int
    images: int
    identities: int | None
    interval: str
    confidence: float
    eer: float
    auc: float
    default: str | None
    points: dict[str, PointResult]
    k_fold: KFold | None

    @property
    def accuracy(self) -> float:
        """Over the folds where there are some, else at the threshold that was calibrated for accuracy."""
        return self.k_fold.accuracy if self.k_fold else self.points["accuracy"].accuracy

    def __str__(self) -> str:
        how = f"over {len(self.k_fold.folds):,} folds" if self.k_fold else "at the calibrated threshold"
        return (
            f"accuracy {self.accuracy:.2%} {how} on {self.genuine_pairs:,} genuine and {self.impostor_pairs:,} "
            f"impostor pairs of the list, EER {self.eer:.2%}"
        )

    def metrics(self) -> dict[str, float]:
        """The figures by name, for a tracker."""
        flat = {"pairs_accuracy": self.accuracy, "pairs_eer": self.eer, "pairs_auc": self.auc}
        for name, point in self.points.items():
            flat |= {f"pairs_fmr_at_{name}": point.fmr.value, f"pairs_fnmr_at_{name}": point.fnmr.value}
            flat[f"pairs_accuracy_at_{name}"] = point.accuracy
        return flat


def evaluate_pairs(
    embeddings: npt.NDArray[np.floating],
    pair_list: PairList,
    calibration: Calibration,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> PairsResult:
    """Measure a calibrated encoder on a list of pairs.

    An image's identity is its folder, if for every pair "same" says what the folders say: then intervals come from
    a bootstrap over identities. Else they are Wilson's, which take pairs as independent and so are too narrow where
    one identity is in many pairs.

    Args:
        embeddings: (N, D) floats of `pair_list.images`, in their order.
        pair_list: The pairs.
        calibration: The model's thresholds; nothing in it is fitted to these pairs.
        confidence: Level of the intervals.
        resamples: Bootstrap draws; fewer where there are very many identities.
        seed: Of the draws.

    Raises:
        DataError: A distance is not finite.
    """
    labels, identities = _identities(pair_list)
    folds, same = pair_list.folds, pair_list.same
    distances = _distances(embeddings, pair_list, labels)
    curve = roc(distances.genuine, distances.impostor)
    if identities is None:
        rates = _wilson_rates(distances, confidence)
    else:
        rates = _bootstrap_rates(distances, confidence, resamples, seed)
    return PairsResult(
        genuine_pairs=len(distances.genuine),
        impostor_pairs=len(distances.impostor),
        duplicates=pair_list.duplicates,
        images=len(pair_list.images),
        identities=identities,
        interval="Wilson" if identities is None else "bootstrap over identities",
        confidence=confidence,
        eer=equal_error_rate(curve)[0],
        auc=area_under_roc(distances.genuine, distances.impostor),
        default=calibration.default,
        points=measure_points(calibration.thresholds, rates),
        k_fold=None if folds is None else k_fold_accuracy(distances, folds[same], folds[~same]),
    )


def measure_pairs(
    embedder: Embedder,
    pair_list: PairList,
    manifest: Manifest,
    calibration: Calibration,
    config: CalibrationConfig,
    seed: int,
) -> PairsResult | None:
    """Errors on the listed pairs at the calibrated thresholds, or None where none are listed."""
    if not len(pair_list.pairs):
        return None
    embeddings = embedder(rows_of(manifest, pair_list.images))
    return evaluate_pairs(embeddings, pair_list, calibration, config.confidence, config.bootstrap, seed)


def k_fold_accuracy(distances: PairDistances, genuine_folds: Folds, impostor_folds: Folds) -> KFold:
    """Accuracy of each fold at the threshold that is most accurate on the others, as LFW's view 2 asks.

    Accuracy is balanced, 1 − (FMR + FNMR) / 2: in folds with as many genuine as impostor pairs, which LFW's are, it
    is the share of pairs decided rightly (Huang et al. 2007, "Labeled Faces in the Wild", section V).

    Args:
        distances: Of all pairs.
        genuine_folds: (G,) fold of each genuine pair; two folds or more.
        impostor_folds: (M,) fold of each impostor pair; the same folds.
    """
    accuracies, thresholds = {}, {}
    for fold in np.unique(genuine_folds).tolist():
        genuine, impostor = genuine_folds == fold, impostor_folds == fold
        _, threshold = best_accuracy(roc(distances.genuine[~genuine], distances.impostor[~impostor]))
        fmr, fnmr = fmr_at(distances.impostor[impostor], threshold), fnmr_at(distances.genuine[genuine], threshold)
        accuracies[fold], thresholds[fold] = 1 - (fmr + fnmr) / 2, threshold
    values = np.array(list(accuracies.values()))
    return KFold(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), accuracies, thresholds)


def measure_points(thresholds: dict[str, Threshold], rates: Rates) -> dict[str, PointResult]:
    """Results at thresholds, by operating point; `rates` gives FMR and FNMR at one."""
    return {name: point_result(threshold, *rates(threshold.value)) for name, threshold in thresholds.items()}


def point_result(threshold: Threshold, fmr: Rate, fnmr: Rate) -> PointResult:
    """The result at one threshold."""
    return PointResult(threshold.value, threshold.target_fmr, fmr, fnmr, 1 - (fmr.value + fnmr.value) / 2)


def wilson(errors: int, pairs: int, confidence: float) -> Rate:
    """A rate with Wilson's interval, for independent trials (Wilson 1927, "Probable inference")."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    value = errors / pairs
    center = value + z**2 / (2 * pairs)
    spread = z * np.sqrt(value * (1 - value) / pairs + z**2 / (4 * pairs**2))
    low, high = float((center - spread) / (1 + z**2 / pairs)), float((center + spread) / (1 + z**2 / pairs))
    return Rate(value, min(max(low, 0.0), value), max(min(high, 1.0), value), errors, pairs)


def _identities(pair_list: PairList) -> tuple[Indices, int | None]:
    """(N,) identities by folder and their number, or None where some pair contradicts the folders."""
    labels, names = labels_of([str(PurePosixPath(path).parent) for path in pair_list.images])
    first, second = pair_list.pairs.T
    agree = bool(np.array_equal(labels[first] == labels[second], pair_list.same))
    return labels, len(names) if agree else None


def _distances(embeddings: npt.NDArray[np.floating], pair_list: PairList, labels: Indices) -> PairDistances:
    genuine, impostor = (pair_list.pairs[kind].astype(np.int64) for kind in (pair_list.same, ~pair_list.same))
    return pair_distances(embeddings, Pairs(genuine, impostor, labels, len(genuine), len(impostor)))


def _wilson_rates(distances: PairDistances, confidence: float) -> Rates:
    def rates(threshold: float) -> tuple[Rate, Rate]:
        matches, misses = distances.impostor < threshold, distances.genuine >= threshold
        fmr, fnmr = (wilson(int(errors.sum()), len(errors), confidence) for errors in (matches, misses))
        return fmr, fnmr

    return rates


def _bootstrap_rates(distances: PairDistances, confidence: float, resamples: int, seed: int) -> Rates:
    count = max(100, min(resamples, _MAX_WEIGHTS // distances.identities))
    bootstrap = IdentityBootstrap.of(distances, confidence, count, seed)
    compared = len(np.unique(dyad_keys(distances.impostor_identities, distances.identities)))

    def rates(threshold: float) -> tuple[Rate, Rate]:
        fmr, fnmr = bootstrap.rates(threshold)
        # The bootstrap's rule of three takes it that all identities meet; a list compares few pairs of them.
        return replace(fmr, high=max(fmr.high, min(1.0, 3 / compared))) if fmr.errors == 0 else fmr, fnmr

    return rates

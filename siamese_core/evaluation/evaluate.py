"""Evaluation on test identities at the calibrated thresholds. Nothing is chosen here."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from siamese_core.arrays import Indices
from siamese_core.artifact import read_record, write_record
from siamese_core.calibration.operating_points import Calibration, calibrate, why_unsupported
from siamese_core.config import CalibrationConfig, operating_point_name
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.devices import choose_device
from siamese_core.evaluation.baselines import ImageEmbedder, pixel_vectors, principal_components
from siamese_core.evaluation.embedding_map import embedding_map
from siamese_core.evaluation.held_out import part_pairs
from siamese_core.evaluation.image_groups import image_groups
from siamese_core.evaluation.one_shot_tasks import OneShotResult
from siamese_core.evaluation.protocols import PairsResult, measure_points
from siamese_core.evaluation.reliability import reliability
from siamese_core.evaluation.results import (
    ChampionResult,
    Curves,
    EmbeddingMap,
    Figures,
    ReliabilityBin,
    RobustnessCurve,
    Slice,
    SystemResult,
)
from siamese_core.evaluation.slices import measure_slices
from siamese_core.metrics.all_pairs import count_pairs
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.identification import search
from siamese_core.metrics.likelihood import cllr, min_cllr
from siamese_core.metrics.pairs import PairDistances, Pairs, pair_distances
from siamese_core.metrics.rates import area_under_roc, equal_error_rate, fnmr_at, roc, sensitivity_index
from siamese_core.network.embedding import Embedder

_FORMAT = 1
_CURVE_POINTS = 400
_HISTOGRAM_BINS = 100
_WORST = 8
_RANKS = (5, 10, 20)
_FALSE_ALARM_RATES = (0.1, 0.01)
_EXPECTED_FALSE_ALARMS = 10  # as many as for an FMR target: fewer, and the threshold hangs on a few searches
_TAR_TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)

# (row, row, distance): two images of the store.
PairDistance = tuple[int, int, float]


@dataclass(frozen=True)
class Evaluation:
    """The verifier on test identities, beside two baselines.

    Attributes:
        model: The trained encoder's result.
        pixels: The raw-pixel baseline's result, with thresholds of its own.
        default: Name of the default operating point.
        identities: Number of test identities.
        images: Number of their images.
        genuine_pairs: Genuine pairs compared, and `genuine_total` how many there are.
        genuine_total: See `genuine_pairs`.
        impostor_pairs: Impostor pairs compared.
        impostor_total: How many impostor pairs there are.
        confidence: Level of the intervals.
        failure_to_acquire: Quarantined files as a share of all files.
        worst_false_matches: (row, row, distance) of the nearest impostor pairs.
        worst_false_non_matches: (row, row, distance) of the farthest genuine pairs.
        figures: More figures; this and what follows may be missing from an evaluation that an older version saved.
        pca: The baseline of pixels reduced by principal components, with thresholds of its own.
        reliability: What the calibrated probabilities are worth, ascending.
        slices: Errors by group of images.
        robustness: Errors on images that are made worse.
        embedding_map: A picture of the embedding space.
        pairs: On the pairs that the user listed.
        one_shot: By one-shot tasks.
        champion: Beside the champion of the moment; None where there was none.
    """

    model: SystemResult
    pixels: SystemResult
    default: str
    identities: int
    images: int
    genuine_pairs: int
    genuine_total: int
    impostor_pairs: int
    impostor_total: int
    confidence: float
    failure_to_acquire: float
    worst_false_matches: list[PairDistance]
    worst_false_non_matches: list[PairDistance]
    figures: Figures | None = None
    pca: SystemResult | None = None
    reliability: list[ReliabilityBin] = field(default_factory=list)
    slices: list[Slice] = field(default_factory=list)
    robustness: list[RobustnessCurve] = field(default_factory=list)
    embedding_map: EmbeddingMap | None = None
    pairs: PairsResult | None = None
    one_shot: OneShotResult | None = None
    champion: ChampionResult | None = None

    def save(self, folder: Path) -> None:
        """Writes `evaluation.json`."""
        write_record(folder / "evaluation.json", self, _FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads `evaluation.json`."""
        return read_record(cls, folder / "evaluation.json", _FORMAT)

    def gaps(self) -> list[Slice]:
        """The slices that do measurably worse than all pairs."""
        return [group for group in self.slices if group.gap]

    def metrics(self) -> dict[str, float]:
        """The figures by name, for a tracker."""
        flat = {"test_eer": self.model.eer, "test_auc": self.model.auc}
        flat |= {"pixels_eer": self.pixels.eer, "pixels_auc": self.pixels.auc}
        flat |= {"pca_eer": self.pca.eer, "pca_auc": self.pca.auc} if self.pca else {}
        flat |= {"slice_gaps": float(len(self.gaps()))} if self.slices else {}
        flat |= {"failure_to_acquire": self.failure_to_acquire}
        for name, point in self.model.points.items():
            flat |= {f"test_fmr_at_{name}": point.fmr.value, f"test_fnmr_at_{name}": point.fnmr.value}
            flat[f"test_accuracy_at_{name}"] = point.accuracy
        flat |= self.figures.metrics() if self.figures else {}
        flat |= self.pairs.metrics() if self.pairs else {}
        return flat | ({"one_shot_error": self.one_shot.error} if self.one_shot else {})

    def summary(self) -> dict[str, Any]:
        """The figures by name, with the number of identities and pairs."""
        pairs = {"genuine_pairs": self.genuine_pairs, "impostor_pairs": self.impostor_pairs}
        return self.metrics() | pairs | {"identities": self.identities}


def evaluate(
    embedder: Embedder,
    calibration: Calibration,
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    config: CalibrationConfig,
    seed: int,
    metadata: str | None = None,
) -> Evaluation:
    """Measures a calibrated encoder, and the baselines, on the test identities.

    Args:
        embedder: The encoder to measure.
        calibration: Its thresholds.
        manifest: All files.
        store: The prepared images.
        split: Which identities test.
        config: Caps and intervals, as in the calibration.
        seed: Of samples and bootstrap.
        metadata: CSV of groups of images, as `EvaluationConfig.metadata`.

    Raises:
        DataError: The metadata file is wrong.
    """
    calibrating = part_pairs(manifest, split, "calibration", config, seed)
    rows, pairs = part_pairs(manifest, split, "test", config, seed)
    columns = image_groups(manifest, store, rows, metadata)  # first: a wrong file stops the step at once
    embeddings = embedder(rows)
    distances = pair_distances(embeddings, pairs)
    bootstrap = IdentityBootstrap(distances, config.bootstrap, seed)
    confidence, threshold = config.confidence, calibration.point().threshold

    def baseline(embedder: ImageEmbedder) -> SystemResult:
        return _baseline(partial(embedder, store.images), calibrating, (rows, pairs), config, seed)

    return Evaluation(
        model=_measure(distances, calibration, bootstrap, confidence),
        pixels=baseline(pixel_vectors),
        default=calibration.default,
        identities=distances.identities,
        images=len(rows),
        genuine_pairs=len(distances.genuine),
        genuine_total=pairs.genuine_total,
        impostor_pairs=len(distances.impostor),
        impostor_total=pairs.impostor_total,
        confidence=confidence,
        failure_to_acquire=len(manifest.quarantined) / len(manifest.table),
        worst_false_matches=_extreme(rows, pairs.impostor, distances.impostor, nearest=True),
        worst_false_non_matches=_extreme(rows, pairs.genuine, distances.genuine, nearest=False),
        figures=_figures(embeddings, pairs.labels, distances, calibration, seed),
        pca=baseline(principal_components(manifest, store, split, seed)),
        reliability=reliability(distances, calibration, bootstrap, confidence),
        slices=measure_slices(columns, pairs, distances, threshold, config, seed),
        embedding_map=embedding_map(embeddings, rows, pairs.labels, seed),
    )


def _baseline(
    embedder: Embedder,
    calibrating: tuple[Indices, Pairs],
    testing: tuple[Indices, Pairs],
    config: CalibrationConfig,
    seed: int,
) -> SystemResult:
    """The same protocol with other embeddings: thresholds from calibration, errors from test identities.

    Each part is the rows of its images and its pairs.
    """
    known, new = (pair_distances(embedder(rows), pairs) for rows, pairs in (calibrating, testing))
    fitted = calibrate(known, config, len(calibrating[0]), seed)
    return _measure(new, fitted, IdentityBootstrap(new, config.bootstrap, seed), config.confidence)


def _measure(
    distances: PairDistances, calibration: Calibration, bootstrap: IdentityBootstrap, confidence: float
) -> SystemResult:
    curve = roc(distances.genuine, distances.impostor)
    points = measure_points(calibration, partial(bootstrap.rates, confidence=confidence))
    # Points evenly spread over the logarithm of the FMR: the DET plot's axis.
    wanted = np.geomspace(1 / len(distances.impostor), 1, _CURVE_POINTS)
    index = np.unique(np.searchsorted(curve.fmr, wanted).clip(max=len(curve.fmr) - 1))
    thresholds = curve.thresholds[index]
    low, high = bootstrap.fnmr_band(thresholds, confidence)
    return SystemResult(
        eer=equal_error_rate(curve)[0],
        auc=area_under_roc(distances.genuine, distances.impostor),
        points=points,
        curves=Curves(
            curve.fmr[index].tolist(),
            curve.fnmr[index].tolist(),
            *_histograms(distances),
            fnmr_low=low.tolist(),
            fnmr_high=high.tolist(),
            thresholds=thresholds.tolist(),
        ),
    )


def _figures(
    embeddings: npt.NDArray[np.floating],
    labels: Indices,
    distances: PairDistances,
    calibration: Calibration,
    seed: int,
) -> Figures:
    """TAR takes its thresholds from all impostor pairs there are, since a sample has none for a low FMR."""
    genuine, impostor = distances.genuine, distances.impostor
    found = search(embeddings, labels, seed)
    cmc = found.cmc()
    compared = count_pairs(torch.from_numpy(embeddings).to(choose_device("auto")), labels)
    impostor_pairs = int(compared.impostor.sum())
    why = {target: why_unsupported(target, impostor_pairs, distances.identities, "test") for target in _TAR_TARGETS}
    accepted = {
        operating_point_name(target): 1 - fnmr_at(genuine, compared.threshold_at_fmr(target))
        for target, reason in why.items()
        if not reason
    }
    return Figures(
        sensitivity=sensitivity_index(genuine, impostor),
        cllr=cllr(calibration.log_ratio(genuine), calibration.log_ratio(impostor)),
        min_cllr=min_cllr(genuine, impostor),
        rank_1=found.rank_1(),
        gallery=found.identities,
        searches=len(found.rank),
        tar=accepted,
        tar_impostor_pairs=impostor_pairs,
        refused={operating_point_name(t): reason for t, reason in why.items() if reason},
        cmc={rank: float(cmc[rank - 1]) for rank in _RANKS if rank < found.identities},
        identified={
            f"{rate:g}": found.detection_and_identification_rate(rate)
            for rate in _FALSE_ALARM_RATES
            if rate * len(found.rank) >= _EXPECTED_FALSE_ALARMS
        },
    )


def _histograms(distances: PairDistances) -> tuple[list[float], list[float], list[float]]:
    top = float(max(distances.genuine.max(), distances.impostor.max(), 1e-6))
    bins = np.linspace(0, top, _HISTOGRAM_BINS + 1)
    genuine, impostor = (np.histogram(d, bins, density=True)[0] for d in (distances.genuine, distances.impostor))
    return bins.tolist(), genuine.tolist(), impostor.tolist()


def _extreme(rows: Indices, pairs: Indices, distances: npt.NDArray[np.float64], nearest: bool) -> list[PairDistance]:
    order = np.argsort(distances if nearest else -distances, kind="stable")[:_WORST]
    return [(int(rows[pairs[i, 0]]), int(rows[pairs[i, 1]]), float(distances[i])) for i in order]

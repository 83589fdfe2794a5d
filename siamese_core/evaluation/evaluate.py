"""Evaluation on test identities at the calibrated thresholds. Nothing is chosen here."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch

from siamese_core.arrays import Indices
from siamese_core.artifact import Values, read_record, write_record
from siamese_core.calibration.operating_points import Calibration, Threshold, choose_thresholds, why_unsupported
from siamese_core.config import CalibrationConfig, EvaluationConfig, operating_point_name
from siamese_core.data.dataset import Dataset
from siamese_core.data.pair_lists import PairList
from siamese_core.devices import choose_device
from siamese_core.evaluation.baselines import BLOCK, ImageEmbedder, pixel_vectors, principal_components
from siamese_core.evaluation.beside_champion import beside_champion
from siamese_core.evaluation.champion import Champion
from siamese_core.evaluation.cross_fitting import cross_fitted
from siamese_core.evaluation.embedding_map import embedding_map
from siamese_core.evaluation.held_out import HeldOut
from siamese_core.evaluation.image_groups import image_groups
from siamese_core.evaluation.one_shot_tasks import OneShotResult, measure_one_shot
from siamese_core.evaluation.protocols import PairsResult, measure_pairs, measure_points, point_result
from siamese_core.evaluation.reliability import reliability
from siamese_core.evaluation.results import (
    ChampionResult,
    Curves,
    EmbeddingMap,
    Figures,
    PointResult,
    ReliabilityBin,
    RobustnessCurve,
    Slice,
    SystemResult,
)
from siamese_core.evaluation.robustness import robustness_curves
from siamese_core.evaluation.slices import measure_slices
from siamese_core.evaluation.unseen import unseen_by, unseen_pairs
from siamese_core.metrics.all_pairs import PairCounts, count_pairs
from siamese_core.metrics.bootstrap import IdentityBootstrap
from siamese_core.metrics.identification import identify
from siamese_core.metrics.likelihood import cllr, min_cllr
from siamese_core.metrics.pairs import PairDistances
from siamese_core.metrics.rates import area_under_roc, equal_error_rate, fnmr_at, roc, sensitivity_index
from siamese_core.network.embedding import RowEmbedder, embed
from siamese_core.progress import track
from siamese_core.verifier import Verifier

logger = logging.getLogger(__name__)

_FORMAT = 2
_CURVE_POINTS = 400
_HISTOGRAM_BINS = 100
_WORST = 8
_RANKS = (5, 10, 20)
_FALSE_ALARM_RATES = (0.1, 0.01)
_EXPECTED_FALSE_ALARMS = 10  # as many as for an FMR target: fewer, and the threshold hangs on a few searches
_TAR_TARGETS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
_PAIRS_OF_A_SHARE = 5 * 10**8  # a few seconds on two cores

Vectors = npt.NDArray[np.floating]
# (row, row, distance): two images of the store.
PairDistance = tuple[int, int, float]


@dataclass(frozen=True)
class Evaluation:
    """The verifier on test identities, beside two baselines.

    Attributes:
        model: The trained encoder's result.
        pixels: The raw-pixel baseline's result, with thresholds of its own.
        default: Name of the default operating point; None where a caller must name one.
        identities: Number of test identities.
        images: Number of their images.
        genuine_pairs: Genuine pairs compared, and `genuine_total` how many there are.
        genuine_total: See `genuine_pairs`.
        impostor_pairs: Impostor pairs compared.
        impostor_total: How many impostor pairs there are.
        confidence: Level of the intervals.
        failure_to_acquire: Quarantined files as a share of all that are images or should be.
        worst_false_matches: (row, row, distance) of the nearest impostor pairs.
        worst_false_non_matches: (row, row, distance) of the farthest genuine pairs.
        figures: Figures without an operating point.
        pca: The baseline of pixels reduced by principal components, with thresholds of its own.
        reliability: The calibrated probabilities beside the shares of genuine pairs, ascending.
        slices: Errors by group of images.
        robustness: Errors on images that are made worse; empty where it was not asked for.
        embedding_map: A picture of the embedding space.
        pairs: On the pairs that the user listed; None where there are none.
        one_shot: By one-shot tasks; None where they were not asked for.
        champion: Beside the champion of the moment; None where there was none.
        test_pairs: Name of the test pairs: figures of models with the same ones can be compared; empty in a file of the
            first release.
        folds: Number of folds in which the same identities set the thresholds; 0 where others set them.
    """

    model: SystemResult
    pixels: SystemResult
    default: str | None
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
    figures: Figures
    pca: SystemResult
    reliability: list[ReliabilityBin]
    slices: list[Slice]
    robustness: list[RobustnessCurve]
    embedding_map: EmbeddingMap
    pairs: PairsResult | None = None
    one_shot: OneShotResult | None = None
    champion: ChampionResult | None = None
    test_pairs: str = ""
    folds: int = 0

    def save(self, folder: Path) -> None:
        """Write `evaluation.json`."""
        write_record(folder / "evaluation.json", self, _FORMAT)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `evaluation.json`; models of the first release have format 1."""
        return read_record(cls, folder / "evaluation.json", _FORMAT, {1: _of_format_1})

    @property
    def reference(self) -> str:
        """The operating point of pictures, groups and robustness: the default one, or `eer` where there is none."""
        return self.default or "eer"

    def gaps(self) -> list[Slice]:
        """The slices that do measurably worse than all pairs."""
        return [each for each in self.slices if each.gap]

    def metrics(self) -> dict[str, float]:
        """The figures by name, for a tracker."""
        flat = {"test_eer": self.model.eer, "test_auc": self.model.auc}
        flat |= {"pixels_eer": self.pixels.eer, "pixels_auc": self.pixels.auc}
        flat |= {"pca_eer": self.pca.eer, "pca_auc": self.pca.auc}
        flat |= {"slice_gaps": float(len(self.gaps()))} if self.slices else {}
        flat |= {"failure_to_acquire": self.failure_to_acquire}
        for name, point in self.model.points.items():
            flat |= {f"test_fmr_at_{name}": point.fmr.value, f"test_fnmr_at_{name}": point.fnmr.value}
            flat[f"test_accuracy_at_{name}"] = point.accuracy
        flat |= self.figures.metrics()
        flat |= self.pairs.metrics() if self.pairs else {}
        return flat | ({"one_shot_error": self.one_shot.error} if self.one_shot else {})

    def summary(self) -> dict[str, Any]:
        """The figures by name, with the number of identities and pairs."""
        pairs = {"genuine_pairs": self.genuine_pairs, "impostor_pairs": self.impostor_pairs}
        return self.metrics() | pairs | {"identities": self.identities}


def _of_format_1(values: Values) -> Values:
    """Values of today; format 1 compared the EERs alone, and did not tell the champion's default."""
    if not (champion := values.get("champion")):
        return values
    if was := champion["comparison"]:
        eer = {"challenger": was["challenger_eer"], "champion": was["champion_eer"]}
        eer |= {"low": was["low"], "high": was["high"]}
        was = {"eer": eer, "fixed_fmr": None, "fnmr": None, "fmr": None, "confidence": was["confidence"]}
    return values | {"champion": champion | {"default": None, "comparison": was}}


def evaluate_verifier(
    verifier: Verifier,
    data: Dataset,
    config: CalibrationConfig | None = None,
    protocols: EvaluationConfig | None = None,
    seed: int = 0,
    pairs: PairList | None = None,
    champion: Champion | None = None,
) -> Evaluation:
    """Measure a verifier, and baselines and the champion beside it, on the test identities.

    Args:
        verifier: An encoder with thresholds from the calibration identities.
        data: Its images, prepared as the encoder reads them.
        config: Caps and intervals, as in the calibration.
        protocols: What is measured beside the error rates; `pairs` is not read here.
        seed: Of samples and resamples.
        pairs: The user's pairs, of test identities.
        champion: The champion of the moment.

    Raises:
        DataError: The metadata file is wrong, or a part has no genuine or no impostor pairs.
    """
    config, protocols = config or CalibrationConfig(), protocols or EvaluationConfig()
    data = unseen_by(verifier.trained.trained_on, data, config.parts)
    pairs = unseen_pairs(pairs, data) if pairs else None
    calibrating, test = (HeldOut.of(data, part, config, seed) for part in config.parts)
    columns = image_groups(data.manifest, test.images, protocols.metadata)  # first: a wrong file stops at once
    calibration, threshold = verifier.calibration, verifier.calibration.reference.threshold
    embedder, of_images = RowEmbedder(verifier.encoder, data.store.images), partial(embed, verifier.encoder)
    embeddings, distances = embedder(test.images.rows), test.distances(embedder)
    logger.info("measuring the verifier on %s", distances)
    bootstrap = test.bootstrap(distances)
    components = principal_components(data.part("train"), seed)
    return Evaluation(
        model=_measure(bootstrap, calibration.thresholds, config, seed),
        pixels=_baseline("raw pixels", pixel_vectors, calibrating, test, config),
        default=calibration.default,
        identities=distances.identities,
        images=len(test.images),
        genuine_pairs=len(distances.genuine),
        genuine_total=test.pairs.genuine_total,
        impostor_pairs=len(distances.impostor),
        impostor_total=test.pairs.impostor_total,
        confidence=config.confidence,
        failure_to_acquire=len(data.manifest.quarantined) / len(data.manifest.judged),
        worst_false_matches=_extreme(test.images.rows, test.pairs.impostor, distances.impostor, nearest=True),
        worst_false_non_matches=_extreme(test.images.rows, test.pairs.genuine, distances.genuine, nearest=False),
        figures=_figures(embeddings, test, distances, calibration),
        pca=_baseline("principal components", components, calibrating, test, config),
        reliability=reliability(bootstrap, calibration),
        slices=measure_slices(columns, test, distances, threshold),
        robustness=robustness_curves(of_images, test, embeddings, threshold) if protocols.robustness else [],
        embedding_map=embedding_map(embeddings, test.images.rows, test.images.labels, seed),
        pairs=measure_pairs(embedder, pairs, data.manifest, calibration, config, seed) if pairs else None,
        one_shot=measure_one_shot(embedder, data, protocols.one_shot, seed),
        champion=beside_champion(verifier, champion, data, config, seed, embedder) if champion else None,
        test_pairs=test.name_of_pairs(data.manifest.ok["sha256"].tolist()),
        folds=config.folds,
    )


def _baseline(
    name: str, of_images: ImageEmbedder, calibrating: HeldOut, test: HeldOut, config: CalibrationConfig
) -> SystemResult:
    """The same protocol with other embeddings: thresholds from calibration, errors from test identities."""
    with track(f"measure {name}", len(calibrating.images) + len(test.images), "images") as progress:

        def embedder(rows: Indices) -> Vectors:
            parts = []
            for start in range(0, len(rows), BLOCK):
                parts.append(of_images(test.images.pixels, rows[start : start + BLOCK]))
                progress.advance(len(parts[-1]))
            return np.concatenate(parts)

        thresholds = choose_thresholds(calibrating.distances(embedder), config)
        return _measure(test.bootstrap(test.distances(embedder)), thresholds, config, test.seed)


def _measure(
    bootstrap: IdentityBootstrap, thresholds: dict[str, Threshold], config: CalibrationConfig, seed: int
) -> SystemResult:
    distances = bootstrap.distances
    curve = roc(distances.genuine, distances.impostor)
    # Points evenly spread over the logarithm of the FMR: the DET plot's axis.
    wanted = np.geomspace(1 / len(distances.impostor), 1, _CURVE_POINTS)
    index = np.unique(np.searchsorted(curve.fmr, wanted).clip(max=len(curve.fmr) - 1))
    low, high = bootstrap.fnmr_band(curve.thresholds[index])
    return SystemResult(
        eer=equal_error_rate(curve)[0],
        auc=area_under_roc(distances.genuine, distances.impostor),
        points=_measure_points(bootstrap, thresholds, config, seed),
        curves=Curves(
            curve.fmr[index].tolist(),
            curve.fnmr[index].tolist(),
            *_histograms(distances),
            fnmr_low=low.tolist(),
            fnmr_high=high.tolist(),
            thresholds=curve.thresholds[index].tolist(),
        ),
    )


def _measure_points(
    bootstrap: IdentityBootstrap, thresholds: dict[str, Threshold], config: CalibrationConfig, seed: int
) -> dict[str, PointResult]:
    if not config.folds:
        return measure_points(thresholds, bootstrap.rates)
    rates = cross_fitted(bootstrap, list(thresholds), config, seed)
    return {name: point_result(threshold, *rates(name)) for name, threshold in thresholds.items()}


def _figures(embeddings: Vectors, test: HeldOut, distances: PairDistances, calibration: Calibration) -> Figures:
    """Figures without an operating point.

    TAR takes its thresholds from all impostor pairs there are, since a sample has none for a low FMR.
    """
    genuine, impostor = distances.genuine, distances.impostor
    identified = identify(embeddings, test.images.labels, test.seed)
    cmc = identified.cmc()
    compared = _count_all_pairs(embeddings, test.images.labels)
    impostor_pairs = int(compared.impostor.sum())
    why = {target: why_unsupported(target, impostor_pairs, distances.identities, "test") for target in _TAR_TARGETS}
    return Figures(
        sensitivity=sensitivity_index(genuine, impostor),
        cllr=cllr(calibration.log_ratio(genuine), calibration.log_ratio(impostor)),
        min_cllr=min_cllr(genuine, impostor),
        rank_1=identified.rank_1(),
        gallery=identified.identities,
        searches=len(identified.rank),
        tar={
            operating_point_name(target): 1 - fnmr_at(genuine, compared.threshold_at_fmr(target))
            for target, reason in why.items()
            if not reason
        },
        tar_impostor_pairs=impostor_pairs,
        refused={operating_point_name(target): reason for target, reason in why.items() if reason},
        cmc={rank: float(cmc[rank - 1]) for rank in _RANKS if rank < identified.identities},
        identified={
            f"{rate:g}": identified.detection_and_identification_rate(rate)
            for rate in _FALSE_ALARM_RATES
            if rate * len(identified.rank) >= _EXPECTED_FALSE_ALARMS
        },
    )


def _count_all_pairs(embeddings: Vectors, labels: Indices) -> PairCounts:
    """All pairs of the images, in shares of a second or two."""
    on_device = torch.from_numpy(embeddings).to(choose_device("auto"))
    pairs = len(labels) * (len(labels) - 1) // 2
    shares = 1 + pairs // _PAIRS_OF_A_SHARE
    with track("compare all images", pairs, "pairs") as progress:

        def count(share: int) -> PairCounts:
            counts = count_pairs(on_device, labels, share=(share, shares))
            progress.advance(int(counts.genuine.sum() + counts.impostor.sum()))
            return counts

        return reduce(PairCounts.merge, map(count, range(shares)))


def _histograms(distances: PairDistances) -> tuple[list[float], list[float], list[float]]:
    top = float(max(distances.genuine.max(), distances.impostor.max(), 1e-6))
    bins = np.linspace(0, top, _HISTOGRAM_BINS + 1)
    genuine, impostor = (np.histogram(d, bins, density=True)[0] for d in (distances.genuine, distances.impostor))
    return bins.tolist(), genuine.tolist(), impostor.tolist()


def _extreme(rows: Indices, pairs: Indices, distances: npt.NDArray[np.float64], nearest: bool) -> list[PairDistance]:
    order = np.argsort(distances if nearest else -distances, kind="stable")[:_WORST]
    return [(int(rows[pairs[i, 0]]), int(rows[pairs[i, 1]]), float(distances[i])) for i in order]

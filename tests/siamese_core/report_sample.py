"""A whole evaluation with everything in it that a report can show, of random numbers; for the tests of the report."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from siamese_core.calibration.expected_rates import Interval
from siamese_core.calibration.operating_points import Calibration, OperatingPoint
from siamese_core.config import EncoderConfig, ImageConfig, SplitConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest, make_table
from siamese_core.data.split import make_split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import (
    Curves,
    EmbeddingMap,
    Figures,
    PointResult,
    ReliabilityBin,
    RobustnessCurve,
    Slice,
    SystemResult,
)
from siamese_core.metrics.rates import Rate, area_under_roc, equal_error_rate, roc
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.model_card import model_card
from siamese_core.report.origin import Origin
from siamese_core.report.page import report_charts, report_page

HOSTILE = '</script><img src=x onerror="document.title=1">&\u2028'
TARGETS = {"eer": None, "accuracy": None, "fmr_1e-1": 0.1, "fmr_1e-2": 0.01, "fmr_1e-3": 0.001}


@dataclass(frozen=True)
class Sample:
    """Arguments of `report_page`."""

    evaluation: Evaluation
    calibration: Calibration
    trained: TrainedEncoder
    dataset: Dataset

    def page(self, name: str = "sample", lineage: dict[str, str] | None = None, configuration: str = "") -> str:
        """The report."""
        origin = Origin(name, lineage or {}, configuration)
        return report_page(self.evaluation, self.calibration, self.trained, self.dataset, origin)

    def charts(self) -> dict[str, str]:
        """The charts as files."""
        return report_charts(self.evaluation, self.calibration, self.trained, self.dataset, Origin("sample"))

    def card(self, name: str = "sample", lineage: dict[str, str] | None = None) -> str:
        """The model card."""
        return model_card(self.evaluation, self.calibration, self.trained, self.dataset, Origin(name, lineage or {}))

    def bare(self) -> "Sample":
        """Only what every evaluation has."""
        return replace(self, evaluation=replace(self.evaluation, slices=[], robustness=[]))


def sample(folder: Path, identities: int = 40, size: int = 32) -> Sample:
    """Draw it, always the same; `folder` is that of a store that is never written."""
    rng = np.random.default_rng(7)
    per_identity = 8
    pixels = rng.integers(0, 256, (identities * per_identity, size, size, 3), dtype=np.uint8)
    model = _system(rng, 1.0)
    expected = Interval(0.0, 0.05)
    points = {
        name: OperatingPoint(name, point.threshold, point.target_fmr, point.fmr, point.fnmr, expected, expected)
        for name, point in model.points.items()
    }
    calibration = Calibration(
        points, "fmr_1e-2", "fmr_1e-2", {"fmr_1e-5": f"needs more {HOSTILE}"}, 4.0, 4.0, 0.03, 40, 300, 0.95, False, ""
    )
    history = [
        {"step": step, "loss": 50 / step, "validation_eer": 2 / step, "distance": 1.5, "effective_rank": 9.0}
        for step in (100, 200, 300)
    ]
    events = [{"step": 200, "kind": "warning", "message": f"narrow {HOSTILE}"}]
    trained = TrainedEncoder({}, EncoderConfig(), ImageConfig(size=size), history, 300, events)
    manifest = _manifest(identities, per_identity)
    dataset = Dataset(manifest, ImageStore(pixels, ImageConfig(size=size), folder), make_split(manifest, SplitConfig()))
    return Sample(_evaluation(rng, model, len(pixels)), calibration, trained, dataset)


def rate(errors: int, pairs: int) -> Rate:
    """With an interval of about the right width."""
    value, spread = errors / pairs, 2 * np.sqrt(max(errors, 1)) / pairs
    return Rate(value, max(0.0, value - spread), min(1.0, 3 / pairs if errors == 0 else value + spread), errors, pairs)


def _evaluation(rng: np.random.Generator, model: SystemResult, images: int) -> Evaluation:
    around = rng.normal(0, 1, (images, 2))
    worst = [(0, 9, 0.31), (3, 14, 0.42)]
    return Evaluation(
        model=model,
        pixels=_system(rng, 2.2),
        default="fmr_1e-2",
        identities=40,
        images=images,
        genuine_pairs=4000,
        genuine_total=4000,
        impostor_pairs=50_000,
        impostor_total=90_000,
        confidence=0.95,
        failure_to_acquire=0.02,
        worst_false_matches=worst,
        worst_false_non_matches=[(0, 1, 3.1), (8, 9, 2.9)],
        figures=Figures(
            sensitivity=3.7,
            cllr=0.13,
            min_cllr=0.12,
            rank_1=0.78,
            gallery=40,
            searches=200,
            tar={"fmr_1e-2": 0.93},
            refused={"fmr_1e-5": "too few pairs"},
            tar_impostor_pairs=90_000,
            cmc={5: 0.9},
            identified={"0.1": 0.7},
        ),
        pca=_system(rng, 1.7),
        reliability=[ReliabilityBin(p, p + 0.01, p - 0.04, p + 0.06, 900) for p in (0.05, 0.3, 0.6, 0.9)],
        slices=[
            Slice("camera", HOSTILE, HOSTILE, "metadata", 12, rate(40, 3000), rate(3, 100), "FNMR is higher"),
            Slice("camera", HOSTILE, "phone", "metadata", 20, rate(0, 900), None, ""),
            Slice("brightness", "darkest third", "darkest third", "quality", 30, None, rate(50, 400), ""),
        ],
        robustness=[
            RobustnessCurve("blur", "pixels", [0, 1, 2], [0.05, 0.1, 0.3], [0.01, 0.01, 0.02]),
            RobustnessCurve("JPEG", "quality", [0, 1, 2], [0.05, 0.06, 0.1], [0.01, 0.01, 0.01]),
        ],
        embedding_map=EmbeddingMap("principal components", list(range(images)), *around.T.tolist()),
    )


def _system(rng: np.random.Generator, width: float) -> SystemResult:
    genuine, impostor = rng.gamma(4, 0.12 * width, 4000), rng.normal(2.4, 0.55, 50_000).clip(0.02)
    curve = roc(genuine, impostor)
    index = np.unique(np.searchsorted(curve.fmr, np.geomspace(1 / 50_000, 1, 400)).clip(max=len(curve.fmr) - 1))
    fnmr = curve.fnmr[index]
    ordered = np.sort(impostor)
    eer, middle = equal_error_rate(curve)
    at = {name: middle if target is None else ordered[int(target * 50_000)] for name, target in TARGETS.items()}
    points = {name: _point(genuine, impostor, float(t), TARGETS[name]) for name, t in at.items()}
    bins = np.linspace(0, max(genuine.max(), impostor.max()), 101)
    return SystemResult(
        eer=eer,
        auc=area_under_roc(genuine, impostor),
        points=points,
        curves=Curves(
            fmr=curve.fmr[index].tolist(),
            fnmr=fnmr.tolist(),
            bins=bins.tolist(),
            genuine=np.histogram(genuine, bins, density=True)[0].tolist(),
            impostor=np.histogram(impostor, bins, density=True)[0].tolist(),
            fnmr_low=(fnmr * 0.8).tolist(),
            fnmr_high=(fnmr * 1.1 + 0.004).clip(0, 1).tolist(),
            thresholds=curve.thresholds[index].tolist(),
        ),
    )


def _point(genuine: np.ndarray, impostor: np.ndarray, threshold: float, target: float | None) -> PointResult:
    fmr = rate(int((impostor < threshold).sum()), len(impostor))
    fnmr = rate(int((genuine >= threshold).sum()), len(genuine))
    return PointResult(threshold, target, fmr, fnmr, 1 - (fmr.value + fnmr.value) / 2)


def _manifest(identities: int, per_identity: int) -> Manifest:
    rows = [
        {"identity": f"{HOSTILE}/{who:04}", "path": f"{HOSTILE}/{who:04}/{which}.png", "sha256": f"{who}-{which}"}
        | {"status": "ok", "reason": ""}
        for who in range(identities)
        for which in range(per_identity)
    ]
    bad = [
        {"identity": "x", "path": f"x/{index}.txt{HOSTILE}", "sha256": "", "status": "quarantined"}
        | {"reason": f"not an image {HOSTILE}" if index % 2 else "empty file"}
        for index in range(301)
    ]
    empty = {"bytes": 0, "width": 0, "height": 0, "mode": "", "format": "", "bit_depth": 0}
    empty |= {"largest": 0, "brightness": 0.0, "contrast": 0.0}
    return Manifest(make_table([empty | row for row in rows + bad]))

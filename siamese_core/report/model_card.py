"""The model card: the nature of a version, its measured errors, and its limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from siamese_core.calibration.operating_points import Calibration, OperatingPoint
from siamese_core.config import ImageConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.split import PARTS
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import PointResult
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.origin import Origin
from siamese_core.report.render import markdown
from siamese_core.report.wording import sentence, verdict

_MOST_GAPS = 5


def model_card(
    evaluation: Evaluation, calibration: Calibration, trained: TrainedEncoder, dataset: Dataset, origin: Origin
) -> str:
    """Write the card as Markdown.

    Args:
        evaluation: Results on the test identities; parts without results are left out.
        calibration: Thresholds, and those that were refused.
        trained: The encoder.
        dataset: Images, and the identities that trained, calibrated and tested.
        origin: The registered model's name, and its lineage.
    """
    view = {"name": origin.name, "lineage": origin.lineage, "verdict": verdict(evaluation)}
    view |= _nature(trained, calibration) | _points(evaluation, calibration) | _systems(evaluation) | _data(dataset)
    return markdown("model_card.md.j2", view | {"limits": list(_limits(evaluation, calibration))})


def _nature(trained: TrainedEncoder, calibration: Calibration) -> dict[str, Any]:
    summary, images = trained.summary(), trained.images
    return {
        "architecture": summary["architecture"],
        "parameters": f"{summary['parameters']:,}",
        "dimensions": trained.encoder.embedding_dim,
        "steps": f"{trained.history[-1]['step']:,.0f}",
        "best_step": f"{summary['best_step']:,}",
        "default": calibration.default,
        "size": images.size,
        "color": images.color,
        "framing": _framing(images),
    }


def _points(evaluation: Evaluation, calibration: Calibration) -> dict[str, Any]:
    points = evaluation.model.points.items()
    return {
        "points": [_point_row(name, point, calibration.points[name]) for name, point in points],
        "identities": f"{evaluation.identities:,}",
        "genuine_pairs": f"{evaluation.genuine_pairs:,}",
        "impostor_pairs": f"{evaluation.impostor_pairs:,}",
        "confidence": f"{evaluation.confidence:.0%}",
        "calibration_identities": f"{calibration.identities:,}",
        "calibration_confidence": f"{calibration.confidence:.0%}",
        "protocols": [str(result) for result in (evaluation.pairs, evaluation.one_shot) if result],
    }


def _point_row(name: str, point: PointResult, calibrated: OperatingPoint) -> list[str]:
    target = "–" if point.target_fmr is None else f"{point.target_fmr:g}"
    expected = str(calibrated.expected_fmr), str(calibrated.expected_fnmr)
    return [name, f"{point.threshold:.4f}", target, str(point.fmr), str(point.fnmr), *expected]


def _systems(evaluation: Evaluation) -> dict[str, Any]:
    """Every system at the default operating point, each with a threshold of its own."""
    ours, pixels, pca, champion = evaluation.model, evaluation.pixels, evaluation.pca, evaluation.champion
    systems = {"this version": ours, "raw pixels": pixels, "principal components": pca}
    results = {name: (system.eer, system.points) for name, system in systems.items()}
    if champion and champion.comparison:
        results[f"version {champion.version}"] = (champion.comparison.champion_eer, champion.points)
    default = evaluation.default
    return {
        "systems": [[name, f"{eer:.2%}", *_rates(points.get(default))] for name, (eer, points) in results.items()],
        "champion": sentence(str(champion)) if champion else "",
    }


def _rates(point: PointResult | None) -> list[str]:
    return [str(point.fmr), str(point.fnmr)] if point else ["–", "–"]


def _limits(evaluation: Evaluation, calibration: Calibration) -> Iterator[str]:
    """Refused operating points, a caution, and the groups of images that it serves worse than others."""
    for name, reason in calibration.refused.items():
        yield f"{name} was refused: {reason}"
    if calibration.caution:
        yield calibration.caution
    gaps = evaluation.gaps()
    for group in gaps[:_MOST_GAPS]:
        yield f"{group.column} {group.group}: {group.gap}"
    if len(gaps) > _MOST_GAPS:
        yield f"{len(gaps) - _MOST_GAPS:,} more groups are in the report"


def _data(dataset: Dataset) -> dict[str, Any]:
    manifest, split = dataset.manifest, dataset.split
    images, counts = manifest.ok, split.summary()
    parts = (f"{counts[part]:,} {part} ({len(split.rows(manifest, part)):,} images)" for part in PARTS)
    return {
        "images": f"{len(images):,}",
        "width": f"{images['width'].median():.0f}",
        "height": f"{images['height'].median():.0f}",
        "quarantined": f"{len(manifest.quarantined):,}",
        "all_identities": f"{images['identity'].nunique():,}",
        "parts": ", ".join(parts),
    }


def _framing(images: ImageConfig) -> str:
    whole = "the square around their content" if images.framing == "content" else "the central square"
    return whole if images.crop == 1 else f"{images.crop:.0%} of {whole}"

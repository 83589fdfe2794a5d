"""The model card: the nature of a version, its measured errors, and its limits."""

from __future__ import annotations

from collections.abc import Iterator

from siamese_core.calibration.operating_points import Calibration
from siamese_core.config import ImageConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.split import PARTS
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import PointResult
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.origin import Origin
from siamese_core.report.render import markdown
from siamese_core.report.wording import verdict

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
    manifest, split = dataset.manifest, dataset.split
    sizes = split.summary()
    parts = (f"{sizes[part]:,} {part} ({len(split.rows(manifest, part)):,} images)" for part in PARTS)
    view = {
        "origin": origin,
        "verdict": verdict(evaluation, calibration),
        "evaluation": evaluation,
        "calibration": calibration,
        "trained": trained,
        "network": trained.summary(),
        "framing": _framing(trained.images),
        "systems": _systems(evaluation),
        "limits": list(_limits(evaluation, calibration)),
        "images": manifest.ok,
        "quarantined": manifest.quarantined,
        "parts": ", ".join(parts),
    }
    return markdown("model_card.md.j2", view)


def _systems(evaluation: Evaluation) -> list[list[str]]:
    """Every system at the same operating point, each with a threshold of its own."""
    ours, pixels, pca, champion = evaluation.model, evaluation.pixels, evaluation.pca, evaluation.champion
    systems = {"this version": ours, "raw pixels": pixels, "principal components": pca}
    results = {name: (system.eer, system.points) for name, system in systems.items()}
    if champion and champion.comparison:
        results[f"version {champion.version}"] = (champion.comparison.eer.champion, champion.points)
    reference = evaluation.reference
    return [[name, f"{eer:.2%}", *_rates(points.get(reference))] for name, (eer, points) in results.items()]


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


def _framing(images: ImageConfig) -> str:
    whole = "the square around their content" if images.framing == "content" else "the central square"
    return whole if images.crop == 1 else f"{images.crop:.0%} of {whole}"

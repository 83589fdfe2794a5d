"""The model card: what a version is, what it was measured to do, and what it is not for."""

from __future__ import annotations

from collections.abc import Iterable

from siamese_core.calibration.operating_points import Calibration, OperatingPoint
from siamese_core.config import ImageConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import PARTS, Split
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.results import PointResult, Slice
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.protocol_sections import sentence
from siamese_core.report.wording import verdict

_MOST_GAPS = 5

_USE = """Comparing two images of the kind it was trained on. The error rates hold for identities it has never seen, in
images from the same source as the data; other cameras, poses, groups of people or typefaces need an evaluation of their
own (`siamese evaluate`)."""
_NEVER = "It does not detect or align faces, and does not notice a picture of a picture."


def model_card(
    name: str,
    trained: TrainedEncoder,
    calibration: Calibration,
    evaluation: Evaluation,
    manifest: Manifest,
    split: Split,
    lineage: dict[str, str],
) -> str:
    """The card as Markdown.

    Args:
        name: Of the registered model.
        trained: The encoder.
        calibration: Its thresholds, and those that were refused.
        evaluation: What it was measured to do; what an evaluation lacks, the card leaves out.
        manifest: The data.
        split: Which of them trained, calibrated and tested.
        lineage: Where it comes from, by name.
    """
    sections = {
        "What it is": _nature(trained, calibration),
        "Operating points": _points(evaluation, calibration),
        "Also measured on test identities": _protocols(evaluation),
        "Beside other systems": _systems(evaluation),
        "Intended use": _USE,
        "Limits": _list([_NEVER, *_refusals(calibration), *_caution(calibration), *_gaps(evaluation.gaps())]),
        "Data": _data(manifest, split),
        "Lineage": _list(f"{key}: `{value}`" for key, value in lineage.items()),
    }
    body = "\n\n".join(f"## {title}\n{text}" for title, text in sections.items() if text)
    return f"# {name}\n\n{verdict(evaluation)}\n\n{body}\n"


def _nature(trained: TrainedEncoder, calibration: Calibration) -> str:
    found, images = trained.summary(), trained.images
    return (
        f"A Siamese encoder ({found['architecture']}, {found['parameters']:,} parameters, embeddings of length "
        f"{trained.encoder.embedding_dim}) trained with triplet loss, {trained.history[-1]['step']:,.0f} steps; the "
        f'weights are those of step {found["best_step"]:,}. Two images are "same" when the squared L2 distance of '
        "their embeddings is below the threshold of an operating point; the default is "
        f"`{calibration.default}`. Images are read as {images.size}×{images.size} {images.color}, "
        f"{_framing(images)}."
    )


def _points(evaluation: Evaluation, calibration: Calibration) -> str:
    head = ["name", "threshold", "target FMR", "FMR", "FNMR", "expected FMR", "expected FNMR"]
    points = evaluation.model.points.items()
    table = _table(head, (_point_row(name, point, calibration.points.get(name)) for name, point in points))
    return (
        f"{table}\n\nOn {evaluation.identities:,} test identities ({evaluation.genuine_pairs:,} genuine and "
        f"{evaluation.impostor_pairs:,} impostor pairs). Thresholds come from {calibration.identities:,} other "
        f"identities; intervals are {evaluation.confidence:.0%}, by bootstrap over identities. Expected is what "
        "calibration stated beforehand for identities it had not seen, all points at once with "
        f"{calibration.confidence:.0%} confidence."
    )


def _point_row(name: str, point: PointResult, calibrated: OperatingPoint | None) -> list[str]:
    target = "–" if point.target_fmr is None else f"{point.target_fmr:g}"
    expected = [calibrated.expected_fmr, calibrated.expected_fnmr] if calibrated else [None, None]
    stated = [str(interval or "–") for interval in expected]
    return [name, f"{point.threshold:.4f}", target, str(point.fmr), str(point.fnmr), *stated]


def _protocols(evaluation: Evaluation) -> str:
    return _list(str(found) for found in (evaluation.pairs, evaluation.one_shot) if found)


def _systems(evaluation: Evaluation) -> str:
    """Every system at the default operating point, each with a threshold of its own."""
    systems = {
        "this version": evaluation.model,
        "raw pixels": evaluation.pixels,
        "principal components": evaluation.pca,
    }
    found = {name: (system.eer, system.points) for name, system in systems.items() if system}
    champion = evaluation.champion
    if champion and champion.comparison:
        found[f"version {champion.version}"] = (champion.comparison.champion_eer, champion.points)
    default = evaluation.default
    rows = [[name, f"{eer:.2%}", *_rates(points.get(default))] for name, (eer, points) in found.items()]
    table = _table(["system", "EER", f"FMR at its {default}", f"FNMR at its {default}"], rows)
    return f"{table}\n\n{sentence(str(champion))}" if champion else table


def _rates(point: PointResult | None) -> list[str]:
    return [str(point.fmr), str(point.fnmr)] if point else ["–", "–"]


def _refusals(calibration: Calibration) -> Iterable[str]:
    return (f"{name} was refused: {why}" for name, why in calibration.refused.items())


def _caution(calibration: Calibration) -> Iterable[str]:
    return [calibration.caution] if calibration.caution else []


def _gaps(flagged: list[Slice]) -> Iterable[str]:
    """Groups of images that it serves worse than others."""
    for found in flagged[:_MOST_GAPS]:
        yield f"{found.column} {found.group}: {found.gap}"
    if len(flagged) > _MOST_GAPS:
        yield f"{len(flagged) - _MOST_GAPS:,} more groups are in the report"


def _data(manifest: Manifest, split: Split) -> str:
    images, counts = manifest.ok, split.summary()
    parts = ", ".join(f"{counts[part]:,} {part} ({len(split.rows(manifest, part)):,} images)" for part in PARTS)
    return (
        f"{len(images):,} images, in the median {images['width'].median():.0f}×{images['height'].median():.0f} pixels; "
        f"{len(manifest.quarantined):,} files in quarantine. {images['identity'].nunique():,} identities: {parts}."
    )


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _framing(images: ImageConfig) -> str:
    whole = "the square around their content" if images.framing == "content" else "the central square"
    return whole if images.crop == 1 else f"{images.crop:.0%} of {whole}"

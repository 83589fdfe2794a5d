"""The model card: what a version is, what it was measured to do, and what it is not for."""

from __future__ import annotations

from siamese_core.calibration import Calibration, OperatingPoint
from siamese_core.evaluation import Evaluation
from siamese_core.report import percent, verdict
from siamese_core.trained import TrainedEncoder


def model_card(
    name: str,
    trained: TrainedEncoder,
    calibration: Calibration,
    evaluation: Evaluation,
    lineage: dict[str, str],
) -> str:
    """The card as Markdown."""
    summary, images = trained.summary(), trained.images
    points = "\n".join(
        f"| {key} | {point.threshold:.4f} | {'–' if point.target_fmr is None else f'{point.target_fmr:g}'} "
        f"| {percent(point.fmr)} | {percent(point.fnmr)} | {_expected(calibration.points.get(key))} |"
        for key, point in evaluation.model.points.items()
    )
    refused = "".join(f"\n- {key} was refused: {why}" for key, why in calibration.refused.items())
    origin = "\n".join(f"- {key}: `{value}`" for key, value in lineage.items())
    return f"""# {name}

{verdict(evaluation)}

## What it is
A Siamese encoder ({summary["architecture"]}, {summary["parameters"]:,} parameters, embeddings of length
{trained.encoder.embedding_dim}) trained with triplet loss. Two images are "same" when the squared L2 distance of
their embeddings is below the threshold of an operating point; the default is `{calibration.default}`.
Images are read as {images.size}×{images.size} {images.color}, central {images.crop:.0%} of the shorter side.

## Operating points, on {evaluation.identities:,} test identities
| name | threshold | target FMR | FMR | FNMR | expected FMR | expected FNMR |
|---|---|---|---|---|---|---|
{points}

Thresholds come from {calibration.identities:,} other identities; intervals are {evaluation.confidence:.0%}, by
bootstrap over identities. Expected is what calibration stated beforehand for identities it had not seen, all points at
once with {calibration.confidence:.0%} confidence.{refused}

## Intended use and limits
Comparing two images of the kind it was trained on. The error rates hold for images that come from the same
source as the data; other cameras, poses, groups of people or typefaces need an evaluation of their own. It does not
detect or align faces, and does not notice a picture of a picture.

## Lineage
{origin}
"""


def _expected(point: OperatingPoint | None) -> str:
    if point is None or point.expected_fmr is None or point.expected_fnmr is None:
        return "– | –"
    return f"{point.expected_fmr} | {point.expected_fnmr}"

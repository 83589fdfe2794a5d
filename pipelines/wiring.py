"""The steps that both pipelines share, and how artifacts pass between them."""

from typing import Any

from siamese_core.config import (
    CalibrationConfig,
    EncoderConfig,
    EvaluationConfig,
    ImageConfig,
    PromotionConfig,
    SplitConfig,
    TrainingConfig,
    TripletConfig,
    ValidationConfig,
)
from siamese_integrations.lineage import file_sha256
from siamese_integrations.parameters import as_json
from steps.build_triplets import build_triplets
from steps.calibrate import calibrate
from steps.evaluate import evaluate
from steps.ingest import ingest
from steps.register import register
from steps.split import split as split_identities
from steps.train import train
from steps.validate import validate

STEPS = ("ingest", "validate", "split", "build_triplets", "train", "calibrate", "evaluate", "register")


def train_and_register(
    data_dir: str,
    model_name: str,
    split_file: str | None,
    seed: int,
    images: ImageConfig,
    validation: ValidationConfig,
    split: SplitConfig,
    triplets: TripletConfig,
    encoder: EncoderConfig,
    training: TrainingConfig,
    calibration: CalibrationConfig,
    evaluation: EvaluationConfig,
    promotion: PromotionConfig,
) -> tuple[Any, Any]:
    """Wires all steps; the parameters are those of the pipelines.

    Returns:
        What the steps will make: the model version and the image manifest.
    """
    config = as_json(locals())
    manifest, store, _ = ingest(data_dir, images)
    validate(manifest, store, validation)
    metadata = evaluation.metadata, file_sha256(evaluation.metadata)
    files = split_file, file_sha256(split_file), evaluation.pairs, file_sha256(evaluation.pairs)
    parts, listed = split_identities(manifest, split, *files, evaluation.one_shot, *metadata, after=["validate"])
    weights = file_sha256(encoder.weights_file)
    chosen = build_triplets(manifest, store, parts, model_name, encoder, triplets, training.margin, seed, weights)
    trained = train(manifest, store, parts, chosen, encoder, training, model_name, seed, weights)
    calibrated = calibrate(manifest, store, parts, trained, calibration, seed)
    measured, _ = evaluate(
        manifest,
        store,
        parts,
        listed,
        trained,
        calibrated,
        calibration,
        evaluation,
        model_name,
        seed,
        metadata[1],
    )
    version = register(
        manifest, store, parts, trained, calibrated, measured, calibration, promotion, model_name, seed, config
    )
    return version, manifest

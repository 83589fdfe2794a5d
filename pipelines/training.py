"""From folders of images to a registered verifier."""

import json
from typing import Any

from pydantic_core import to_jsonable_python

from siamese_core.config import (
    CalibrationConfig,
    DataConfig,
    DataDir,
    EncoderConfig,
    EvaluationConfig,
    ImageConfig,
    ModelName,
    PromotionConfig,
    RetainConfig,
    Seed,
    SplitConfig,
    SplitFile,
    TrainingConfig,
    TripletConfig,
    ValidationConfig,
)
from siamese_core.input_file import InputFile
from siamese_integrations.zenml_pipeline import checked_pipeline
from steps.build_triplets import build_triplets
from steps.calibrate import calibrate
from steps.evaluate import evaluate
from steps.ingest import ingest
from steps.register import register
from steps.split import split as split_identities
from steps.train import train
from steps.validate import validate


@checked_pipeline("ingest", "validate", "split", "build_triplets", "train", "calibrate", "evaluate", "register")
def training_pipeline(
    data_dir: DataDir,
    model_name: ModelName = "siamese",
    split_file: SplitFile = None,
    seed: Seed = 0,
    data: DataConfig = DataConfig(),
    images: ImageConfig = ImageConfig(),
    validation: ValidationConfig = ValidationConfig(),
    split: SplitConfig = SplitConfig(),
    triplets: TripletConfig = TripletConfig(),
    encoder: EncoderConfig = EncoderConfig(),
    training: TrainingConfig = TrainingConfig(),
    calibration: CalibrationConfig = CalibrationConfig(),
    evaluation: EvaluationConfig = EvaluationConfig(),
    promotion: PromotionConfig = PromotionConfig(),
    retain: RetainConfig = RetainConfig(),
) -> tuple[Any, Any]:
    """Train, calibrate, evaluate and register a verifier.

    Args:
        data_dir: Folder of images; an identity is the path of a folder below it, unless `data` says otherwise.
        model_name: Name in the MLflow model registry.
        split_file: Optional CSV `identity,split` that overrides the hash split.
        seed: Of everything random.
        data: How folders become identities.
        images: How images are prepared.
        validation: Requirements on the data.
        split: Shares of the parts.
        triplets: How many triplets are mined.
        encoder: The network.
        training: The loop; `warm_start` starts it from the champion.
        calibration: Operating points.
        evaluation: Measurements beside the error rates.
        promotion: The gate.
        retain: Earlier runs that `siamese retrain` keeps.

    Returns:
        The model version and the image manifest.
    """
    parameters = {name: value for name, value in locals().items() if name != "retain"}  # no part of the model
    config = json.dumps(to_jsonable_python(parameters), sort_keys=True)
    pairs, metadata = InputFile.of(evaluation.pairs), InputFile.of(evaluation.metadata)
    weights = InputFile.of(encoder.weights_file)
    manifest, store, _ = ingest(data_dir, images, data)
    validate(manifest, store, validation, data)
    parts, pair_list = split_identities(
        manifest,
        split,
        InputFile.of(split_file),
        pairs,
        evaluation.one_shot,
        metadata,
        calibration,
        after=["validate"],
    )
    hard = build_triplets(manifest, store, parts, model_name, encoder, triplets, training.margin, seed, weights)
    trained = train(manifest, store, parts, hard, encoder, training, model_name, seed, weights, calibration.parts)
    calibrated = calibrate(manifest, store, parts, trained, calibration, seed)
    measured, _ = evaluate(
        manifest, store, parts, pair_list, trained, calibrated, calibration, evaluation, model_name, seed, metadata
    )
    version = register(
        manifest, store, parts, trained, calibrated, measured, calibration, promotion, model_name, seed, config
    )
    return version, manifest

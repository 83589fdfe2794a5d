"""From folders of images to a registered verifier."""

from integrations.lineage import file_sha256
from integrations.parameters import as_json
from integrations.zenml_pipeline import checked_pipeline
from siamese_core.config import (
    CalibrationConfig,
    EncoderConfig,
    ImageConfig,
    PromotionConfig,
    SplitConfig,
    TrainingConfig,
    TripletConfig,
    ValidationConfig,
)
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
    data_dir: str,
    model_name: str = "siamese",
    split_file: str | None = None,
    seed: int = 0,
    images: ImageConfig = ImageConfig(),
    validation: ValidationConfig = ValidationConfig(),
    split: SplitConfig = SplitConfig(),
    triplets: TripletConfig = TripletConfig(),
    encoder: EncoderConfig = EncoderConfig(),
    training: TrainingConfig = TrainingConfig(),
    calibration: CalibrationConfig = CalibrationConfig(),
    promotion: PromotionConfig = PromotionConfig(),
) -> None:
    """Trains, calibrates, evaluates and registers a verifier.

    Args:
        data_dir: Folder of images; an identity is the path of a folder below it.
        model_name: Name in the MLflow model registry.
        split_file: Optional CSV `identity,split` that overrides the hash split.
        seed: Of everything random.
        images: How images are prepared.
        validation: What the data must satisfy.
        split: Shares of the parts.
        triplets: How many triplets are mined.
        encoder: The network.
        training: The loop.
        calibration: Operating points.
        promotion: The gate.
    """
    config = as_json(locals())
    manifest, store, _ = ingest(data_dir, images)
    validate(manifest, store, validation)
    parts = split_identities(manifest, split, split_file, file_sha256(split_file), after=["validate"])
    chosen = build_triplets(manifest, store, parts, model_name, encoder, triplets, training.margin, seed)
    trained = train(manifest, store, parts, chosen, encoder, training, seed)
    calibrated = calibrate(manifest, store, parts, trained, calibration, seed)
    evaluation, _ = evaluate(manifest, store, parts, trained, calibrated, calibration, model_name, seed)
    register(
        manifest,
        store,
        parts,
        trained,
        calibrated,
        evaluation,
        calibration,
        promotion,
        model_name,
        seed,
        config,
    )

"""The same again on a schedule: new data in, a new version only where something has changed."""

from pipelines.wiring import STEPS, train_and_register
from siamese_core.config import (
    CalibrationConfig,
    DataDir,
    EncoderConfig,
    EvaluationConfig,
    ImageConfig,
    ModelName,
    PromotionConfig,
    Seed,
    SplitConfig,
    SplitFile,
    TrainingConfig,
    TripletConfig,
    ValidationConfig,
)
from siamese_integrations.zenml_pipeline import checked_pipeline
from steps.conclude import conclude


@checked_pipeline(*STEPS, "conclude")
def retraining_pipeline(
    data_dir: DataDir,
    model_name: ModelName = "siamese",
    split_file: SplitFile = None,
    seed: Seed = 0,
    images: ImageConfig = ImageConfig(),
    validation: ValidationConfig = ValidationConfig(),
    split: SplitConfig = SplitConfig(),
    triplets: TripletConfig = TripletConfig(),
    encoder: EncoderConfig = EncoderConfig(),
    training: TrainingConfig = TrainingConfig(),
    calibration: CalibrationConfig = CalibrationConfig(),
    evaluation: EvaluationConfig = EvaluationConfig(),
    promotion: PromotionConfig = PromotionConfig(),
) -> None:
    """Reads what is new, trains, and promotes the result only if it is not worse.

    With an unchanged folder and unchanged code every step after ingest comes from the cache: nothing is trained and
    no version is made, and the run says so.

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
        training: The loop; `warm_start` starts it from the champion.
        calibration: Operating points.
        evaluation: What is measured beside the error rates.
        promotion: The gate.
    """
    version, manifest = train_and_register(**locals())
    conclude(version, manifest, model_name)

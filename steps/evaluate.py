"""Evaluate: errors on test identities at the calibrated thresholds, and the report."""

from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from integrations.lineage import origin
from integrations.mlflow_tracking import log_evaluation
from integrations.zenml_cache import depends_on_code
from siamese_core.calibration import Calibration
from siamese_core.config import CalibrationConfig, EvaluationConfig
from siamese_core.embedding import embed
from siamese_core.evaluation import Evaluation
from siamese_core.evaluation import evaluate as measure
from siamese_core.manifest import Manifest
from siamese_core.plots import figures
from siamese_core.report import report_page
from siamese_core.split import Split
from siamese_core.store import ImageStore
from siamese_core.trained import TrainedEncoder
from siamese_core.wording import verdict


@step(cache_policy=depends_on_code(__file__), experiment_tracker=True)
def evaluate(
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    encoder: TrainedEncoder,
    calibrated: Calibration,
    calibration: CalibrationConfig,
    evaluation: EvaluationConfig,
    model_name: str,
    seed: int,
) -> tuple[Annotated[Evaluation, "evaluation"], Annotated[HTMLString, "evaluation_report"]]:
    """Measures the verifier, and raw pixels beside it, on identities that chose nothing."""
    network = encoder.build()
    measured = measure(
        lambda rows: embed(network, store.images, rows), calibrated, manifest, store, split, calibration, seed
    )
    lineage = origin(manifest) | {"seed": str(seed)}
    page = report_page(measured, calibrated, encoder, manifest, store, model_name, lineage)
    place = log_evaluation(measured.metrics(), figures(measured, encoder), page)
    print(verdict(measured))
    print(f"report: {place}")
    return measured, HTMLString(page)

"""Evaluate: errors on test identities at the calibrated thresholds, and the report."""

from functools import partial
from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from integrations.mlflow_tracking import log_evaluation
from integrations.zenml_cache import depends_on_code
from siamese_core.calibration import Calibration
from siamese_core.config import CalibrationConfig, EvaluationConfig
from siamese_core.embedding import embed
from siamese_core.evaluation import Evaluation
from siamese_core.evaluation import evaluate as measure
from siamese_core.manifest import Manifest
from siamese_core.report import figures, report_page, verdict
from siamese_core.split import Split
from siamese_core.store import ImageStore
from siamese_core.trained import TrainedEncoder


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
    metadata_sha256: str | None,
) -> tuple[Annotated[Evaluation, "evaluation"], Annotated[HTMLString, "evaluation_report"]]:
    """Measures the verifier, and baselines beside it, on identities that chose nothing.

    `metadata_sha256` makes the cache notice an edited `evaluation.metadata`.
    """
    measured = measure(
        partial(embed, encoder.build()), calibrated, manifest, store, split, calibration, seed, evaluation
    )
    page = report_page(measured, calibrated, encoder, manifest, store, model_name)
    log_evaluation(measured.metrics(), figures(measured, encoder), page)
    print(verdict(measured))
    return measured, HTMLString(page)

"""Evaluate: errors on test identities at the calibrated thresholds, and the report."""

import logging
from typing import Annotated

from zenml import step
from zenml.types import HTMLString

from siamese_core.calibration.operating_points import Calibration
from siamese_core.config import CalibrationConfig, EvaluationConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.pair_lists import PairList
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.evaluate import Evaluation, evaluate_verifier
from siamese_core.evaluation.unseen import unseen_by
from siamese_core.input_file import InputFile
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.origin import Origin
from siamese_core.report.page import report_charts, report_page
from siamese_core.report.wording import verdict
from siamese_core.verifier import Verifier
from siamese_integrations.lineage import configuration, origin
from siamese_integrations.mlflow_registry import load_champion
from siamese_integrations.mlflow_tracking import log_evaluation
from siamese_integrations.zenml_cache import depends_on_code

logger = logging.getLogger(__name__)


@step(cache_policy=depends_on_code(__file__), experiment_tracker=True)
def evaluate(
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    pairs: PairList,
    encoder: TrainedEncoder,
    calibrated: Calibration,
    calibration: CalibrationConfig,
    evaluation: EvaluationConfig,
    model_name: str,
    seed: int,
    metadata: InputFile | None,
) -> tuple[Annotated[Evaluation, "evaluation"], Annotated[HTMLString, "evaluation_report"]]:
    """Measure the verifier, and baselines and the champion beside it, on identities that chose nothing.

    `metadata` makes the cache notice an edited `evaluation.metadata`. Which version is champion is no part of
    the cache's key: the errors do not depend on it, and register compares anew where another one is champion by then.
    """
    data = unseen_by(encoder.trained_on, Dataset(manifest, store, split), calibration.parts)
    verifier, champion = Verifier(encoder, calibrated), load_champion(model_name)
    results = evaluate_verifier(verifier, data, calibration, evaluation, seed, pairs, champion)
    lineage = origin(manifest) | {"seed": str(seed)}
    report = results, calibrated, encoder, data, Origin(model_name, lineage, configuration())
    page = report_page(*report)
    place = log_evaluation(results.metrics(), report_charts(*report), page)
    logger.info(verdict(results, calibrated))
    for result in filter(None, (results.pairs, results.one_shot, results.champion)):
        logger.info(result)
    logger.info(f"report: {place}")
    return results, HTMLString(page)

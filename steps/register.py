"""Register: a new version in the MLflow model registry, champion if the gate lets it pass."""

import hashlib
import logging
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from zenml import step

from siamese_core.artifact import hash_folder
from siamese_core.calibration.operating_points import Calibration
from siamese_core.config import CalibrationConfig, PromotionConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.beside_champion import beside_champion
from siamese_core.evaluation.evaluate import Evaluation
from siamese_core.evaluation.promotion import Decision, decide
from siamese_core.evaluation.results import ChampionResult
from siamese_core.evaluation.unseen import unseen_by
from siamese_core.network.trained import TrainedEncoder
from siamese_core.report.model_card import model_card
from siamese_core.report.origin import Origin
from siamese_core.verifier import Verifier
from siamese_integrations import mlflow_registry
from siamese_integrations.lineage import origin
from siamese_integrations.model_lock import model_lock
from siamese_integrations.zenml_cache import depends_on_code

logger = logging.getLogger(__name__)


@step(cache_policy=depends_on_code(__file__), experiment_tracker=True)
def register(
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    encoder: TrainedEncoder,
    calibrated: Calibration,
    evaluation: Evaluation,
    calibration: CalibrationConfig,
    promotion: PromotionConfig,
    model_name: str,
    seed: int,
    config: str,
) -> Annotated[str, "model_version"]:
    """Register the challenger, and promote it if it is not worse than the champion.

    A version of this content that a killed run has left is completed. Where another version becomes the champion in the
    meantime, the challenger is compared with it.
    """
    data = unseen_by(encoder.trained_on, Dataset(manifest, store, split), calibration.parts)
    verifier, lineage = Verifier(encoder, calibrated), origin(manifest)
    content = _content(verifier, evaluation, config, lineage["code_version"])
    tags = lineage | {"config": config, "test_eer": f"{evaluation.model.eer:.6f}"}
    if encoder.trained_on and encoder.trained_on.parent:
        tags |= {"parent_version": encoder.trained_on.parent}
    tags |= {"test_pairs": evaluation.test_pairs, "default_operating_point": calibrated.default or "none"}
    with model_lock(model_name, f"registration of {lineage['zenml_run']}", wait=True):
        while (version := _finished(model_name, content)) is None:
            champion = _beside_champion(evaluation.champion, verifier, data, calibration, model_name, seed)
            evaluation = replace(evaluation, champion=champion)
            decision = decide(evaluation, promotion, model_name)
            card = model_card(evaluation, calibrated, encoder, data, Origin(model_name, lineage))
            with tempfile.TemporaryDirectory() as parent:
                folder = Path(parent) / "verifier"
                verifier.save(folder)
                evaluation.save(folder)
                (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
                version = mlflow_registry.register(model_name, folder, card, tags, content)
            if champion:
                decision = replace(decision, reason=decision.reason + champion.left_out_words)
            _carry_out(decision, model_name, version, champion)
    logger.info(f"{model_name} version {version}: {mlflow_registry.promotion_of(model_name, version)}")
    return version


def _content(verifier: Verifier, evaluation: Evaluation, *texts: str) -> str:
    """SHA-256 of weights, thresholds and figures, which are the same for whatever champion, and of texts."""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as folder:
        verifier.save(folder)
        replace(evaluation, champion=None).save(Path(folder))
        for text in (hash_folder(Path(folder)), *texts):
            digest.update(text.encode() + b"\0")
    return digest.hexdigest()


def _finished(model_name: str, content: str) -> str | None:
    """The version of this content, if the decision about it has been made, noted now where a kill has prevented it."""
    version = mlflow_registry.version_with(model_name, content)
    if version is None or mlflow_registry.promotion_of(model_name, version):
        return version
    if mlflow_registry.champion_number(model_name) != version:
        return None
    words = mlflow_registry.gate_of(model_name, version) or "promoted by hand"
    mlflow_registry.promote(model_name, version, words.removeprefix("promoted "), version)
    return version


def _carry_out(decision: Decision, model_name: str, version: str, champion: ChampionResult | None) -> None:
    """Promote or reject; nothing where the champion has changed since the comparison."""
    verdict = "promoted" if decision.promote else "rejected"
    mlflow_registry.note_gate(model_name, version, f"{verdict} {decision.reason}")
    if not decision.promote:
        mlflow_registry.reject(model_name, version, decision.reason)
        return
    try:
        mlflow_registry.promote(model_name, version, decision.reason, champion.version if champion else None)
    except mlflow_registry.ChampionMovedError as error:
        logger.info(f"{error} Comparing with it.")


def _beside_champion(
    result: ChampionResult | None,
    verifier: Verifier,
    data: Dataset,
    config: CalibrationConfig,
    model_name: str,
    seed: int,
) -> ChampionResult | None:
    """The evaluation's result beside the champion, measured anew where another version is champion by now."""
    present = mlflow_registry.champion_number(model_name)
    if present is None or (result and result.version == present):
        return result if present else None
    logger.info(f"version {present} became the champion after the evaluation: comparing with it")
    champion = mlflow_registry.load_champion(model_name)
    if champion is None:
        return None
    return beside_champion(verifier, champion, data, config, seed)

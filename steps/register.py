"""Register: a new version in the MLflow model registry, champion if the gate lets it pass."""

import tempfile
from pathlib import Path
from typing import Annotated

from zenml import step

from integrations.lineage import origin
from integrations.mlflow_registry import load_champion, promote, reject
from integrations.mlflow_registry import register as register_version
from integrations.zenml_cache import depends_on_code
from siamese_core.calibration import Calibration
from siamese_core.config import CalibrationConfig, PromotionConfig
from siamese_core.embedding import embed
from siamese_core.evaluation import Evaluation
from siamese_core.gate import Decision, compare, decide
from siamese_core.manifest import Manifest
from siamese_core.model_card import model_card
from siamese_core.pairs import pair_distances, part_pairs
from siamese_core.split import Split
from siamese_core.store import ImageStore
from siamese_core.trained import TrainedEncoder
from siamese_core.verifier import Verifier


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
    """Registers the challenger, compares it with the champion, and promotes it if it is not worse."""
    decision = _compare(manifest, store, split, encoder, calibration, promotion, model_name, seed)
    lineage = origin(manifest) | {"config": config, "test_eer": f"{evaluation.model.eer:.6f}"}
    card = model_card(model_name, encoder, calibrated, evaluation, lineage)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "verifier"
        Verifier(encoder, calibrated).save(folder)
        evaluation.save(folder)
        (folder / "MODEL_CARD.md").write_text(card, encoding="utf-8")
        version = register_version(model_name, folder, card, lineage)
    (promote if decision.promote else reject)(model_name, version, decision.reason)
    state = "champion" if decision.promote else "challenger"
    print(f"{model_name} version {version} is the {state}: {decision.reason}")
    return version


def _compare(
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    encoder: TrainedEncoder,
    calibration: CalibrationConfig,
    promotion: PromotionConfig,
    model_name: str,
    seed: int,
) -> Decision:
    """Challenger and champion on the same pairs of the same test identities."""
    found = load_champion(model_name)
    if found is None:
        return Decision(True, "the first model of this name")
    champion, version = found
    if champion.trained.images != store.config:
        return Decision(
            False,
            f"version {version} reads its images in another way, so the two cannot be compared on the same pairs; "
            f"`siamese promote {model_name} VERSION` decides by hand",
        )
    rows, pairs = part_pairs(manifest, split, "test", calibration, seed)
    new, present = (
        pair_distances(embed(trained.build(), store.images, rows), pairs) for trained in (encoder, champion.trained)
    )
    return decide(compare(new, present, calibration.confidence, seed), promotion)

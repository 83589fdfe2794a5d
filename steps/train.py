"""Train: the Siamese encoder, with its curves in MLflow."""

import logging
from dataclasses import replace
from functools import partial
from typing import Annotated

from zenml import step

from siamese_core.config import EncoderConfig, Part, TrainingConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.evaluation.champion import Champion
from siamese_core.evaluation.unseen import unseen_by
from siamese_core.input_file import InputFile
from siamese_core.network.trained import TrainedEncoder
from siamese_core.network.trained_on import TrainedOn
from siamese_core.training import loop
from siamese_core.training.recipe import Recipe
from siamese_core.triplets.offline import Triplets
from siamese_integrations.checkpoint_store import checkpoint_of
from siamese_integrations.mlflow_registry import load_champion
from siamese_integrations.mlflow_tracking import log_history, log_parameters
from siamese_integrations.zenml_cache import depends_on_code

logger = logging.getLogger(__name__)


@step(cache_policy=depends_on_code(__file__), experiment_tracker=True)
def train(
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    triplets: Triplets,
    encoder: EncoderConfig,
    training: TrainingConfig,
    model_name: str,
    seed: int,
    weights: InputFile | None,
    parts: tuple[Part, Part],
) -> Annotated[TrainedEncoder, "encoder"]:
    """Train, and keep the weights that verify held-out ones best; `weights` is `encoder.weights_file`.

    `parts` calibrate and test: where these weights have seen too many of them, the run ends here.
    """
    log_parameters(encoder=encoder, training=training, seed=seed, weights=weights)
    data, recipe = Dataset(manifest, store, split), Recipe(encoder, training, seed)
    champion = _champion(model_name, store, encoder) if training.warm_start else None
    start = champion.verifier.trained if champion else None
    _check_start(loop.records_of_start(encoder, start), data, parts)
    trained, speed = loop.train(data, triplets, recipe, start, partial(checkpoint_of, model_name))
    if champion and trained.trained_on:
        parent = f"{model_name}/{champion.version}"
        trained = replace(trained, trained_on=replace(trained.trained_on, parent=parent))
    log_history(trained.history, trained.events, speed)
    best = trained.summary()
    logger.info(f"best validation EER {best['validation_eer']:.2%} at step {best['best_step']:,}")
    if speed:
        logger.info(
            f"{speed['images_per_second']:,.0f} images/s, {speed['data_wait']:.1%} of the time waiting for data; "
            f"{speed['compute_images_per_second']:,.0f} images/s on a batch that is there already"
        )
    return trained


def _check_start(records: list[TrainedOn | None], data: Dataset, parts: tuple[Part, Part]) -> None:
    """Say before training whom calibration and test will leave out; refuse where too few stay."""
    for record in records:
        if record is None or not record.complete:
            logger.warning(
                "not recorded: who trained the weights that this run starts from. If calibration and test identities "
                "did, their error rates are too good"
            )
        unseen_by(record, data, parts)


def _champion(model_name: str, store: ImageStore, encoder: EncoderConfig) -> Champion | None:
    """The champion, where its weights fit this encoder and these images."""
    champion = load_champion(model_name)
    if champion is None:
        logger.info("starting fresh: there is no champion yet")
        return None
    trained = champion.verifier.trained
    if not champion.reads(store.config) or _architecture(trained.encoder) != _architecture(encoder):
        logger.info(f"starting fresh: version {champion.version} has another architecture or reads images otherwise")
        return None
    logger.info(f"starting from the champion, version {champion.version}")
    return champion


def _architecture(encoder: EncoderConfig) -> EncoderConfig:
    """The fields that decide the shapes of the weights, the others at their defaults."""
    return replace(encoder, weights_file=None, freeze="none", dropout=0.0, test_time="none")

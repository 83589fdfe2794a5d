"""Train: the Siamese encoder, with its curves in MLflow."""

import logging
from dataclasses import replace
from functools import partial
from typing import Annotated

from zenml import step

from siamese_core.config import EncoderConfig, TrainingConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.input_file import InputFile
from siamese_core.network.trained import TrainedEncoder
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
) -> Annotated[TrainedEncoder, "encoder"]:
    """Train, and keep the weights that verify held-out ones best; `weights` is `encoder.weights_file`."""
    log_parameters(encoder=encoder, training=training, seed=seed, weights=weights)
    data, recipe = Dataset(manifest, store, split), Recipe(encoder, training, seed)
    start = _champion(model_name, store, encoder) if training.warm_start else None
    trained, speed = loop.train(data, triplets, recipe, start, partial(checkpoint_of, model_name))
    log_history(trained.history, trained.events, speed)
    best = trained.summary()
    logger.info(f"best validation EER {best['validation_eer']:.2%} at step {best['best_step']:,}")
    if speed:
        logger.info(
            f"{speed['images_per_second']:,.0f} images/s, {speed['data_wait']:.1%} of the time waiting for data; "
            f"{speed['compute_images_per_second']:,.0f} images/s on a batch that is there already"
        )
    return trained


def _champion(model_name: str, store: ImageStore, encoder: EncoderConfig) -> TrainedEncoder | None:
    """The champion's weights, where they fit this encoder and these images."""
    champion = load_champion(model_name)
    if champion is None:
        logger.info("starting fresh: there is no champion yet")
        return None
    trained = champion.verifier.trained
    if not champion.reads(store.config) or _architecture(trained.encoder) != _architecture(encoder):
        logger.info(f"starting fresh: version {champion.version} has another architecture or reads images otherwise")
        return None
    logger.info(f"starting from the champion, version {champion.version}")
    return trained


def _architecture(encoder: EncoderConfig) -> EncoderConfig:
    """The fields that decide the shapes of the weights, the others at their defaults."""
    return replace(encoder, weights_file=None, freeze="none", dropout=0.0, test_time="none")

"""Train: the Siamese encoder, with its curves in MLflow."""

from typing import Annotated

from zenml import step

from integrations.mlflow_tracking import log_history, log_parameters
from integrations.zenml_cache import depends_on_code
from siamese_core.config import EncoderConfig, TrainingConfig
from siamese_core.manifest import Manifest
from siamese_core.split import Split
from siamese_core.store import ImageStore
from siamese_core.trained import TrainedEncoder
from siamese_core.training import train as fit
from siamese_core.training import training_images
from siamese_core.triplets import Triplets


@step(cache_policy=depends_on_code(__file__), experiment_tracker=True)
def train(
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    triplets: Triplets,
    encoder: EncoderConfig,
    training: TrainingConfig,
    seed: int,
) -> Annotated[TrainedEncoder, "encoder"]:
    """Trains on the train identities and keeps the weights that verify held-out ones best."""
    log_parameters(encoder=encoder, training=training, seed=seed)
    data = training_images(manifest, store, split)
    trained, speed = fit(data, triplets.table, triplets.graph, encoder, training, seed)
    log_history(trained.history, speed)
    best = trained.summary()
    print(f"best validation EER {best['validation_eer']:.2%} at step {best['best_step']:,}")
    print(f"{speed['images_per_second']:,.0f} images/s, {speed['data_wait']:.0%} of the time spent on input")
    return trained

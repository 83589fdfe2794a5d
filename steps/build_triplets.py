"""Build triplets: hard triplets and confusable identities, by the champion where there is one."""

import logging
from typing import Annotated

from zenml import step

from siamese_core.config import EncoderConfig, TripletConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.data.store import ImageStore
from siamese_core.devices import choose_device
from siamese_core.input_file import InputFile
from siamese_core.network.encoders import Encoder, make_encoder
from siamese_core.triplets import offline
from siamese_core.triplets.offline import Triplets
from siamese_integrations.mlflow_registry import load_champion
from siamese_integrations.zenml_cache import depends_on_code

logger = logging.getLogger(__name__)


@step(cache_policy=depends_on_code(__file__), experiment_tracker=True)
def build_triplets(
    manifest: Manifest,
    store: ImageStore,
    split: Split,
    model_name: str,
    encoder: EncoderConfig,
    triplets: TripletConfig,
    margin: float,
    seed: int,
    weights: InputFile | None,
) -> Annotated[Triplets, "triplets"]:
    """Choose triplets among the train images; `weights` makes the cache notice another weights file."""
    miner = _miner(model_name, store, encoder, seed).to(choose_device("auto"))
    result = offline.build_triplets(miner, Dataset(manifest, store, split), triplets, margin, seed)
    summary = result.summary()
    logger.info(
        f"{summary['triplets']:,} triplets, {summary['semi_hard']:,} semi-hard; median gap {summary['median_gap']:.2g}"
    )
    return result


def _miner(model_name: str, store: ImageStore, encoder: EncoderConfig, seed: int) -> Encoder:
    """The champion, or a fresh encoder where there is none that reads these images."""
    champion = load_champion(model_name)
    if champion and champion.reads(store.config):
        logger.info(f"mining with the champion, version {champion.version}")
        return champion.verifier.encoder
    why = f"version {champion.version} reads images in another way" if champion else "there is no champion yet"
    logger.info(f"mining with the fresh encoder: {why}")
    return make_encoder(encoder, store.config.channels, seed)

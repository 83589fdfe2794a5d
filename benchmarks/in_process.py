"""Training by a configuration file without ZenML: for benchmarks that repeat it with many seeds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from siamese_core.config import EncoderConfig, ImageConfig, SplitConfig, TrainingConfig, TripletConfig
from siamese_core.data.ingest import ingest
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split, make_split
from siamese_core.data.store import ImageStore
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.training.loop import train, training_images
from siamese_core.triplets.offline import build_triplets


@dataclass(frozen=True)
class Recipe:
    """The part of a configuration that training needs."""

    images: ImageConfig
    split: SplitConfig
    triplets: TripletConfig
    encoder: EncoderConfig
    training: TrainingConfig


@dataclass(frozen=True)
class Data:
    """What ingest and split made."""

    manifest: Manifest
    store: ImageStore
    split: Split


def read_recipe(path: Path, **training: Any) -> Recipe:
    """The recipe of a configuration file, with some training fields changed."""
    parameters = yaml.safe_load(path.read_text())["parameters"]
    used = {name: parameters[name] for name in Recipe.__dataclass_fields__ if name in parameters}
    defaults: dict[str, Any] = {name: {} for name in Recipe.__dataclass_fields__}
    recipe = TypeAdapter(Recipe).validate_python(defaults | used)
    return replace(recipe, training=replace(recipe.training, **training))


def prepare(data_dir: Path, folder: Path, recipe: Recipe, split_file: Path | None = None) -> Data:
    """Ingests into an empty folder and splits."""
    found = ingest(data_dir, folder, recipe.images)
    return Data(found.manifest, found.store, make_split(found.manifest, recipe.split, split_file))


def fit(data: Data, recipe: Recipe, seed: int) -> tuple[TrainedEncoder, dict[str, float]]:
    """Builds triplets with a fresh encoder and trains; what `siamese_core.training.loop.train` returns."""
    fresh = make_encoder(recipe.encoder, recipe.images.channels, seed)
    triplets = build_triplets(
        fresh, data.manifest, data.store, data.split, recipe.triplets, recipe.training.margin, seed
    )
    images = training_images(data.manifest, data.store, data.split)
    return train(images, triplets.table, triplets.graph, recipe.encoder, recipe.training, seed)

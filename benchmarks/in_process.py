"""Training by a configuration file without ZenML: for benchmarks that repeat it with many seeds."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter

from siamese_core.config import EncoderConfig, ImageConfig, SplitConfig, TrainingConfig, TripletConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.read_dataset import read_dataset
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.training.loop import train
from siamese_core.training.recipe import Recipe
from siamese_core.triplets.offline import build_triplets


@dataclass(frozen=True)
class Setup:
    """The part of a configuration that training needs."""

    images: ImageConfig
    split: SplitConfig
    triplets: TripletConfig
    encoder: EncoderConfig
    training: TrainingConfig

    def read(self, data_dir: Path, folder: Path, split_file: Path | None = None) -> Dataset:
        """Ingest into an empty folder and split."""
        return read_dataset(data_dir, folder, self.images, self.split, split_file)


def read_setup(path: Path, **training: Any) -> Setup:
    """The setup of a configuration file, with some training fields changed."""
    parameters = yaml.safe_load(path.read_text())["parameters"]
    groups = {name: parameters.get(name, {}) for name in Setup.__dataclass_fields__}
    setup = TypeAdapter(Setup).validate_python(groups)
    return replace(setup, training=replace(setup.training, **training))


def fit(data: Dataset, setup: Setup, seed: int) -> tuple[TrainedEncoder, dict[str, float]]:
    """Build triplets with a fresh encoder and train; returns what `siamese_core.training.loop.train` does."""
    fresh = make_encoder(setup.encoder, setup.images.channels, seed)
    triplets = build_triplets(fresh, data, setup.triplets, setup.training.margin, seed)
    return train(data, triplets, Recipe(setup.encoder, setup.training, seed))

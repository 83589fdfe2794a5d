from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from siamese_core.config import EncoderConfig, SplitConfig, TrainingConfig, TripletConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split, make_split
from siamese_core.data.store import ImageStore
from siamese_core.devices import choose_device
from siamese_core.errors import ConfigError, DataError, ModelError, TrainingError
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.training.learner import learning_rate_at
from siamese_core.training.loop import train, training_images
from siamese_core.training.validation import carve_validation
from siamese_core.triplets.offline import Triplets, build_triplets

ENCODER = EncoderConfig(width=8, embedding_dim=16)
CONFIG = TrainingConfig(steps=90, evaluate_every=30, identities_per_batch=8)


@pytest.fixture(scope="module")
def prepared(ingested: tuple[Manifest, ImageStore]) -> tuple[Manifest, ImageStore, Split, Triplets]:
    manifest, store = ingested
    split = make_split(manifest, SplitConfig(salt="a"))
    fresh = make_encoder(ENCODER, 1, seed=0)
    return manifest, store, split, build_triplets(fresh, manifest, store, split, TripletConfig(500), 0.2, 0)


def fit(
    prepared: tuple[Manifest, ImageStore, Split, Triplets], config: TrainingConfig, seed: int = 0
) -> TrainedEncoder:
    manifest, store, split, triplets = prepared
    data = training_images(manifest, store, split)
    trained, speed = train(data, triplets.table, triplets.graph, ENCODER, config, seed)
    assert speed["images_per_second"] > 0
    assert 0 <= speed["data_wait"] <= 1
    return trained


def test_it_learns_and_the_same_seed_gives_the_same_bits(
    prepared: tuple[Manifest, ImageStore, Split, Triplets], tmp_path: Path
) -> None:
    first, again, other = fit(prepared, CONFIG), fit(prepared, CONFIG), fit(prepared, CONFIG, seed=1)
    assert first.history[-1]["loss"] < 0.8 * first.history[0]["loss"]
    assert first.history == again.history
    assert all(torch.equal(first.state[name], again.state[name]) for name in first.state)
    assert first.history != other.history
    best = min(first.history, key=lambda row: row["validation_eer"])
    assert (
        first.history[[row["step"] for row in first.history].index(first.best_step)]["validation_eer"]
        == best["validation_eer"]
    )
    first.save(tmp_path)
    loaded = TrainedEncoder.load(tmp_path)
    images = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)
    assert torch.equal(loaded.build()(images), first.build()(images))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_batch_hard_and_mean_active_run(prepared: tuple[Manifest, ImageStore, Split, Triplets]) -> None:
    trained = fit(prepared, replace(CONFIG, steps=20, mining="batch_hard", reduction="mean_active"))
    assert np.isfinite(trained.history[-1]["loss"])


def test_the_triplet_table_changes_the_batches(prepared: tuple[Manifest, ImageStore, Split, Triplets]) -> None:
    manifest, store, split, triplets = prepared
    data = training_images(manifest, store, split)
    short = replace(CONFIG, steps=10, evaluate_every=10)
    with_table, _ = train(data, triplets.table, triplets.graph, ENCODER, short, 0)
    fewer, _ = train(data, triplets.table.iloc[:5], triplets.graph, ENCODER, short, 0)
    assert with_table.history != fewer.history


def test_validation_identities_are_never_trained_on(
    prepared: tuple[Manifest, ImageStore, Split, Triplets],
) -> None:
    manifest, store, split, _ = prepared
    kept, held_out = carve_validation(training_images(manifest, store, split).labels, 0.2, seed=0)
    labels = training_images(manifest, store, split).labels
    assert not set(labels[kept]) & set(labels[held_out])
    assert len(set(labels[held_out])) >= 2


def test_two_identities_train_without_validation(prepared: tuple[Manifest, ImageStore, Split, Triplets]) -> None:
    manifest, store, split, triplets = prepared
    two = split.table["identity"].isin(split.identities("train")[:2])
    small = Split(split.table.assign(split=np.where(two, "train", "test")).astype("str"))
    data = training_images(manifest, store, small)
    trained, _ = train(data, triplets.table.head(0), triplets.graph.head(0), ENCODER, replace(CONFIG, steps=4), 0)
    assert trained.best_step == 4


def test_only_singletons_cannot_train(prepared: tuple[Manifest, ImageStore, Split, Triplets]) -> None:
    manifest, store, split, triplets = prepared
    firsts = manifest.table.drop_duplicates("identity")
    data = training_images(Manifest(firsts.reset_index(drop=True)), store, split)
    empty: pd.DataFrame = triplets.table.head(0)
    with pytest.raises(DataError, match="at least 2 identities with at least 2 images"):
        train(data, empty, triplets.graph.head(0), ENCODER, CONFIG, 0)


def test_a_loss_that_is_not_finite_stops_with_advice(prepared: tuple[Manifest, ImageStore, Split, Triplets]) -> None:
    with pytest.raises(TrainingError, match=r"lower training\.learning_rate"):
        fit(prepared, replace(CONFIG, learning_rate=1e30, steps=20))


def test_the_learning_rate_warms_up_and_decays_to_zero() -> None:
    config = TrainingConfig(steps=100, warmup=0.1, learning_rate=2.0)
    rates = [learning_rate_at(step, config) for step in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (i + 1) for i in range(10)])
    assert max(rates) == 2.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.002


def test_an_absent_device_is_a_config_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, so cuda is not absent")
    with pytest.raises(ConfigError, match="'cuda' is not available here"):
        choose_device("cuda")
    assert choose_device("auto").type == "cpu"


def test_a_frozen_body_needs_weights(prepared: tuple[Manifest, ImageStore, Split, Triplets]) -> None:
    manifest, store, split, triplets = prepared
    data = training_images(manifest, store, split)
    with pytest.raises(ConfigError, match=r"name encoder\.weights_file"):
        train(data, triplets.table, triplets.graph, replace(ENCODER, freeze="body"), CONFIG, 0)


def test_only_the_head_of_a_frozen_body_learns(
    prepared: tuple[Manifest, ImageStore, Split, Triplets],
) -> None:
    manifest, store, split, triplets = prepared
    data = training_images(manifest, store, split)
    short = replace(CONFIG, steps=10, evaluate_every=10)
    start, _ = train(data, triplets.table, triplets.graph, ENCODER, short, 0)
    frozen = replace(ENCODER, freeze="body")
    trained, _ = train(data, triplets.table, triplets.graph, frozen, short, 0, start)
    changed = {name for name, value in trained.state.items() if not torch.equal(value, start.state[name])}
    assert changed == {"head.weight", "head.bias"}


def test_weights_of_another_layout_are_refused_in_words(
    prepared: tuple[Manifest, ImageStore, Split, Triplets],
) -> None:
    trained = fit(prepared, replace(CONFIG, steps=2))
    older = replace(trained, state={name.replace("body.0", "body.9"): value for name, value in trained.state.items()})
    with pytest.raises(ModelError, match="trained by another version"):
        older.build()

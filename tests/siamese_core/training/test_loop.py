from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from siamese_core.config import TrainingConfig
from siamese_core.data.dataset import Dataset
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import Split
from siamese_core.devices import choose_device
from siamese_core.errors import ConfigError, DataError, ModelError, TrainingError
from siamese_core.network.trained import TrainedEncoder
from siamese_core.training.learner import learning_rate_at
from siamese_core.training.loop import train
from siamese_core.training.recipe import Recipe
from siamese_core.training.validation import hold_out
from siamese_core.triplets.offline import Triplets
from tests.siamese_core.training.conftest import ENCODER

CONFIG = TrainingConfig(steps=90, evaluate_every=30, identities_per_batch=8)


def fit(data: Dataset, triplets: Triplets, config: TrainingConfig, seed: int = 0) -> TrainedEncoder:
    trained, speed = train(data, triplets, Recipe(ENCODER, config, seed))
    assert speed["images_per_second"] > 0
    assert 0 <= speed["data_wait"] <= 1
    return trained


def first(triplets: Triplets, rows: int, edges: int = 10**6) -> Triplets:
    """Some of the triplets."""
    return replace(triplets, table=triplets.table.head(rows), graph=triplets.graph.head(edges))


def test_it_learns_and_the_same_seed_gives_the_same_bits(data: Dataset, triplets: Triplets, tmp_path: Path) -> None:
    trained, again, other = (fit(data, triplets, CONFIG, seed) for seed in (0, 0, 1))
    assert trained.history[-1]["loss"] < 0.8 * trained.history[0]["loss"]
    assert trained.history == again.history
    assert all(torch.equal(trained.state[name], again.state[name]) for name in trained.state)
    assert trained.history != other.history
    errors = {row["step"]: row["validation_eer"] for row in trained.history}
    assert errors[trained.best_step] == min(errors.values())
    trained.save(tmp_path)
    loaded = TrainedEncoder.load(tmp_path)
    images = torch.randint(0, 256, (2, 1, 16, 16), dtype=torch.uint8)
    assert torch.equal(loaded.build()(images), trained.build()(images))
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}


def test_batch_hard_and_mean_active_run(data: Dataset, triplets: Triplets) -> None:
    trained = fit(data, triplets, replace(CONFIG, steps=20, mining="batch_hard", reduction="mean_active"))
    assert np.isfinite(trained.history[-1]["loss"])


def test_the_triplet_table_changes_the_batches(data: Dataset, triplets: Triplets) -> None:
    short = replace(CONFIG, steps=10, evaluate_every=10)
    assert fit(data, triplets, short).history != fit(data, first(triplets, 5), short).history


def test_validation_identities_are_never_trained_on(data: Dataset) -> None:
    images, held_out = hold_out(data.part("train"), 0.2, seed=0)
    assert not set(images.names) & set(held_out.names)
    assert len(held_out.names) >= 2
    assert sorted([*images.rows, *held_out.rows]) == data.part("train").rows.tolist()


def test_two_identities_train_without_validation(
    data: Dataset, triplets: Triplets, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    two = data.split.table["identity"].isin(data.split.identities("train")[:2])
    split = Split(data.split.table.assign(split=np.where(two, "train", "test")).astype("str"))
    trained = fit(replace(data, split=split), first(triplets, 0, 0), replace(CONFIG, steps=4))
    assert trained.best_step == 4
    assert "2 identities are too few to hold some out; the last weights are kept" in caplog.text


def test_only_singletons_cannot_train(data: Dataset, triplets: Triplets) -> None:
    singletons = Manifest(data.manifest.table.drop_duplicates("identity").reset_index(drop=True))
    with pytest.raises(DataError, match="at least 2 identities with at least 2 images"):
        fit(replace(data, manifest=singletons), first(triplets, 0, 0), CONFIG)


def test_a_loss_that_is_not_finite_stops_with_advice(data: Dataset, triplets: Triplets) -> None:
    with pytest.raises(TrainingError, match=r"lower training\.learning_rate"):
        fit(data, triplets, replace(CONFIG, learning_rate=10, weight_decay=10))


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


def test_a_frozen_body_needs_weights(data: Dataset, triplets: Triplets) -> None:
    with pytest.raises(ConfigError, match=r"name encoder\.weights_file"):
        train(data, triplets, Recipe(replace(ENCODER, freeze="body"), CONFIG, 0))


def test_only_the_head_of_a_frozen_body_learns(data: Dataset, triplets: Triplets) -> None:
    short = replace(CONFIG, steps=10, evaluate_every=10)
    start, _ = train(data, triplets, Recipe(ENCODER, short, 0))
    trained, _ = train(data, triplets, Recipe(replace(ENCODER, freeze="body"), short, 0), start)
    changed = {name for name, value in trained.state.items() if not torch.equal(value, start.state[name])}
    assert changed == {"head.weight", "head.bias"}


def test_weights_of_another_layout_are_refused_in_words(data: Dataset, triplets: Triplets) -> None:
    trained = fit(data, triplets, replace(CONFIG, steps=2))
    older = replace(trained, state={name.replace("body.0", "body.9"): value for name, value in trained.state.items()})
    with pytest.raises(ModelError, match="trained by another version"):
        older.build()

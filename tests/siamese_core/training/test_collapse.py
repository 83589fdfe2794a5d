from dataclasses import replace

import pytest
import torch

from siamese_core.config import EncoderConfig, SplitConfig, TrainingConfig, TripletConfig
from siamese_core.data.manifest import Manifest
from siamese_core.data.split import make_split
from siamese_core.data.store import ImageStore
from siamese_core.errors import TrainingError
from siamese_core.network.encoders import make_encoder
from siamese_core.network.trained import TrainedEncoder
from siamese_core.training.collapse import CollapseMonitor
from siamese_core.training.health import Health
from siamese_core.training.learner import Learner
from siamese_core.training.loop import train, training_images
from siamese_core.triplets.offline import build_triplets

ENCODER = EncoderConfig(width=8, embedding_dim=16)
# Hardest negatives from the start, at a full learning rate: this collapses within 50 steps, whatever the seed.
PROVOKED = TrainingConfig(
    steps=120, evaluate_every=60, identities_per_batch=16, mining="batch_hard", learning_rate=0.01, warmup=0.0
)


def fit(ingested: tuple[Manifest, ImageStore], config: TrainingConfig) -> TrainedEncoder:
    manifest, store = ingested
    split = make_split(manifest, SplitConfig(salt="a"))
    fresh = make_encoder(ENCODER, 1, seed=0)
    triplets = build_triplets(fresh, manifest, store, split, TripletConfig(500), 0.2, 0)
    data = training_images(manifest, store, split)
    return train(data, triplets.table, triplets.graph, ENCODER, config, seed=0)[0]


def test_a_collapse_is_seen_and_said_but_left_alone_when_asked(ingested: tuple[Manifest, ImageStore]) -> None:
    trained = fit(ingested, replace(PROVOKED, on_collapse="warn"))
    assert [event["kind"] for event in trained.events if event["kind"] != "warning"] == ["collapse"]
    last = trained.history[-1]
    assert last["triplet_loss"] == pytest.approx(PROVOKED.margin, rel=0.01)  # stuck at α
    assert last["distance"] < 0.01


def test_recovering_ends_well(ingested: tuple[Manifest, ImageStore], capsys: pytest.CaptureFixture[str]) -> None:
    trained = fit(ingested, PROVOKED)
    recoveries = [event for event in trained.events if event["kind"] == "recovery"]
    assert recoveries
    assert "back to the last good weights, from here with semi-hard mining" in capsys.readouterr().out
    last = trained.history[-1]
    assert last["distance"] > 1
    assert last["triplet_loss"] < 0.8 * PROVOKED.margin
    assert last["learning_rate"] <= PROVOKED.learning_rate / 2
    assert min(row["validation_eer"] for row in trained.history) < 0.2


def test_stopping_tells_what_to_change(ingested: tuple[Manifest, ImageStore]) -> None:
    with pytest.raises(TrainingError, match=r"has collapsed at step \d+: mean distance .* semi_hard"):
        fit(ingested, replace(PROVOKED, on_collapse="stop"))


def test_it_goes_back_to_weights_that_healthy_batches_followed(capsys: pytest.CaptureFixture[str]) -> None:
    learner = Learner(make_encoder(ENCODER, 1, seed=0), PROVOKED)
    monitor = CollapseMonitor(learner, margin=0.2, on_collapse="recover")
    first = learner.weights()
    _overwrite(learner, 1.0)  # these come at the end of batches whose mean is healthy, and have collapsed already
    monitor.check(25, Health(25, 1.0, distance=1.0, effective_rank=9.0, active=0.9, triplet_loss=0.25))
    collapsed = Health(25, 1.0, distance=0.001, effective_rank=9.0, active=1.0, triplet_loss=0.2)
    monitor.check(50, collapsed)
    assert all(torch.equal(value, first[name]) for name, value in learner.weights().items())
    _overwrite(learner, 2.0)
    for step in (75, 100):  # twice in good health: the weights of the first time are good
        monitor.check(step, Health(25, 1.0, distance=1.0, effective_rank=9.0, active=0.9, triplet_loss=0.1))
    monitor.check(125, collapsed)
    assert all((value == 2.0).all() for value in learner.encoder.parameters())
    assert capsys.readouterr().out.count("back to the last good weights") == 2


def _overwrite(learner: Learner, number: float) -> None:
    with torch.no_grad():
        for value in learner.encoder.parameters():
            value.fill_(number)

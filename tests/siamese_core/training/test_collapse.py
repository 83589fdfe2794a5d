from dataclasses import replace
from typing import Literal

import pytest
import torch

from siamese_core.config import TrainingConfig
from siamese_core.data.dataset import Dataset
from siamese_core.errors import TrainingError
from siamese_core.network.trained import TrainedEncoder
from siamese_core.training.collapse import CollapseMonitor, Recovery
from siamese_core.training.health import Health
from siamese_core.training.loop import train
from siamese_core.training.recipe import Recipe
from siamese_core.triplets.offline import Triplets
from tests.siamese_core.training.conftest import ENCODER

# Hardest negatives from the start, at a full learning rate: this collapses within 50 steps, whatever the seed.
PROVOKED = TrainingConfig(
    steps=120, evaluate_every=60, identities_per_batch=16, mining="batch_hard", learning_rate=0.01, warmup=0.0
)


def fit(data: Dataset, triplets: Triplets, config: TrainingConfig) -> TrainedEncoder:
    return train(data, triplets, Recipe(ENCODER, config, seed=0))[0]


def test_a_collapse_is_seen_and_said_but_left_alone_when_asked(data: Dataset, triplets: Triplets) -> None:
    trained = fit(data, triplets, replace(PROVOKED, on_collapse="warn"))
    assert [event["kind"] for event in trained.events if event["kind"] != "warning"] == ["collapse"]
    last = trained.history[-1]
    assert last["triplet_loss"] == pytest.approx(PROVOKED.margin, rel=0.01)  # stuck at α
    assert last["distance"] < 0.01


def test_recovering_ends_well(data: Dataset, triplets: Triplets, caplog: pytest.LogCaptureFixture) -> None:
    trained = fit(data, triplets, PROVOKED)
    recoveries = [event for event in trained.events if event["kind"] == "recovery"]
    assert recoveries
    assert "back to the last good weights, from here with semi-hard mining" in caplog.text
    last = trained.history[-1]
    assert last["distance"] > 1
    assert last["triplet_loss"] < 0.8 * PROVOKED.margin
    assert last["learning_rate"] <= PROVOKED.learning_rate / 2
    assert min(row["validation_eer"] for row in trained.history) < 0.2


def test_stopping_tells_what_to_change(data: Dataset, triplets: Triplets) -> None:
    with pytest.raises(TrainingError, match=r"has collapsed at step \d+: mean distance .* semi_hard"):
        fit(data, triplets, replace(PROVOKED, on_collapse="stop"))


HEALTHY = Health(25, 1.0, distance=1.0, effective_rank=9.0, active=0.9, triplet_loss=0.1)
NARROW = replace(HEALTHY, distance=0.07)
COLLAPSED = Health(25, 1.0, distance=0.001, effective_rank=9.0, active=1.0, triplet_loss=0.2)


def weights(number: float) -> dict[str, torch.Tensor]:
    return {"head.weight": torch.full((2, 2), number)}


def monitor_of(on_collapse: Literal["recover", "warn"], first: float = 0.0) -> CollapseMonitor:
    return CollapseMonitor(TrainingConfig(margin=0.2, on_collapse=on_collapse), weights(first))


def test_it_goes_back_to_weights_that_healthy_batches_followed(caplog: pytest.LogCaptureFixture) -> None:
    monitor = monitor_of("recover")
    assert monitor.check(25, HEALTHY) is None
    monitor.remember(weights(1.0))  # at the end of batches whose mean is healthy they may have collapsed already
    verdict = monitor.check(50, COLLAPSED)
    assert isinstance(verdict, Recovery)
    assert torch.equal(verdict.weights["head.weight"], weights(0.0)["head.weight"])
    assert verdict.rate_factor == 0.5
    monitor.remember(weights(0.0))
    for step, number in ((75, 2.0), (100, 3.0)):  # twice in good health: the weights of the first time are good
        assert monitor.check(step, HEALTHY) is None
        monitor.remember(weights(number))
    verdict = monitor.check(125, COLLAPSED)
    assert isinstance(verdict, Recovery)
    assert torch.equal(verdict.weights["head.weight"], weights(2.0)["head.weight"])
    assert verdict.rate_factor == 0.25
    assert [(event["step"], event["kind"]) for event in monitor.events] == [(50, "recovery"), (125, "recovery")]
    message = monitor.events[-1]["message"]
    assert "back to the last good weights, from here with semi-hard mining and 0.25 × the" in message
    assert caplog.messages[-1] == f"train: {message}"


def test_narrow_embeddings_are_warned_of_once_until_they_are_healthy_again(caplog: pytest.LogCaptureFixture) -> None:
    monitor = monitor_of("recover")
    for step, health in enumerate([NARROW, NARROW, HEALTHY, NARROW]):
        assert monitor.check(step, health) is None
    assert [(event["step"], event["kind"]) for event in monitor.events] == [(0, "warning"), (3, "warning")]
    assert caplog.messages == [f"train: {event['message']}" for event in monitor.events]


def test_a_collapse_is_said_once_when_only_asked_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    monitor = monitor_of("warn")
    assert monitor.check(25, COLLAPSED) is monitor.check(50, COLLAPSED) is None
    assert [(event["step"], event["kind"]) for event in monitor.events] == [(25, "collapse")]
    assert caplog.messages == [f"train: {event['message']}" for event in monitor.events]


def test_it_gives_up_after_five_recoveries() -> None:
    monitor = monitor_of("recover")
    factors = []
    for step in range(5):
        verdict = monitor.check(step, COLLAPSED)
        assert isinstance(verdict, Recovery)
        factors.append(verdict.rate_factor)
    assert factors == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32]
    with pytest.raises(TrainingError, match=r"It collapsed 6 times\. To go on: lower training\.learning_rate"):
        monitor.check(5, COLLAPSED)


def test_a_loss_that_is_not_finite_stops() -> None:
    monitor = monitor_of("warn")
    with pytest.raises(TrainingError, match=r"^The loss is nan at step 3: lower training\.learning_rate\.$"):
        monitor.check(3, replace(HEALTHY, loss=float("nan")))


def test_another_monitor_continues_from_its_state() -> None:
    first = monitor_of("recover")
    first.check(25, NARROW)
    first.remember(weights(1.0))
    second = monitor_of("recover", 9.0)
    second.load_state_dict(first.state_dict())
    assert second.check(50, NARROW) is None  # warned already
    verdict = second.check(75, COLLAPSED)
    assert isinstance(verdict, Recovery)
    assert torch.equal(verdict.weights["head.weight"], weights(0.0)["head.weight"])
    assert [event["kind"] for event in second.events] == ["warning", "recovery"]

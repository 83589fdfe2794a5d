import numpy as np
import torch

from siamese_core.config import AugmentConfig, TrainingConfig
from siamese_core.network.encoders import make_encoder
from siamese_core.training.augment import draw_changes
from siamese_core.training.batches import Batch
from siamese_core.training.learner import Learner
from tests.siamese_core.training.conftest import ENCODER

CONFIG = TrainingConfig(steps=40, weight_average=0.8, precision="float32")


def batch(seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8, generator=generator)
    changes = draw_changes(8, AugmentConfig(), generator)
    return Batch(images, np.repeat(np.arange(4), 2), torch.zeros(8), changes, generator)


def test_the_average_follows_weights_and_statistics() -> None:
    learner = Learner(make_encoder(ENCODER, 1, seed=0), CONFIG)
    counters = {name for name, value in learner.encoder.state_dict().items() if not value.is_floating_point()}
    expected = {name: value.double() for name, value in learner.weights().items()}
    for step in range(40):
        learner.learn(step, batch(step))
        decay = min(0.8, (1 + step) / (10 + step))
        for name, value in learner.weights().items():
            if name not in counters:
                expected[name] = decay * expected[name] + (1 - decay) * value.double()
    average = learner.average.state_dict()
    for name, value in expected.items():
        torch.testing.assert_close(average[name].double(), value, atol=1e-6, rtol=1e-5)
    assert not learner.average.training
    assert any(name.endswith("running_mean") for name in expected)


def test_another_learner_continues_from_its_state() -> None:
    first, second = (Learner(make_encoder(ENCODER, 1, seed), CONFIG) for seed in (0, 1))
    for step in range(3):
        first.learn(step, batch(step))
    first.soften(first.weights(), 0.5)
    first.learn(3, batch(3))
    second.load_state_dict(first.state_dict())
    for learner in (first, second):
        learner.learn(4, batch(4))
    assert second.rate(4) == first.rate(4)
    for left, right in ((first.encoder, second.encoder), (first.average, second.average)):
        ours, theirs = left.state_dict(), right.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)

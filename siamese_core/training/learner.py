"""One optimisation step at a time: augment, embed, mine, descend. Nothing waits for the device but a report."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from siamese_core.config import TrainingConfig
from siamese_core.devices import computes_in_bfloat16
from siamese_core.network.encoders import Encoder, Weights, trainable_parameters
from siamese_core.training.augment import augment
from siamese_core.training.batches import Batch
from siamese_core.training.checkpoint import State
from siamese_core.training.health import Health, effective_rank
from siamese_core.triplets.mining import Miner
from siamese_core.triplets.objective import Objective, objective


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Linear warm-up, then a cosine down to zero."""
    warmup = max(1, round(config.warmup * config.steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class Learner:
    """The encoder with its optimiser, the moving average of its weights, and running means of its batches.

    Attributes:
        encoder: The network that learns.
        config: The loop.
        miner: Takes the place of `config.mining` before a collapse, if there is one.
        average: The network with the moving average of the weights; the encoder itself if no average is configured.
        rate_factor: Multiplies the learning rate; below 1 after a collapse, and then mining is semi-hard.
    """

    def __init__(self, encoder: Encoder, config: TrainingConfig, miner: Miner | None = None) -> None:
        """Take over an encoder that is on its device already."""
        self.encoder, self.config, self.miner, self.rate_factor = encoder, config, miner, 1.0
        self.average = copy.deepcopy(encoder).eval() if config.weight_average > 0 else encoder
        self._soft_config = replace(config, mining="semi_hard", hardest_positives=(1, 1), hardest_negatives=(1, 1))
        self._device = next(encoder.parameters()).device
        automatic = config.precision == "auto" and computes_in_bfloat16(self._device)
        self._bfloat16 = automatic or config.precision == "bfloat16"
        self._optimizer = self._fresh_optimizer()
        self._sums = torch.zeros(5, device=self._device)
        self._batches = 0
        encoder.train()

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        return self.rate_factor * learning_rate_at(step, self.config)

    def learn(self, step: int, batch: Batch) -> None:
        """Learn from one batch."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate(step)
        images = augment(batch.images.float(), batch.changes, self.config.augment, batch.symmetries)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            embeddings = self.encoder(images)  # (B, D) float32
        config, miner = (self._soft_config, None) if self.rate_factor < 1 else (self.config, self.miner)
        result = objective(embeddings, batch.labels, config, batch.generator, miner)
        self._optimizer.zero_grad(set_to_none=True)
        result.loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        with torch.no_grad():
            self._observe(result, embeddings)
        if self.average is not self.encoder:
            self._follow(step)

    def _observe(self, result: Objective, embeddings: Tensor) -> None:
        rank = effective_rank(embeddings)
        each = result.total / max(1, result.triplets)
        self._sums += torch.stack([result.loss, result.mean_distance, rank, result.active_share, each])
        self._batches += 1

    def _follow(self, step: int) -> None:
        """Let the average follow the weights; slowly, once there is something to average."""
        # Not by AveragedModel: it moves its count of steps to the device at each, and so waits for a GPU.
        decay = min(self.config.weight_average, (1 + step) / (10 + step))
        follow = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        own, average = self.encoder.state_dict(), self.average.state_dict()
        floats = [name for name, value in own.items() if value.is_floating_point()]
        follow([average[name] for name in floats], [own[name] for name in floats], step)

    def read(self) -> Health:
        """Means over the batches since the last call; waits for the device."""
        health = Health(self._batches, *(self._sums / self._batches).tolist())
        self._sums.zero_()
        self._batches = 0
        return health

    def soften(self, weights: Weights, rate_factor: float) -> None:
        """Go back to earlier weights, with semi-hard mining, a part of the learning rate and fresh moments."""
        self.encoder.load_state_dict(weights)
        self.average.load_state_dict(weights)
        self.rate_factor = rate_factor
        self._optimizer = self._fresh_optimizer()

    def weights(self) -> Weights:
        """A copy of the weights that are trained."""
        return {name: value.detach().clone() for name, value in self.encoder.state_dict().items()}

    def state_dict(self) -> State:
        """Weights, their average, the optimiser's moments; read right after `read`, when no means are running."""
        moments = self._optimizer.state_dict()["state"]
        average = {} if self.average is self.encoder else self.average.state_dict()
        return {
            "encoder": self.encoder.state_dict(),
            "average": average,
            "moments": {str(number): values for number, values in moments.items()},
            "rate_factor": self.rate_factor,
        }

    def load_state_dict(self, state: State) -> None:
        """Take over what `state_dict` gave."""
        self.encoder.load_state_dict(state["encoder"])
        if self.average is not self.encoder:
            self.average.load_state_dict(state["average"])
        self._load_moments(state["moments"])
        self.rate_factor = state["rate_factor"]

    def _load_moments(self, moments: State) -> None:
        parameters = trainable_parameters(self.encoder)
        ordered = {int(number): _in_order_of(parameters[int(number)], values) for number, values in moments.items()}
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": ordered, "param_groups": groups})

    def _fresh_optimizer(self) -> torch.optim.AdamW:
        config, fused = self.config, self._device.type in ("cpu", "cuda")
        parameters = trainable_parameters(self.encoder)
        return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused)


def _in_order_of(parameter: Tensor, moments: Weights) -> Weights:
    """A copy of the moments, in memory as their weights are: the fused optimiser walks through memory."""
    return {
        name: torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value.clone()
        for name, value in moments.items()
    }

"""One optimisation step at a time: augment, embed, mine, descend. Nothing waits for the device but a report."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from siamese_core.config import TrainingConfig
from siamese_core.devices import computes_in_bfloat16
from siamese_core.network.encoders import Encoder, trainable_parameters
from siamese_core.training.augment import augment
from siamese_core.training.batches import Batch
from siamese_core.training.health import Health, effective_rank
from siamese_core.triplets.objective import Objective, objective

State = dict[str, Tensor]


def learning_rate_at(step: int, config: TrainingConfig) -> float:
    """Linear warm-up, then a cosine down to zero."""
    warmup = max(1, round(config.warmup * config.steps))
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(1, config.steps - warmup)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


class Learner:
    """The encoder with its optimiser, the moving average of its weights, and running means of its batches."""

    def __init__(self, encoder: Encoder, config: TrainingConfig) -> None:
        """Takes over an encoder that is on its device already."""
        self.encoder, self.config = encoder, config
        self.average = copy.deepcopy(encoder).eval() if config.weight_average > 0 else encoder
        self.softened, self.rate_factor = False, 1.0
        self._soft_config = replace(config, mining="semi_hard", hardest_positives=(1, 1), hardest_negatives=(1, 1))
        self._device = next(encoder.parameters()).device
        automatic = config.precision == "auto" and computes_in_bfloat16(self._device)
        self._bfloat16 = automatic or config.precision == "bfloat16"
        self._optimizer = self._fresh_optimizer()
        self._sums = torch.zeros(5, device=self._device)
        self._batches = 0
        encoder.train()

    def learn(self, step: int, batch: Batch) -> None:
        """Learns from one batch."""
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate_factor * learning_rate_at(step, self.config)
        images = augment(batch.images.float(), batch.changes, self.config.augment, batch.symmetries)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._bfloat16):
            embeddings = self.encoder(images)  # (B, D) float32
        found = objective(
            embeddings, batch.labels, self._soft_config if self.softened else self.config, batch.generator
        )
        self._optimizer.zero_grad(set_to_none=True)
        found.loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        with torch.no_grad():
            self._observe(found, embeddings)
            self._follow(step)

    def _observe(self, found: Objective, embeddings: Tensor) -> None:
        rank = effective_rank(embeddings)
        each = found.total / max(1, found.triplets)
        self._sums += torch.stack([found.loss, found.mean_distance, rank, found.active_share, each])
        self._batches += 1

    def _follow(self, step: int) -> None:
        """The average follows the weights; slowly, once there is something to average."""
        if self.average is self.encoder:
            return
        weight = 1 - min(self.config.weight_average, (1 + step) / (10 + step))
        own, following = self.encoder.state_dict(), self.average.state_dict()
        floats = [name for name, value in own.items() if value.is_floating_point()]
        torch._foreach_lerp_([following[name] for name in floats], [own[name] for name in floats], weight)

    def read(self) -> Health:
        """Means over the batches since the last call; waits for the device."""
        health = Health(self._batches, *(self._sums / self._batches).tolist())
        self._sums.zero_()
        self._batches = 0
        return health

    def soften(self, weights: State) -> None:
        """Back to earlier weights, with semi-hard mining, half the learning rate and fresh moments."""
        self.encoder.load_state_dict(weights)
        if self.average is not self.encoder:
            self.average.load_state_dict(weights)
        self.softened = True
        self.rate_factor /= 2
        self._optimizer = self._fresh_optimizer()

    def weights(self) -> State:
        """A copy of the weights that are trained."""
        return {name: value.detach().clone() for name, value in self.encoder.state_dict().items()}

    def snapshot(self) -> tuple[State, dict[str, Any]]:
        """All state as tensors and plain values."""
        tensors = {f"encoder.{name}": value for name, value in self.encoder.state_dict().items()}
        if self.average is not self.encoder:
            tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for number, moments in self._optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
        return tensors, {"softened": self.softened, "rate_factor": self.rate_factor}

    def restore(self, tensors: State, values: dict[str, Any]) -> None:
        """Takes over what `snapshot` gave."""
        self.encoder.load_state_dict(below("encoder.", tensors))
        if self.average is not self.encoder:
            self.average.load_state_dict(below("average.", tensors))
        self._restore_moments(below("optimizer.", tensors))
        self.softened, self.rate_factor = values["softened"], values["rate_factor"]

    def _restore_moments(self, tensors: State) -> None:
        parameters = trainable_parameters(self.encoder)
        moments: dict[int, State] = {}
        for name, value in tensors.items():
            number, moment = name.split(".")
            like = parameters[int(number)]
            # The fused optimiser walks through memory: moments must lie there as their weights do.
            same_order = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
            moments.setdefault(int(number), {})[moment] = same_order
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": moments, "param_groups": groups})

    def _fresh_optimizer(self) -> torch.optim.AdamW:
        config, fused = self.config, self._device.type in ("cpu", "cuda")
        parameters = trainable_parameters(self.encoder)
        return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused)


def below(prefix: str, tensors: State) -> State:
    """The tensors whose name starts with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def compute_only_rate(learner: Learner, batch: Batch, seconds: float) -> float:
    """Images per second of the same loop on one batch that is on the device already.

    Args:
        learner: It is left as it is; a copy of its encoder learns.
        batch: The batch.
        seconds: How long to measure, after two steps that do not count.
    """
    copied = Learner(copy.deepcopy(learner.encoder), learner.config)
    steps, started = 0, time.perf_counter()
    while steps < 3 or time.perf_counter() - started < seconds:
        if steps == 2:
            copied.read()
            started = time.perf_counter()
        copied.learn(steps, batch)
        steps += 1
    copied.read()
    return (steps - 2) * len(batch.images) / (time.perf_counter() - started)

"""The collapse monitor: it judges the health of training now and then, warns, and says when to go back."""

from __future__ import annotations

import logging
import math
from typing import Any, NamedTuple

from siamese_core.config import TrainingConfig
from siamese_core.errors import TrainingError
from siamese_core.network.encoders import Weights
from siamese_core.training.checkpoint import State
from siamese_core.training.health import Health

logger = logging.getLogger(__name__)

_ADVICE = "lower training.learning_rate, use training.mining: semi_hard, or a smaller training.margin"
_MOST_RECOVERIES = 5


class Recovery(NamedTuple):
    """Order to go back to earlier weights and to learn more softly from there.

    Attributes:
        weights: The last weights that healthy batches followed.
        rate_factor: From here on the learning rate is multiplied by it.
    """

    weights: Weights
    rate_factor: float


class CollapseMonitor:
    """Judge of the batches between two checks.

    Attributes:
        events: All that it saw: `step`, `kind` (warning, collapse or recovery) and `message`.
    """

    def __init__(self, config: TrainingConfig, weights: Weights) -> None:
        """Prepare the monitor.

        Args:
            config: α, and the reaction to a collapse.
            weights: The first weights, which count as good.
        """
        self._config = config
        # Whether the recent weights are good, the next batches tell.
        self._good = self._recent = weights
        self._warned = False
        self.events: list[dict[str, Any]] = []

    def check(self, step: int, health: Health) -> Recovery | None:
        """Judge the means since the last check, after `step` batches.

        Raises:
            TrainingError: The loss is not finite, or the encoder has collapsed for good.
        """
        if not math.isfinite(health.loss):
            raise TrainingError(f"The loss is {health.loss} at step {step}: lower training.learning_rate.")
        condition = health.condition(self._config.margin)
        if condition == "collapsed":
            return self._collapsed(step, health)
        if condition == "healthy":
            self._good, self._warned = self._recent, False
        elif not self._warned:
            self._warned = True
            self._note(step, "warning", f"the embeddings are close to collapse at step {step:,}: {health}")
        return None

    def remember(self, weights: Weights) -> None:
        """Take a copy of the weights of this moment; they may have collapsed within batches whose mean is healthy."""
        self._recent = weights

    def state_dict(self) -> State:
        """Weights to go back to, and events."""
        return {"good": self._good, "recent": self._recent, "warned": self._warned, "events": self.events}

    def load_state_dict(self, state: State) -> None:
        """Take over what `state_dict` gave."""
        self._good, self._recent = state["good"], state["recent"]
        self._warned, self.events = state["warned"], state["events"]

    def _collapsed(self, step: int, health: Health) -> Recovery | None:
        sight = f"the encoder has collapsed at step {step:,}: {health}"
        recoveries = self._count("recovery")
        if self._config.on_collapse == "stop" or recoveries >= _MOST_RECOVERIES:
            again = f" It collapsed {recoveries + 1} times." if recoveries else ""
            raise TrainingError(f"{sight[0].upper()}{sight[1:]}.{again} To go on: {_ADVICE}.")
        if self._config.on_collapse == "recover":
            recovery = Recovery(self._good, 0.5 ** (recoveries + 1))
            way = f"from here with semi-hard mining and {recovery.rate_factor:g} × the learning rate"
            self._note(step, "recovery", f"{sight}; back to the last good weights, {way}")
            return recovery
        if not self._count("collapse"):
            self._note(step, "collapse", f"{sight}; {_ADVICE}")
        return None

    def _count(self, kind: str) -> int:
        return sum(event["kind"] == kind for event in self.events)

    def _note(self, step: int, kind: str, message: str) -> None:
        self.events.append({"step": step, "kind": kind, "message": message})
        logger.warning(f"train: {message}")

"""The collapse monitor: it judges the health of training now and then, and says what the loop has to do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from siamese_core.network.encoders import Weights
from siamese_core.training.checkpoint import State
from siamese_core.training.health import Health

_ADVICE = "lower training.learning_rate, use training.mining: semi_hard, or a smaller training.margin"
_MOST_RECOVERIES = 5


@dataclass(frozen=True)
class Warn:
    """Order to log a message and go on."""

    message: str


@dataclass(frozen=True, eq=False)
class Recover:
    """Order to go back to earlier weights and to learn more softly from there.

    Attributes:
        message: The reason, and what is done.
        weights: The last weights that healthy batches followed.
        rate_factor: From here on the learning rate is multiplied by it.
    """

    message: str
    weights: Weights
    rate_factor: float


@dataclass(frozen=True)
class Stop:
    """Order to end the run with an error."""

    message: str


Verdict = Warn | Recover | Stop | None


class CollapseMonitor:
    """Judge of the batches between two checks.

    Attributes:
        events: All that it saw: `step`, `kind` (warning, collapse or recovery) and `message`.
    """

    def __init__(self, margin: float, on_collapse: Literal["recover", "warn", "stop"], weights: Weights) -> None:
        """Prepare the monitor.

        Args:
            margin: α.
            on_collapse: Reaction to a collapse, see `TrainingConfig`.
            weights: The first weights, which count as good.
        """
        self._margin, self._on_collapse = margin, on_collapse
        # Whether the recent weights are good, the next batches tell.
        self._good = self._recent = weights
        self._warned = False
        self.events: list[dict[str, Any]] = []

    def check(self, step: int, health: Health) -> Verdict:
        """Judge the means since the last check, after `step` batches."""
        if not math.isfinite(health.loss):
            return Stop(f"The loss is {health.loss} at step {step}: lower training.learning_rate.")
        condition = health.condition(self._margin)
        if condition == "collapsed":
            return self._collapsed(step, health)
        if condition == "narrow":
            return self._narrow(step, health)
        self._good, self._warned = self._recent, False
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

    def _narrow(self, step: int, health: Health) -> Verdict:
        if self._warned:
            return None
        self._warned = True
        return Warn(self._note(step, "warning", f"the embeddings are close to collapse at step {step:,}: {health}"))

    def _collapsed(self, step: int, health: Health) -> Verdict:
        sight = f"the encoder has collapsed at step {step:,}: {health}"
        recoveries = self._count("recovery")
        if self._on_collapse == "stop" or recoveries >= _MOST_RECOVERIES:
            again = f" It collapsed {recoveries + 1} times." if recoveries else ""
            return Stop(f"{sight[0].upper()}{sight[1:]}.{again} To go on: {_ADVICE}.")
        if self._on_collapse == "recover":
            return self._recover(step, sight, 0.5 ** (recoveries + 1))
        return None if self._count("collapse") else Warn(self._note(step, "collapse", f"{sight}; {_ADVICE}"))

    def _recover(self, step: int, sight: str, rate_factor: float) -> Recover:
        message = (
            f"{sight}; back to the last good weights, from here with semi-hard mining and "
            f"{rate_factor:g} × the learning rate"
        )
        return Recover(self._note(step, "recovery", message), self._good, rate_factor)

    def _count(self, kind: str) -> int:
        return sum(event["kind"] == kind for event in self.events)

    def _note(self, step: int, kind: str, message: str) -> str:
        self.events.append({"step": step, "kind": kind, "message": message})
        return message

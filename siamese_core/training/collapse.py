"""What happens when the encoder collapses: it goes back to the last good weights and learns more softly."""

from __future__ import annotations

from typing import Any, Literal

from siamese_core.errors import TrainingError
from siamese_core.training.health import Health
from siamese_core.training.learner import Learner

_ADVICE = "lower training.learning_rate, use training.mining: semi_hard, or a smaller training.margin"
_MOST_RECOVERIES = 5


class CollapseMonitor:
    """Checks the learner's health now and then.

    Attributes:
        good: The last weights that healthy batches followed.
        recent: Those of the last check; whether they are good, the next batches tell.
        warned: Whether it has warned since.
        events: What it saw and did: `step`, `kind` (warning, collapse or recovery) and `message`.
    """

    def __init__(
        self,
        learner: Learner,
        margin: float,
        on_collapse: Literal["recover", "warn", "stop"],
    ) -> None:
        """Counts the learner's present weights as good."""
        self._learner, self._margin, self._on_collapse = learner, margin, on_collapse
        # Copies of their own: a checkpoint file takes no tensor twice.
        self.good, self.recent = learner.weights(), learner.weights()
        self.warned = False
        self.events: list[dict[str, Any]] = []

    def check(self, step: int, health: Health) -> None:
        """Looks at the means since the last check, after `step` batches.

        Raises:
            TrainingError: The encoder collapsed, and either `on_collapse` is `stop` or recovering did not help.
        """
        condition = health.condition(self._margin)
        if condition == "collapsed":
            self._collapsed(step, health)
            return
        if condition == "narrow":
            self._narrow(step, health)
        else:
            # The weights of this moment may have collapsed within batches whose mean looks healthy.
            self.good, self.warned = self.recent, False
        self.recent = self._learner.weights()

    def _narrow(self, step: int, health: Health) -> None:
        if not self.warned:
            self.warned = True
            self._note(step, "warning", f"the embeddings are close to collapse at step {step:,}: {health}")

    def _collapsed(self, step: int, health: Health) -> None:
        what = f"the encoder has collapsed at step {step:,}: {health}"
        recoveries = sum(event["kind"] == "recovery" for event in self.events)
        if self._on_collapse == "stop" or recoveries >= _MOST_RECOVERIES:
            again = f" It collapsed {recoveries + 1} times." if recoveries else ""
            raise TrainingError(f"{what[0].upper()}{what[1:]}.{again} To go on: {_ADVICE}.")
        if self._on_collapse == "warn":
            if not any(event["kind"] == "collapse" for event in self.events):
                self._note(step, "collapse", f"{what}; {_ADVICE}")
            return
        self._learner.soften(self.good)
        self.recent = self._learner.weights()
        self._note(
            step,
            "recovery",
            f"{what}; back to the last good weights, from here with semi-hard mining and "
            f"{self._learner.rate_factor:g} × the learning rate",
        )

    def _note(self, step: int, kind: str, message: str) -> None:
        self.events.append({"step": step, "kind": kind, "message": message})
        print(f"train: {message}")

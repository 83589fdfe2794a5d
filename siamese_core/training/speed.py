"""Speed of training, measured against the same computation without any input path."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass

from siamese_core.training.batches import Batch
from siamese_core.training.learner import Learner

# The compute-only loop is timed for this share of the training time, and at most for so many seconds.
_COMPUTE_SHARE, _COMPUTE_SECONDS = 0.03, 3.0


@dataclass
class Speed:
    """The work of this process.

    Attributes:
        images: Images that were learned from.
        seconds: Time for all steps, without validation.
        batch: The last batch; none if the run was complete already.
    """

    images: int = 0
    seconds: float = 0.0
    batch: Batch | None = None

    def count(self, batch: Batch) -> None:
        """Count a batch."""
        self.images += len(batch.images)
        self.batch = batch

    def figures(self, learner: Learner, seconds_waited: float) -> dict[str, float]:
        """Figures for people, as `train` returns them; none if the run was complete already.

        Args:
            learner: The learner of the run.
            seconds_waited: Time that it waited for batches.
        """
        if self.batch is None:
            return {}
        limit = min(_COMPUTE_SECONDS, _COMPUTE_SHARE * self.seconds)
        return {
            "images_per_second": self.images / self.seconds,
            "compute_images_per_second": compute_only_rate(learner, self.batch, limit),
            "data_wait": seconds_waited / self.seconds,
            "seconds": self.seconds,
        }


def compute_only_rate(learner: Learner, batch: Batch, seconds: float) -> float:
    """Images per second of the same loop on one batch that is on the device already.

    Args:
        learner: Left as it is; a copy of its encoder learns.
        batch: The batch.
        seconds: Time to measure, after two steps that do not count.
    """
    other = Learner(copy.deepcopy(learner.encoder), learner.config, learner.miner)
    steps, started = 0, time.perf_counter()
    while steps < 3 or time.perf_counter() - started < seconds:
        if steps == 2:
            other.read()
            started = time.perf_counter()
        other.learn(steps, batch)
        steps += 1
    other.read()
    return (steps - 2) * len(batch.images) / (time.perf_counter() - started)

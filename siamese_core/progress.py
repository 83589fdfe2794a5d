"""Progress of long work: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import closing

from tqdm import tqdm

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LINES = 4.0


class Progress:
    """A count of `total` units of work. Use `track` to make one."""

    def __init__(self, work: str, total: int, unit: str, done: int = 0) -> None:
        self._work, self._total, self._unit = work, total, unit
        self._before, self._done, self._note = done, done, ""
        self._started = self._last_line = time.monotonic()
        terminal = sys.stderr.isatty()
        self._bar = (
            tqdm(total=total, initial=done, desc=work, unit=unit, leave=False, dynamic_ncols=True) if terminal else None
        )

    def advance(self, units: int = 1) -> None:
        """Count `units` more as done."""
        self._done += units
        if self._bar is not None:
            self._bar.update(units)
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            logger.info(self._line())

    def note(self, **values: float) -> None:
        """Show current values, such as the loss, beside the count."""
        self._note = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._bar is not None:
            self._bar.set_postfix_str(self._note)

    def close(self) -> None:
        """Remove the bar; a line with the total and the rate remains."""
        if self._bar is not None:
            self._bar.close()
        seconds = time.monotonic() - self._started
        rate = f"{self._rate():,.0f} {self._unit}/s"
        logger.info(f"{self._work}: {self._done:,} {self._unit} in {_clock(seconds)} ({rate})")

    def _rate(self) -> float:
        return (self._done - self._before) / max(time.monotonic() - self._started, 1e-9)

    def _line(self) -> str:
        left = (self._total - self._done) / max(self._rate(), 1e-9)
        share = self._done / max(self._total, 1)
        line = f"{self._work}: {self._done:,}/{self._total:,} {self._unit} ({share:.0%})"
        line += f", {self._rate():,.0f} {self._unit}/s, {_clock(left)} left"
        return f"{line}, {self._note}" if self._note else line


def track(work: str, total: int, unit: str, done: int = 0) -> closing[Progress]:
    """Show the progress of the work inside the `with` block.

    Args:
        work: Its name, such as "training".
        total: Units of work in all.
        unit: The name of a unit, such as "images".
        done: Units done earlier, by the interrupted run that this one resumes.

    Returns:
        A context with the `Progress` to advance.
    """
    return closing(Progress(work, total, unit, done))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.1f} s"

"""Memory for decoding: the threads of a process share it, and a picture waits until there is enough for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from siamese_core.errors import UnreadableImageError

_MEGABYTE = 1_000_000


class DecodingMemory:
    """A number of bytes that pictures reserve while they are decoded and prepared.

    Attributes:
        total: The number of bytes.
        strict: Refuse a picture that needs more than all of them; otherwise it is decoded while no other one is.
    """

    def __init__(self, total: int, strict: bool) -> None:
        self.total = total
        self.strict = strict
        self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, amount: int) -> Iterator[None]:
        """Hold bytes inside the `with` block; wait for them first.

        Raises:
            UnreadableImageError: There will never be so many.
        """
        if self.strict and amount > self.total:
            raise UnreadableImageError(
                f"too large: decoding needs {amount / _MEGABYTE:,.0f} MB of memory, more than the "
                f"{self.total / _MEGABYTE:,.0f} MB here; send a smaller copy"
            )
        share = min(amount, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= share)
            self._free -= share
        try:
            yield
        finally:
            with self._changed:
                self._free += share
                self._changed.notify_all()


# All workers of an ingest together.
LOCAL = DecodingMemory(2_000 * _MEGABYTE, strict=False)
# Strangers choose the pictures: less for all requests together, and nothing beyond.
SERVER = DecodingMemory(500 * _MEGABYTE, strict=True)

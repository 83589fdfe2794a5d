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
    def reserve(self, needed: int) -> Iterator[None]:
        """Hold bytes inside the `with` block; wait for them first.

        Raises:
            UnreadableImageError: There will never be so many.
        """
        if self.strict and needed > self.total:
            raise UnreadableImageError(
                f"too large: decoding needs {needed / _MEGABYTE:,.0f} MB of memory, more than the "
                f"{self.total / _MEGABYTE:,.0f} MB here; send a smaller copy"
            )
        held = min(needed, self.total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= held)
            self._free -= held
        try:
            yield
        finally:
            with self._changed:
                self._free += held
                self._changed.notify_all()


# All workers of an ingest together.
LOCAL = DecodingMemory(2_000 * _MEGABYTE, strict=False)
# Strangers choose the pictures: less for all requests together, and nothing beyond.
SERVER = DecodingMemory(500 * _MEGABYTE, strict=True)

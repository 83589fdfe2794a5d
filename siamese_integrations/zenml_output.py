"""The output of a run: our lines as they are, errors of the input without a traceback, and no harmless noise."""

import logging
import os
import sys
from types import TracebackType

from siamese_core.errors import BusyError, SiameseError

_OURS = ("siamese_core", "siamese_integrations", "steps")
# Messages of libraries that say nothing a user could act on.
_NOISE = (
    "Failed to disable MLflow autologging",  # ZenML tries frameworks that are not installed
    "Created temporary directory",  # Great Expectations, which sets that logger's level itself
    "ZenML cannot locate and import",  # an artifact of another version: previous_ingest says it in words
)


_hook_before = sys.excepthook


def show_plainly() -> None:
    """Set up the output of this process; safe to call more than once.

    ZenML's handlers at the root show a line of ours without a prefix and store it with the step's log.
    """
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_plain)
    sys.excepthook = _print_plainly


def _plain(record: logging.LogRecord) -> bool:
    """Drop tracebacks of errors that a user can act on, and noise."""
    if record.exc_info and isinstance(record.exc_info[1], SiameseError):
        record.exc_info = None
    return not record.getMessage().startswith(_NOISE)


def _print_plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, SiameseError):
        print(f"\nError: {error}", file=sys.stderr)
        if isinstance(error, BusyError):
            sys.exit(os.EX_TEMPFAIL)
    else:
        _hook_before(kind, error, trace)

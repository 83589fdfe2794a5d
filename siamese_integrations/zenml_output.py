"""The output of a run: our lines as they are, errors of the input without a traceback, and no harmless noise."""

import logging
import sys
from types import TracebackType

from siamese_core.errors import SiameseError

_OURS = ("siamese_core", "siamese_integrations", "steps")
# Messages of libraries that say nothing a user could act on.
_NOISE = (
    "Failed to disable MLflow autologging",  # ZenML tries frameworks that are not installed
    "Created temporary directory",  # Great Expectations, which sets that logger's level itself
    "ZenML cannot locate and import",  # an artifact of another version: previous_ingest says it in words
)


class _PlainErrors(logging.Filter):
    """A filter that drops tracebacks of errors that a user can act on, and noise."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if record.exc_info and isinstance(record.exc_info[1], SiameseError):
            record.exc_info = None
        return not message.startswith(_NOISE)


def show_plainly() -> None:
    """Set up the output of this process; safe to call more than once.

    ZenML's handlers at the root show a line of ours without a prefix and store it with the step's log.
    """
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(present, _PlainErrors) for present in handler.filters):
            handler.addFilter(_PlainErrors())
    if sys.excepthook is not _print_plainly:
        global _previous_hook
        _previous_hook = sys.excepthook
        sys.excepthook = _print_plainly


_previous_hook = sys.__excepthook__


def _print_plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, SiameseError):
        print(f"\nError: {error}", file=sys.stderr)
    else:
        _previous_hook(kind, error, trace)

"""The output of a run: our lines as they are, errors of the input without a traceback, and no harmless noise."""

import logging
import sys
import threading
from types import TracebackType

from siamese_core.errors import plain_words

_OURS = ("siamese_core", "siamese_integrations", "steps")
# Messages of libraries that say nothing a user could act on.
_NOISE = (
    "Failed to disable MLflow autologging",  # ZenML tries frameworks that are not installed
    "Created temporary directory",  # Great Expectations, which sets that logger's level itself
    "ZenML cannot locate and import",  # an artifact of another version: previous_ingest says it in words
)
_SQL = "\n[SQL: "  # SQLAlchemy's message goes on for pages
_hook_before = sys.excepthook


def show_plainly() -> None:
    """Set up the output of this process; safe to call more than once.

    ZenML's handlers at the root show a line of ours without a prefix and store it with the step's log.
    """
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_plain)
    logging.raiseExceptions = False  # on a full disk each line would bring the traceback of the log's own failure
    sys.excepthook = _print_plainly
    threading.excepthook = _print_from_thread


def _plain(record: logging.LogRecord) -> bool:
    """Drop tracebacks of errors that a user can act on, and noise."""
    if record.exc_info and record.exc_info[1] and plain_words(record.exc_info[1]):
        record.exc_info = None
    message = record.getMessage()
    if _SQL in message:
        record.msg, record.args = message.partition(_SQL)[0], ()
    return not message.startswith(_NOISE)


def _print_plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if words := plain_words(error):
        print(f"\nError: {words}", file=sys.stderr)
    else:
        _hook_before(kind, error, trace)


def _print_from_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value and not plain_words(failure.exc_value):  # the main thread fails of the same and tells it
        threading.__excepthook__(failure)

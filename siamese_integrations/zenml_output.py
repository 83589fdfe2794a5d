"""The output of a run: our lines as they are, errors of the input without a traceback, and no harmless noise.

Credentials and control characters are masked in all of it, what libraries say included.
"""

import logging
import os
import sys
import threading
from contextlib import suppress
from traceback import format_exception
from types import TracebackType
from typing import Any

from siamese_core.errors import BusyError, plain_words
from siamese_core.messages import presentable, presentable_lines

_OURS = ("siamese_core", "siamese_integrations", "steps")
# Messages of libraries that say nothing a user could act on.
_NOISE = (
    "Failed to disable MLflow autologging",  # ZenML tries frameworks that are not installed
    "Created temporary directory",  # Great Expectations, which sets that logger's level itself
    "ZenML cannot locate and import",  # an artifact of another version: previous_ingest says it in words
)
_SQL = "\n[SQL: "  # SQLAlchemy's message goes on for pages


def show_plainly() -> None:
    """Set up the output of this process; safe to call more than once.

    ZenML's handlers at the root show a line of ours without a prefix and store it with the step's log.
    """
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_plain)
    logging.raiseExceptions = False  # on a full disk each line would bring the traceback of the log's own failure
    logging.setLogRecordFactory(_presentable_record)
    sys.excepthook = _print_plainly
    threading.excepthook = _print_from_thread


def _plain(record: logging.LogRecord) -> bool:
    """Drop tracebacks of errors that a user can act on, and noise."""
    if record.exc_info and record.exc_info[1]:
        if not plain_words(record.exc_info[1]):
            record.msg += "\n" + presentable_traceback(record.exc_info[1])
        record.exc_info = None
    return not record.msg.startswith(_NOISE)


def _presentable_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A record for every handler, those of MLflow and Great Expectations too."""
    record = logging.LogRecord(*args, **kwargs)
    clean = presentable if record.name.startswith(_OURS) else presentable_lines
    with suppress(TypeError, ValueError):  # a message that does not fit its arguments: logging itself says so
        record.msg, record.args = clean(record.getMessage().partition(_SQL)[0]), ()
    return record


def _print_plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    words = plain_words(error)
    print(f"\nError: {words}" if words else presentable_traceback(error), file=sys.stderr)
    if isinstance(error, BusyError):
        sys.exit(os.EX_TEMPFAIL)


def _print_from_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value and not plain_words(failure.exc_value):  # the main thread fails of the same and tells it
        print(presentable_traceback(failure.exc_value), file=sys.stderr)


def presentable_traceback(error: BaseException) -> str:
    """The traceback of an error that nobody expected."""
    return presentable_lines("".join(format_exception(error))).rstrip()

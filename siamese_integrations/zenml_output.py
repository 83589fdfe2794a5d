"""The output of a run: our lines as they are, errors of the input without a traceback, and no harmless noise.

Credentials and control characters are masked in all of it, what libraries say included.
"""

import logging
import sys
from contextlib import suppress
from traceback import format_exception
from types import TracebackType
from typing import Any

from siamese_core.errors import SiameseError
from siamese_core.messages import presentable, presentable_lines

_OURS = ("siamese_core", "siamese_integrations", "steps")
# Messages of libraries that say nothing a user could act on.
_NOISE = (
    "Failed to disable MLflow autologging",  # ZenML tries frameworks that are not installed
    "Created temporary directory",  # Great Expectations, which sets that logger's level itself
    "ZenML cannot locate and import",  # an artifact of another version: previous_ingest says it in words
)


def show_plainly() -> None:
    """Set up the output of this process; safe to call more than once.

    ZenML's handlers at the root show a line of ours without a prefix and store it with the step's log.
    """
    for name in _OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(_plain)
    logging.setLogRecordFactory(_presentable_record)
    sys.excepthook = _print_plainly


def _plain(record: logging.LogRecord) -> bool:
    """Drop tracebacks of errors that a user can act on, and noise."""
    if record.exc_info and record.exc_info[1]:
        if not isinstance(record.exc_info[1], SiameseError):
            record.msg += "\n" + presentable_traceback(record.exc_info[1])
        record.exc_info = None
    return not record.msg.startswith(_NOISE)


def _presentable_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A record for every handler, those of MLflow and Great Expectations too."""
    record = logging.LogRecord(*args, **kwargs)
    clean = presentable if record.name.startswith(_OURS) else presentable_lines
    with suppress(TypeError, ValueError):  # a message that does not fit its arguments: logging itself says so
        record.msg, record.args = clean(record.getMessage()), ()
    return record


def _print_plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    text = f"\nError: {error}" if isinstance(error, SiameseError) else presentable_traceback(error)
    print(text, file=sys.stderr)


def presentable_traceback(error: BaseException) -> str:
    """The traceback of an error that nobody expected."""
    return presentable_lines("".join(format_exception(error))).rstrip()

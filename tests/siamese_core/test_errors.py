"""Errors of the machine in words, wherever a library has put them."""

import errno
import os
import sqlite3

import pytest
from safetensors import SafetensorError

from siamese_core.errors import DataError, plain_words


def wrapped(error: BaseException, *outer: Exception) -> BaseException:
    """The outermost of errors that were raised from one another."""
    for next_one in outer:
        next_one.__cause__, error = error, next_one
    return error


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_failure_of_the_machine_names_the_file_and_the_way_out(number: int) -> None:
    words = plain_words(OSError(number, os.strerror(number), "/data/images.u8"))
    assert words
    assert words.startswith(f"/data/images.u8: {os.strerror(number)}: ")
    assert plain_words(wrapped(OSError(number, "Error writing bytes"), ValueError("x"), RuntimeError("y"))) is not None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (DataError("no images"), "no images"),
        (MemoryError(), "not enough memory: "),
        (SafetensorError("I/O error: No space left on device (os error 28)"), "No space left on device: make room"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "the database cannot be used: attempt to"),
        (wrapped(sqlite3.OperationalError("disk I/O error"), RuntimeError()), "the database cannot be used: disk I/O"),
    ],
)
def test_what_a_user_can_act_on_is_told(error: Exception, words: str) -> None:
    told = plain_words(error)
    assert told
    assert told.startswith(words)
    assert "\n" not in told


@pytest.mark.parametrize("error", [ValueError("x"), FileNotFoundError(2, "No such file", "x"), KeyError(28), OSError()])
def test_a_mistake_of_the_program_keeps_its_traceback(error: Exception) -> None:
    assert plain_words(error) is None

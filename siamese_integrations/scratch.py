"""Temporary folders that no killed run leaves behind.

Each is locked while its process lives, and the next run removes those that nobody holds.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TextIO

_LOCK = "siamese.lock"
# Open as long as this process lives, however it ends; a child that it forks holds the lock too.
_held: list[TextIO] = []


def scratch_folder(parent: Path) -> Path:
    """Make a folder that is removed with this process, or by the next one if this one is killed."""
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="siamese-", dir=parent))
    guard(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def guard(folder: Path) -> None:
    """Mark a folder as in use by this process, and as a leftover once it has ended."""
    unseen = folder / f"{_LOCK}.new"
    file = unseen.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    unseen.rename(folder / _LOCK)  # never to be seen without the lock
    _held.append(file)


def remove_leftovers(parent: Path) -> int:
    """Remove the folders in `parent` whose process has ended without removing them.

    Returns:
        Their number.
    """
    return sum(map(_remove_if_free, parent.glob(f"*/{_LOCK}")))


def _remove_if_free(lock: Path) -> bool:
    with suppress(OSError), lock.open() as file:  # another user's, in use, or removed by another run
        if os.fstat(file.fileno()).st_uid == os.getuid():
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent)
            return True
    return False

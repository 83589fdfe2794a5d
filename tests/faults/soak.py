"""Retrain in one store again and again: do the time and the disk of a run stay the same?

`python -m tests.faults.soak 50 --retain 5` prints a line a run, and the first and last ten beside each other.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.faults.workplace import Workplace, start_fork_server


@dataclass(frozen=True)
class Night:
    """One retraining.

    Attributes:
        work: Processor seconds.
        seconds: By the clock.
        grown: Bytes by which the store and all records have grown.
        size: Their bytes afterwards.
    """

    work: float
    seconds: float
    grown: int
    size: int


def nights(count: int, folder: Path, **changes: Any) -> Iterator[Night]:
    """Retrain so many times; another seed each time makes each a training of its own."""
    place = Workplace(folder)
    place.deliver(16)
    before = disk(folder / "zenml")
    for number in range(count):
        place.configure(seed=number, **changes)
        start = time.monotonic()
        work, _, done = place.call("measured_run", "retraining")
        size = disk(folder / "zenml")
        assert len(done["versions"]) == number + 1, "it was a run of its own"
        assert done["running"] == done["leftovers"] == []
        yield Night(work, time.monotonic() - start, size - before, size)
        before = size


def disk(folder: Path) -> int:
    """Bytes of all files below a folder; a file of several names counts once."""
    states = (path.stat() for path in folder.rglob("*") if path.is_file())
    return sum({state.st_ino: state.st_blocks * 512 for state in states}.values())


def compare(done: list[Night]) -> str:
    """The first ten nights after the first beside the last ten, in medians."""
    early, late = (f"{median(n.work for n in part):.2f} s" for part in (done[1:11], done[-10:]))
    first, last = (median(n.grown for n in part) for part in (done[1:11], done[-10:]))
    return (
        f"{len(done)} retrainings: a run took {early} of the processor at first and {late} at last, and left "
        f"{first / 1e3:,.0f} KB at first and {last / 1e3:,.0f} KB at last; {done[-1].size / 1e6:,.1f} MB in all"
    )


def main() -> None:
    """Soak from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=50)
    parser.add_argument("--retain", type=int, metavar="RUNS", help="retain.runs of the configuration")
    options = parser.parse_args()
    changes = {"retain": {"runs": options.retain}} if options.retain else {}
    start_fork_server()
    folder = Path(tempfile.mkdtemp(prefix="siamese-soak-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    done: list[Night] = []
    try:
        for night in nights(options.count, folder / "place", **changes):
            done.append(night)
            print(f"{len(done)}: {night}", flush=True)
    finally:
        shutil.rmtree(folder)
    print(compare(done))


if __name__ == "__main__":
    main()

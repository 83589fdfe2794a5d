"""Kills -9 at points spread over the processor time of a run, each followed by a rerun: does it survive?

`python -m tests.faults.kills training 100 --records FILE` goes on where an earlier one was stopped, and prints the
rate.
"""

import argparse
import hashlib
import json
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.faults.experiment import Experiment
from tests.faults.workplace import REPOSITORY, start_fork_server

_GOLDEN = 0.6180339887498949
_STEP = re.compile(r"Step \S*?(\w+)\S* has (started|finished)")


def spread(number: int) -> float:
    """A fraction between 0 and 1; those of the first numbers, however many, cover the interval evenly."""
    return (0.5 + number * _GOLDEN) % 1


def trial(experiment: Experiment, number: int) -> dict[str, Any]:
    """Kill one run, run again, and compare.

    Returns:
        `at`, processor seconds of the run before it was killed; `step`, the last that it spoke of; and `problems`.
    """
    begin, at = time.monotonic(), spread(number) * experiment.seconds
    experiment.go_back()
    killed = experiment.start().kill_after(at)
    steps = _STEP.findall(experiment.place.log())
    return {
        "number": number,
        "pipeline": experiment.pipeline,
        "at": round(at, 3),
        "killed": killed,
        "step": " ".join(steps[-1]) if steps else "before the first step",
        "problems": [*experiment.reading_problems(), *experiment.rerun_problems()],
        "seconds": round(time.monotonic() - begin, 1),
    }


def survey(pipeline: str, count: int, folder: Path, records: Path) -> list[dict[str, Any]]:
    """Kill so many runs; those in the file of records that this code has survived already are not repeated."""
    experiment, code = Experiment(pipeline, folder), code_hash()
    known = [json.loads(line) for line in records.read_text().splitlines()] if records.exists() else []
    done = {each["number"]: each for each in known if each["code"] == code and each["pipeline"] == pipeline}
    start, first = time.monotonic(), len(done)
    for number in range(count):
        if number in done:
            continue
        done[number] = {**trial(experiment, number), "code": code}
        with records.open("a") as file:
            file.write(json.dumps(done[number]) + "\n")
        rate = (len(done) - first) / (time.monotonic() - start) * 60
        survived = sum(not each["problems"] for each in done.values())
        print(f"{pipeline}: {survived} of {len(done)} survived, {rate:.1f} a minute; {done[number]}", flush=True)
    return [done[number] for number in range(count)]


def code_hash() -> str:
    """Hash of the code that runs: what an older one has survived says nothing."""
    digest = hashlib.sha256()
    for package in ("siamese_core", "siamese_integrations", "steps", "pipelines", "infra"):
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def main() -> None:
    """Survey from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pipeline", choices=["training", "retraining"])
    parser.add_argument("count", type=int)
    parser.add_argument("--records", type=Path, default=Path("kills.jsonl"))
    options = parser.parse_args()
    start_fork_server()
    folder = Path(tempfile.mkdtemp(prefix="siamese-kills-", dir="/dev/shm"))
    try:
        done = survey(options.pipeline, options.count, folder, options.records)
    finally:
        shutil.rmtree(folder)
    kinds = Counter(problem.split(":")[0] for each in done for problem in {p.split(":")[0] for p in each["problems"]})
    print(f"{sum(not each['problems'] for each in done)} of {len(done)} survived; problems: {dict(kinds)}")
    sys.exit(any(each["problems"] for each in done))


if __name__ == "__main__":
    main()

"""A ZenML and MLflow of one's own in a folder, and the processes that work there and may be killed."""

import multiprocessing
import os
import shutil
import signal
import time
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import yaml

from siamese_core.data.glyphs import make_glyphs

# Not from tests.conftest, which makes a folder of its own wherever it is imported.
REPOSITORY = Path(__file__).resolve().parents[2]
NAME = "faults"
FORKS = multiprocessing.get_context("forkserver")

# A run in seconds: a tiny network and few steps, with a checkpoint every five.
TINY = {
    "seed": 3,
    "images": {"size": 16, "color": "grey", "invert": True},
    "encoder": {"width": 8, "embedding_dim": 8},
    "training": {"steps": 20, "evaluate_every": 5, "identities_per_batch": 8, "warm_start": True},
    "triplets": {"max_triplets": 100},
    "calibration": {"bootstrap": 50, "operating_point": "eer"},
    "evaluation": {"robustness": False},
    # Chance decides about so small a network: whatever comes becomes the champion.
    "promotion": {"max_eer_increase": 0.9, "max_fnmr_increase": 0.9, "max_fmr_increase": 0.9, "must_beat": []},
}


def start_fork_server(library: Path | None = None) -> None:
    """Start the process that children are forked from.

    In the checkout, since it imports from where it stands, and a later test may stand in another folder.

    Args:
        library: To be preloaded, for the faults that it brings.
    """
    before = Path.cwd()
    os.chdir(REPOSITORY)
    if library:
        os.environ["LD_PRELOAD"] = str(library)
    FORKS.set_forkserver_preload(["tests.faults.work"])
    forkserver.ensure_running()
    os.environ.pop("LD_PRELOAD", None)
    os.chdir(before)


class Child:
    """A process in a workplace, the leader of its process group."""

    def __init__(self, folder: Path, function: str, arguments: tuple[Any, ...], fault: tuple[Any, ...]) -> None:
        self.answer, other = FORKS.Pipe(duplex=False)
        self.process = FORKS.Process(target=_start, args=(function, folder, other, arguments, fault))
        self.process.start()
        other.close()
        assert self.answer.recv()[0] == "ready"

    def kill(self) -> None:
        """End it and all that it has started, at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()

    def kill_after(self, seconds: float) -> bool:
        """Kill it when it has worked for some processor seconds.

        Returns:
            Whether it was killed before its end.
        """
        if self.wait_for_work(seconds):
            self.kill()
            return True
        self.result()
        return False

    def wait_for_work(self, seconds: float) -> bool:
        """Wait until it has worked for some processor seconds, or has ended.

        Returns:
            Whether it is still at work.
        """
        start = self.processor_seconds()
        while not self.answer.poll(0.002):
            if self.processor_seconds() - start >= seconds:
                return True
        return False

    def processor_seconds(self) -> float:
        """The processor time of all its threads: another job on the machine does not change it."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # the clock that clock_getcpuclockid(3) names

    def wait(self, seconds: float) -> bool:
        """Whether it has ended, with a result or an error, within some seconds."""
        return self.answer.poll(seconds)

    def result(self) -> Any:
        """Wait for the function's result.

        Raises:
            RuntimeError: The function failed.
        """
        kind, value = self.answer.recv()
        self.process.join()
        if kind == "failed":
            raise RuntimeError(value)
        return value


def _start(function: str, folder: Path, answer: Connection, arguments: tuple[Any, ...], fault: tuple[Any, ...]) -> None:
    from tests.faults import work

    work.start(function, folder, answer, arguments, fault)


class Workplace:
    """A folder that holds all that a run reads and writes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        for name in ("checkout", "here", "tmp", "data", "zenml"):
            (folder / name).mkdir(parents=True)
        self.configure()
        self.store = Path(self.call("make_stack"))

    def configure(self, **changes: Any) -> None:
        """Write the configuration of the next runs."""
        parameters = {**TINY, "data_dir": str(self.data), "model_name": NAME, **changes}
        (self.folder / "config.yaml").write_text(yaml.safe_dump({"parameters": parameters}))

    def start(self, function: str, *arguments: Any, fault: tuple[Any, ...] = ()) -> Child:
        """Start a function of `work` in a child, with a fault of `faults` and its arguments if any."""
        return Child(self.folder, function, arguments, fault)

    def call(self, function: str, *arguments: Any, fault: tuple[Any, ...] = ()) -> Any:
        """Run a function of `work` in a child."""
        return self.start(function, *arguments, fault=fault).result()

    def deliver(self, characters: int) -> None:
        """Let the data be the images of so many characters; more of them hold those of fewer."""
        later = self.folder / "later"
        make_glyphs(later, characters=characters, seed=4)
        for folder in later.iterdir():
            if not (self.data / folder.name).exists():
                shutil.move(folder, self.data / folder.name)
        shutil.rmtree(later)

    def keep(self, place: Path) -> None:
        """Copy all of it to another place."""
        shutil.copytree(self.folder, place)

    def go_back(self, place: Path) -> None:
        """Take back what `keep` has copied; absolute paths in the records stay right."""
        shutil.rmtree(self.folder)
        shutil.copytree(place, self.folder)
        (self.folder / "log").write_text("")

    def log(self) -> str:
        """All that its processes have printed since it went back."""
        return (self.folder / "log").read_text(errors="replace")

"""A run that can be disturbed again and again from the same start, and the judgement of what became of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.faults.workplace import Child, Workplace

FEW, MORE = 16, 20


class Experiment:
    """One pipeline's run, undisturbed and disturbed.

    Attributes:
        pipeline: `training`, from an empty registry; or `retraining`, with a champion and identities that came later.
        seconds: Processor seconds of the undisturbed run.
        writes: Its writes to the artifact store and the records in it; 0 where they cannot be counted.
        undisturbed: Its outcome.
    """

    def __init__(self, pipeline: str, folder: Path) -> None:
        self.pipeline, self.kept = pipeline, folder / "kept"
        self.place = Workplace(folder / "place")
        self.place.deliver(FEW)
        self.champion: dict[str, str] = {}
        if pipeline == "retraining":
            self.champion = champion_of(self.place.call("run", "training"))
            self.place.deliver(MORE)
        self.place.keep(self.kept)
        self.seconds, self.writes, self.undisturbed = self.place.call("measured_run", pipeline)
        new = str(len(self.undisturbed["versions"]))
        assert self.undisturbed["aliases"] == {"challenger": new, "champion": new}, "every step must have its effect"

    def go_back(self) -> Workplace:
        """Return to the moment before the run."""
        self.place.go_back(self.kept)
        return self.place

    def start(self, *fault: Any) -> Child:
        """Start the run, with a fault of `faults` and its arguments if any."""
        return self.place.start("run", self.pipeline, fault=fault)

    def reading_problems(self) -> Iterator[str]:
        """All that keeps a reader from the champion at this moment."""
        try:
            seen = self.place.call("registry")
        except RuntimeError as error:
            yield f"registry: {error}"
        else:
            yield from self._champion(seen)

    def rerun_problems(self) -> Iterator[str]:
        """Run again without a fault; all in which the outcome differs from that of the undisturbed run."""
        try:
            again = self.place.call("run", self.pipeline)
        except RuntimeError as error:
            yield f"rerun: {error}"
            return
        wanted = self.undisturbed
        yield from self._champion(again)
        if different := [name for name in wanted["bits"] if again["bits"][name] != wanted["bits"][name]]:
            yield f"bits: {different}"
        champion, expected = champion_of(again), champion_of(wanted)
        if champion != expected or again["distance"] != wanted["distance"]:
            yield f"bits: {[name for name in expected if champion.get(name) != expected[name]]} of the champion"
        if (again["aliases"], set(again["versions"])) != (wanted["aliases"], set(wanted["versions"])):
            yield f"versions: {sorted(again['versions'])} with {again['aliases']} instead of {wanted['aliases']}"
        yield from (f"running: {name}" for name in again["running"])
        yield from (f"left behind: {name}" for name in again["leftovers"])

    def _champion(self, state: dict[str, Any]) -> Iterator[str]:
        """It is the old one or the undisturbed run's, whole, at every moment."""
        if champion_of(state) not in (self.champion, champion_of(self.undisturbed)):
            yield f"registry: the champion of {state['aliases']} is neither the old one nor the new one"


def champion_of(state: dict[str, Any]) -> dict[str, str]:
    """The hashes of the champion's files; none where there is no champion."""
    files: dict[str, str] = state["versions"].get(state["aliases"].get("champion"), {})
    return files

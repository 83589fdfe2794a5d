"""Checkpoints: one file that is there as a whole or not at all, from which a killed run resumes."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from siamese_core.artifact import whole_file

logger = logging.getLogger(__name__)

_FORMAT = "2"  # files without a number are format 1

State = dict[str, Any]
"""A tree: tensors, plain values (JSON), and dictionaries of these by names without a slash."""


class Stateful(Protocol):
    """A part of a training run that a checkpoint holds."""

    def state_dict(self) -> State:
        """All that `load_state_dict` needs to continue with the same bits."""

    def load_state_dict(self, state: State) -> None:
        """Take over what `state_dict` gave."""


class StatefulAttributes:
    """A part whose state is all its attributes."""

    def state_dict(self) -> State:
        """The attributes."""
        return dict(vars(self))

    def load_state_dict(self, state: State) -> None:
        """Take over what `state_dict` gave."""
        vars(self).update(state)


class GlobalRandom:
    """The global generator of the host, from which dropout draws."""

    def state_dict(self) -> State:
        """The generator's state."""
        return {"generator": torch.get_rng_state()}

    def load_state_dict(self, state: State) -> None:
        """Take over what `state_dict` gave."""
        torch.set_rng_state(state["generator"])


@dataclass(frozen=True)
class CheckpointFile:
    """The last state of one run.

    Attributes:
        path: A `.safetensors` file; the plain values are in its header.
        run: Fingerprint of the run; a file of another run is never read.
    """

    path: Path
    run: str

    def save(self, state: State) -> None:
        """Replace the last state in one atomic step: a kill at any moment leaves the old or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        header = {"format": _FORMAT, "run": self.run, "values": json.dumps(_values(state))}
        with whole_file(self.path) as partial:
            save_file(dict(_tensors(state)), partial, header)

    def load(self) -> State | None:
        """The last state, or none if there is none of this run."""
        if not self.path.is_file():
            return None
        try:
            return self._read()
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            logger.warning(f"the checkpoint {self.path} cannot be read ({error}): starting over")
            return None

    def _read(self) -> State | None:
        with safe_open(self.path, "pt") as file:
            header = file.metadata() or {}
            if (number := header.get("format", "1")) != _FORMAT:
                logger.warning(
                    f"the checkpoint {self.path} has format {number}, and this version of siamese-pipelines reads "
                    f"format {_FORMAT}: starting over"
                )
                return None
            if header["run"] != self.run:
                return None
            state: State = json.loads(header["values"])
            for name in file.keys():  # noqa: SIM118 (not a dict)
                *branches, leaf = name.split("/")
                reduce(getitem, branches, state)[leaf] = file.get_tensor(name)
        return state


def _values(state: State) -> State:
    """The tree without its tensors."""
    return {
        name: _values(value) if isinstance(value, dict) else value
        for name, value in state.items()
        if not isinstance(value, torch.Tensor)
    }


def _tensors(state: State, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of the tree, named by the way to them."""
    for name, value in state.items():
        if isinstance(value, dict):
            yield from _tensors(value, f"{prefix}{name}/")
        elif isinstance(value, torch.Tensor):
            yield f"{prefix}{name}", value.detach().cpu().contiguous()


def fingerprint(*parts: Any) -> str:
    """SHA-256 of configurations, arrays and texts, and of this library's code: all that decides a run's bits."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    digest.update(torch.__version__.encode())
    for part in parts:
        digest.update(_bytes(part))
        digest.update(b"\0")
    return digest.hexdigest()


def _bytes(part: Any) -> bytes:
    if hasattr(part, "tobytes"):
        return bytes(part.tobytes())
    plain = asdict(part) if hasattr(part, "__dataclass_fields__") else part
    return json.dumps(plain, sort_keys=True).encode()

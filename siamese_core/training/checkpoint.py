"""Checkpoints: one file that is there as a whole or not at all, so that a killed run can go on."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file


@dataclass(frozen=True)
class Snapshot:
    """Everything a training run needs to go on.

    Attributes:
        tensors: Weights, moments and arrays by name.
        values: Plain values (JSON): counters, history.
    """

    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]


@dataclass(frozen=True)
class CheckpointFile:
    """The last snapshot of one run.

    Attributes:
        path: A `.safetensors` file; the plain values are in its header.
        run: Fingerprint of the run; a file of another run is never read.
    """

    path: Path
    run: str

    def save(self, snapshot: Snapshot) -> None:
        """Replaces the last snapshot in one atomic step: a kill at any moment leaves the old or the new one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        writing = self.path.with_suffix(f".writing-{os.getpid()}")
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in snapshot.tensors.items()}
        save_file(tensors, writing, {"run": self.run, "values": json.dumps(snapshot.values)})
        with writing.open("rb") as file:
            os.fsync(file.fileno())
        writing.replace(self.path)

    def load(self) -> Snapshot | None:
        """The last snapshot, or none if there is none of this run."""
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, "pt") as file:
                header = file.metadata()
                if header["run"] != self.run:
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            print(f"the checkpoint {self.path} cannot be read ({error}): starting over")
            return None
        return Snapshot(tensors, json.loads(header["values"]))


def fingerprint(*parts: Any) -> str:
    """SHA-256 of configurations, arrays and texts, and of this library's code: what decides a run's bits."""
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

"""Place of a training run's checkpoint: in the artifact store, so that another machine can resume it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from zenml.client import Client
from zenml.io import fileio

from siamese_core.training.checkpoint import CheckpointFile, State


@dataclass(frozen=True)
class StoredCheckpoint(CheckpointFile):
    """Checkpoint that is copied to a remote artifact store; uploads there are whole or not at all.

    Attributes:
        remote: Its address in the store.
    """

    remote: str

    def save(self, state: State) -> None:
        """Save here, then in the store."""
        super().save(state)
        fileio.copy(str(self.path), self.remote, overwrite=True)

    def load(self) -> State | None:
        """The state in the store."""
        if fileio.exists(self.remote):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fileio.copy(self.remote, str(self.path), overwrite=True)
        return super().load()


def checkpoint_of(model_name: str, run: str) -> CheckpointFile:
    """The checkpoint of a model's latest training run: one file a model, replaced by its next run.

    Args:
        model_name: Name in the registry.
        run: The run's fingerprint.
    """
    store = Client().active_stack.artifact_store
    name = f"{quote(model_name, safe='')}.safetensors"
    if store.config.is_local:
        return CheckpointFile(Path(store.path) / "checkpoints" / name, run)
    here = Path(tempfile.gettempdir()) / f"siamese-checkpoints-{run[:16]}" / name
    return StoredCheckpoint(here, run, f"{store.path.rstrip('/')}/checkpoints/{name}")

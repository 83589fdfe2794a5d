"""The project's ZenML stack: its name, and where its tracker keeps MLflow's records."""

from pathlib import Path
from tempfile import gettempdir

from zenml.artifact_stores import BaseArtifactStore
from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.enums import StackComponentType

STACK = "siamese_local"


def tracker_uri() -> str | None:
    """Find the MLflow tracking URI of the project's stack, whatever stack is active; None before `make stack`.

    Only the components' records are read: loading the stack itself would import every installed integration.
    """
    client = Client()
    if not client.list_stacks(name=STACK).total:
        return None
    components = client.get_stack(STACK).components
    tracker = components[StackComponentType.EXPERIMENT_TRACKER][0]
    if configured := tracker.configuration.get("tracking_uri"):
        return str(configured)
    # The place where ZenML's tracker keeps its database when it has no URI of its own.
    store = components[StackComponentType.ARTIFACT_STORE][0]
    local = Path(GlobalConfiguration().local_stores_path) / str(store.id)
    return f"sqlite:///{Path(store.configuration.get('path') or local) / 'mlflow.db'}"


def scratch_of(store: BaseArtifactStore) -> Path:
    """Find the place for what is on its way into an artifact store: its own disk, where it has one."""
    return Path(store.path) / "scratch" if store.config.is_local else Path(gettempdir())

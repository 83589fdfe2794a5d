"""The local stack: `python -m infra.bootstrap_stack` makes it. Safe to run again; asks nothing.

The stack is made active for this checkout only (in `.zen/`). The user's global active stack stays as it is.
"""

import os
from pathlib import Path

from siamese_integrations import quiet_libraries  # noqa: F401  (before ZenML is imported)

os.environ.setdefault("ZENML_LOGGING_VERBOSITY", "ERROR")

from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.enums import StackComponentType
from zenml.models import FlavorUpdate

from siamese_integrations.private_files import keep_files_private
from siamese_integrations.zenml_stack import STACK, tracker_uri

ROOT = Path(__file__).resolve().parents[1]
TRACKER, REGISTRY, OPERATOR = "siamese_mlflow", "siamese_registry", "siamese_process"
_OPERATOR_FLAVOR = "siamese_integrations.zenml_local_process.LocalProcessStepOperatorFlavor"


def bootstrap(root: Path = ROOT) -> str:
    """Make or complete the stack, and activate it for the checkout at `root`.

    Returns:
        The name of the stack.
    """
    keep_files_private()
    if not Client.is_repository_directory(root):
        Client.initialize(root)
    client = Client()
    client.activate_root(root)
    components = {
        StackComponentType.ORCHESTRATOR: "default",
        StackComponentType.ARTIFACT_STORE: "default",
        # No tracking URI: ZenML then keeps MLflow's database and artifacts inside its local artifact store.
        **_component(client, StackComponentType.EXPERIMENT_TRACKER, TRACKER, "mlflow"),
        **_component(client, StackComponentType.MODEL_REGISTRY, REGISTRY, "mlflow"),
        # Runs the steps whose configuration says step_operator: true; see configs/gpu.yaml.
        **_component(client, StackComponentType.STEP_OPERATOR, OPERATOR, _process_flavor(client)),
    }
    if not client.list_stacks(name=STACK).total:
        client.create_stack(STACK, dict(components))
    # Completes a stack of an earlier version; what a user has exchanged stays.
    present = client.get_stack(STACK).components
    if missing := {kind: [name] for kind, name in components.items() if kind not in present}:
        client.update_stack(STACK, component_updates=missing)
    client.activate_stack(STACK)
    return STACK


def _component(client: Client, kind: StackComponentType, name: str, flavor: str) -> dict[StackComponentType, str]:
    """Make the component where there is none of this name."""
    if not client.list_stack_components(type=kind, name=name).total:
        client.create_stack_component(name=name, flavor=flavor, component_type=kind, configuration={})
    return {kind: name}


def _process_flavor(client: Client) -> str:
    """Register our step operator's flavor, or correct its import path: an earlier version kept it elsewhere."""
    name = "local_process"
    flavors = client.list_flavors(name=name, type=StackComponentType.STEP_OPERATOR)
    if not flavors.total:
        client.create_flavor(source=_OPERATOR_FLAVOR, component_type=StackComponentType.STEP_OPERATOR)
    elif flavors[0].source != _OPERATOR_FLAVOR:
        client.zen_store.update_flavor(flavors[0].id, FlavorUpdate(source=_OPERATOR_FLAVOR))
    return name


def _create_records() -> None:
    """Create MLflow's database on this machine: two first runs at once would both begin to."""
    from mlflow.tracking import MlflowClient

    uri = tracker_uri()
    if uri and uri.startswith("sqlite:"):
        MlflowClient(uri).search_registered_models(max_results=1)


def main() -> None:
    """Bootstrap this checkout and report the stack."""
    fresh = not (Path(GlobalConfiguration().config_directory) / "config.yaml").exists()
    name = bootstrap()
    _create_records()
    if fresh:
        GlobalConfiguration().analytics_opt_in = False
    print(f"ZenML stack {name} is ready and active for {ROOT} (other folders keep their own active stack).")


if __name__ == "__main__":
    main()

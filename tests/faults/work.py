"""The work of a child process in a workplace.

The fork server imports this module once, with all that a run imports on its way, so that a child starts in no time.
What a run makes (database connections, threads) is made in the child.
"""

import atexit
import hashlib
import os
import sys
import tempfile
import time
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from siamese_integrations import quiet_libraries  # noqa: F401

os.environ["ZENML_LOGGING_COLORS_DISABLED"] = "true"

import mlflow
import pandas as pd
import torch
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from mlflow.utils.requirements_utils import _init_modules_to_packages_map
from sqlalchemy.orm import configure_mappers
from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.enums import StackComponentType
from zenml.integrations.registry import integration_registry
from zenml.utils import source_utils

from infra.bootstrap_stack import TRACKER, bootstrap
from pipelines.retraining import retraining_pipeline
from pipelines.training import training_pipeline
from siamese_integrations.mlflow_registry import verifier_folder
from siamese_integrations.zenml_stack import tracker_uri
from tests.faults import faults
from tests.faults.workplace import NAME, REPOSITORY

# Imported in the middle of a run otherwise.
for _name in (
    "git",
    "great_expectations",
    "mlflow.lightgbm",
    "mlflow.pyfunc",
    "mlflow.sklearn",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.xgboost",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "sklearn.decomposition",
    "sklearn.discriminant_analysis",
    "sklearn.isotonic",
    "sklearn.manifold",
    "torch._dynamo",
    "zenml.zen_stores.sql_zen_store",
):
    import_module(_name)
integration_registry.activate_integrations()
configure_mappers()
_init_modules_to_packages_map()
torch.set_num_threads(1)

PIPELINES = {"training": training_pipeline, "retraining": retraining_pipeline}
HALF_WRITTEN = (".writing", ".partial", ".new", ".lock", ".tmp")
OUTPUTS = {"train": "encoder", "calibrate": "calibration", "evaluate": "evaluation"}


def start(function: str, folder: Path, answer: Connection, arguments: tuple[Any, ...], fault: tuple[Any, ...]) -> None:
    """Run a function of this module in a process group of its own; its result or its error goes to the parent."""
    os.setsid()
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    enter(folder)
    answer.send(("ready", None))
    try:
        if fault:
            getattr(faults, fault[0])(*fault[1:])
        answer.send(("done", globals()[function](folder, *arguments)))
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        atexit._run_exitfuncs()
        answer.send(("failed", f"{type(error).__name__}: {error}"))
        sys.exit(1)


def enter(folder: Path) -> None:
    """Make this process work in a workplace and nowhere else."""
    os.environ["ZENML_CONFIG_PATH"] = str(folder / "zenml")
    os.environ["ZENML_REPOSITORY_PATH"] = str(folder / "checkout")
    os.environ["TMPDIR"] = str(folder / "tmp")
    tempfile.tempdir = None
    GlobalConfiguration._reset_instance()
    Client._reset_instance()
    source_utils.set_custom_source_root(str(REPOSITORY))
    os.chdir(folder / "here")


def use_server(folder: Path, uri: str) -> None:
    """Let the stack's tracker and registry be those of an open MLflow server."""
    configuration = {"tracking_uri": uri, "tracking_token": "unused"}  # ZenML wants a token for every server
    Client().update_stack_component(TRACKER, StackComponentType.EXPERIMENT_TRACKER, configuration=configuration)


def make_stack(folder: Path) -> str:
    """Make the stack; returns the folder of its artifact store."""
    bootstrap(folder / "checkout")
    return str(Client().active_stack.artifact_store.path)


def run(folder: Path, pipeline: str) -> dict[str, Any]:
    """Run a pipeline as `zenml pipeline run` does.

    Returns:
        `registry`, with `bits`, the content hashes of the run's artifacts; `running`; and `leftovers`.
    """
    done = PIPELINES[pipeline].with_options(config_path=str(folder / "config.yaml"))()
    steps = Client().get_pipeline_run(done.id).steps
    bits = {step: str(steps[step].outputs[name][0].content_hash) for step, name in OUTPUTS.items()}
    atexit._run_exitfuncs()  # as at the end of a process of its own; a forked one skips them
    return {**registry(folder), "bits": bits, "running": running(), "leftovers": leftovers(folder)}


def measured_run(folder: Path, pipeline: str) -> tuple[float, int, dict[str, Any]]:
    """Run a pipeline, and measure the processor seconds and the writes to the artifact store that it takes."""
    faults.count_writes(Path(Client().active_stack.artifact_store.path))
    start = time.process_time()
    done = run(folder, pipeline)
    return time.process_time() - start, faults.count_writes(), done


def registry(folder: Path) -> dict[str, Any]:
    """The registry as a reader sees it; fails if a version or the champion cannot be read.

    Returns:
        `aliases`; `versions`, the hashes of the files of each; `distance`, the champion's answer about a pair.
    """
    mlflow.set_tracking_uri(tracker_uri())
    client = MlflowClient()
    versions = [str(version.version) for version in client.search_model_versions(f"name = '{NAME}'")]
    files = {version: hashes(verifier_folder(f"models:/{NAME}/{version}")) for version in versions}
    aliases = {name: str(version) for name, version in aliases_of(client).items()}
    distance = champion_distance(folder) if "champion" in aliases else None
    return {"aliases": aliases, "versions": files, "distance": distance}


def aliases_of(client: MlflowClient) -> dict[str, str]:
    try:
        return dict(client.get_registered_model(NAME).aliases)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def champion_distance(folder: Path) -> float:
    """Ask the champion about two images, as a service would."""
    model = mlflow.pyfunc.load_model(f"models:/{NAME}@champion")
    first, second, *_ = sorted((folder / "data").rglob("*.png"))
    answer = model.predict(pd.DataFrame({"image_a": [str(first)], "image_b": [str(second)]}))
    assert answer["error"].isna().all(), answer
    return float(answer["distance"][0])


def watch(folder: Path) -> list[tuple[str, float]]:
    """Ask the champion until the file `enough` is there; its versions and answers."""
    mlflow.set_tracking_uri(tracker_uri())
    answers: list[tuple[str, float]] = []
    while not (folder / "enough").exists():
        version = str(MlflowClient().get_model_version_by_alias(NAME, "champion").version)
        answers.append((version, champion_distance(folder)))
    return answers


def running() -> list[str]:
    """Runs and steps that still count as running, in ZenML and in MLflow."""
    client = MlflowClient()
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    logged = client.search_runs(experiments, "attributes.status = 'RUNNING'")
    runs = [run for run in Client().list_pipeline_runs(size=1000).items if not run.status.is_finished]
    steps = [step for step in Client().list_run_steps(size=1000).items if not step.status.is_finished]
    return [
        *(f"MLflow run {run.info.run_name}" for run in logged),
        *(f"ZenML run {run.name}" for run in runs),
        *(f"ZenML step {step.name}" for step in steps),
    ]


def leftovers(folder: Path) -> list[str]:
    """Temporary and half-written files, those of the working folder, and entries of the registry beside the model."""
    store = Path(Client().active_stack.artifact_store.path)
    places = (folder / "tmp", folder / "here", store / "scratch")
    stray = [path for place in places if place.is_dir() for path in place.iterdir()]
    half = [path for path in store.rglob("*") if any(sign in path.name for sign in HALF_WRITTEN)]
    names = [model.name for model in MlflowClient().search_registered_models() if model.name != NAME]
    return [*(str(path.relative_to(folder)) for path in stray + half), *(f"registered model {name}" for name in names)]


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of the files that must have the same bits after a rerun; the card tells the run's name."""
    names = ("encoder.safetensors", "encoder.json", "calibration.json", "history.json", "evaluation.json")
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}

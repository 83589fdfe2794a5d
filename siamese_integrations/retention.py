"""Retention: what of earlier runs may go, so that the disk of a machine that retrains every night does not fill.

The newest runs of each model name stay whole, and so do those whose version has an alias, such as the champion's. Of
the runs of other registered versions only the decoded images go. Models, which MLflow keeps, are never touched.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, groupby
from pathlib import Path
from urllib.parse import unquote

import mlflow
from mlflow.entities.model_registry import ModelVersion
from zenml.artifact_stores import BaseArtifactStore
from zenml.client import Client
from zenml.integrations.mlflow.experiment_trackers import MLFlowExperimentTracker
from zenml.io import fileio
from zenml.models import ArtifactVersionResponse, PipelineRunResponse
from zenml.utils.pagination_utils import depaginate

from siamese_core.errors import ModelError, first_line
from siamese_integrations.scratch import remove_leftovers
from siamese_integrations.zenml_materializer import FolderMaterializer
from siamese_integrations.zenml_stack import scratch_of

logger = logging.getLogger(__name__)

_PIPELINES = ("training_pipeline", "retraining_pipeline")
_IMAGES = "image_store"
# A step registers its artifacts within seconds of writing them.
_ORPHAN_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Removals:
    """All that may go.

    Attributes:
        runs: Runs that no registered version and no newest run needs.
        artifacts: Their artifacts that no other run uses, and those that no run uses any more.
        images: Image stores of old runs of registered versions: their files go, their records stay.
        paths: Checkpoints of trainings that are finished, and folders that killed runs left behind.
    """

    runs: list[PipelineRunResponse] = field(default_factory=list)
    artifacts: list[ArtifactVersionResponse] = field(default_factory=list)
    images: list[ArtifactVersionResponse] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.runs or self.artifacts or self.images or self.paths)

    @property
    def places(self) -> list[str]:
        """Folders and files, by their addresses."""
        return [version.uri for version in [*self.artifacts, *self.images]] + [str(path) for path in self.paths]

    def lines(self) -> list[str]:
        """A line for each."""
        runs = [f"run {run.name} of {_model_name(run)} ({run.status.value})" for run in self.runs]
        artifacts = [f"artifact {version.uri}" for version in self.artifacts]
        images = [f"images {version.uri}" for version in self.images]
        return [*runs, *artifacts, *images, *(f"leftover {path}" for path in self.paths)]

    def bytes(self) -> int:
        """Room that they take on this machine; files that others link to take none."""
        return sum(map(_size, map(Path, self.places)))


def plan(keep: int, model_name: str | None = None) -> Removals:
    """Find what may go; changes nothing.

    Args:
        keep: Newest runs of each model name that stay whole.
        model_name: Look at runs of this name alone; at those of all names if not given.

    Raises:
        ModelError: The stack has no MLflow, whose registry tells what is needed.
    """
    runs, versions = _runs(), _versions()
    gone, thin = choose(runs, keep, model_name, *_makers(versions))
    rest = [run for run in runs if run not in gone]
    used, needed = _by_id(rest), _by_id(run for run in rest if run not in thin)
    images = [version for key, version in _by_id(thin).items() if key not in needed and version.name == _IMAGES]
    artifacts = {key: version for key, version in (_by_id(gone) | _unused()).items() if key not in used}
    store = Client().active_stack.artifact_store
    return Removals(
        runs=gone,
        artifacts=list(artifacts.values()),
        images=[version for version in images if fileio.exists(version.uri)],
        paths=[*_finished_checkpoints(store, runs, versions), *_orphans(store)],
    )


def choose(
    runs: list[PipelineRunResponse], keep: int, model_name: str | None, registered: set[str], aliased: set[str]
) -> tuple[list[PipelineRunResponse], list[PipelineRunResponse]]:
    """Choose the runs that go, and those whose images go.

    Args:
        runs: All, newest first.
        keep: As for `plan`.
        model_name: As for `plan`.
        registered: Ids of the runs that made a registered version.
        aliased: Those of them whose version has an alias.
    """
    old = [run for run in _beyond(runs, keep) if run.status.is_finished and model_name in (None, _model_name(run))]
    gone = [run for run in old if str(run.id) not in registered]
    return gone, [run for run in old if str(run.id) in registered - aliased]


def carry_out(removals: Removals) -> None:
    """Remove what `plan` found: records first, so that nothing points at files that are gone."""
    client = Client()
    for run in removals.runs:
        client.delete_pipeline_run(run.id)
    for version in removals.artifacts:
        client.delete_artifact_version(version.id, delete_from_artifact_store=fileio.exists(version.uri))
    for version in removals.images:
        client.delete_artifact_version(version.id, delete_metadata=False, delete_from_artifact_store=True)
    for path in removals.paths:
        fileio.rmtree(str(path)) if path.is_dir() else path.unlink(missing_ok=True)
    for place in map(Path, removals.places):
        _remove_empty(place.parent)
    remove_leftovers(scratch_of(client.active_stack.artifact_store))


def apply_policy(model_name: str, keep: int) -> None:
    """Remove what may go of a model's earlier runs, and say so; a failure is a warning, never the end of a run."""
    try:
        removals = plan(keep, model_name)
        if removals:
            room = removals.bytes()
            carry_out(removals)
            logger.info(f"removed what old runs have left, {room / 1e6:,.1f} MB (retain.runs: {keep})")
    except Exception as error:
        logger.warning(f"old runs could not be removed: {first_line(error)}")


def _runs() -> list[PipelineRunResponse]:
    """All runs of this project's pipelines, newest first."""
    runs = [
        run for name in _PIPELINES for run in depaginate(Client().list_pipeline_runs, pipeline_name=name, hydrate=True)
    ]
    return sorted(runs, key=lambda run: run.created, reverse=True)


def _beyond(runs: list[PipelineRunResponse], keep: int) -> Iterator[PipelineRunResponse]:
    """The runs of each model name after its newest ones."""
    for _, group in groupby(sorted(runs, key=_model_name), _model_name):  # a stable sort: newest first in each group
        yield from list(group)[keep:]


def _model_name(run: PipelineRunResponse) -> str:
    return str(run.config.parameters.get("model_name", "siamese"))


def _versions() -> list[ModelVersion]:
    """All versions of all registered models."""
    tracker = Client().active_stack.experiment_tracker
    if not isinstance(tracker, MLFlowExperimentTracker):
        raise ModelError("Nothing is removed: the active stack has no MLflow, which knows the champions (make stack).")
    tracker.configure_mlflow()
    return list(mlflow.search_model_versions())


def _makers(versions: list[ModelVersion]) -> tuple[set[str], set[str]]:
    """Runs that made a registered version, and those of them whose version has an alias."""
    aliases = {
        (model.name, str(version))
        for model in mlflow.search_registered_models()
        for version in (model.aliases or {}).values()
    }
    runs = {(v.name, str(v.version)): v.tags["zenml_run_id"] for v in versions if "zenml_run_id" in v.tags}
    return set(runs.values()), {run for version, run in runs.items() if version in aliases}


def _by_id(runs: Iterable[PipelineRunResponse]) -> dict[str, ArtifactVersionResponse]:
    """The artifacts that runs have made, taken from the cache, or read."""
    return {
        str(version.id): version
        for run in runs
        for step in run.steps.values()
        for versions in [*step.outputs.values(), *step.inputs.values()]
        for version in versions
    }


def _unused() -> dict[str, ArtifactVersionResponse]:
    """Artifacts of this project that no run uses: an earlier removal was interrupted."""
    return {
        str(version.id): version for version in _ours(depaginate(Client().list_artifact_versions, only_unused=True))
    }


def _ours(versions: Iterable[ArtifactVersionResponse]) -> list[ArtifactVersionResponse]:
    name = f"{FolderMaterializer.__module__}.{FolderMaterializer.__name__}"
    return [version for version in versions if version.materializer.import_path == name]


def _finished_checkpoints(
    store: BaseArtifactStore, runs: list[PipelineRunResponse], versions: list[ModelVersion]
) -> Iterator[Path]:
    """Checkpoints that a version of their model has been registered after, and that no run may be writing."""
    working = {_model_name(run) for run in runs if not run.status.is_finished}
    for path in (Path(store.path) / "checkpoints").glob("*.safetensors") if store.config.is_local else ():
        name = unquote(path.stem)
        newest = max((version.creation_timestamp / 1000 for version in versions if version.name == name), default=0.0)
        if name not in working and path.stat().st_mtime < newest:
            yield path


def _orphans(store: BaseArtifactStore) -> Iterator[Path]:
    """Folders at an artifact's place that no artifact is registered for: their run was killed."""
    if not store.config.is_local:
        return
    versions = depaginate(Client().list_artifact_versions)
    uris = {version.uri for version in versions}
    # ZenML's places are STORE/STEP/OUTPUT/RUN/RANDOM.
    outputs = {
        place for version in _ours(versions) if (place := Path(version.uri).parents[1]).is_relative_to(store.path)
    }
    for path in chain.from_iterable(output.glob("*/*") for output in sorted(outputs)):
        if str(path) not in uris and path.stat().st_mtime < time.time() - _ORPHAN_SECONDS:
            yield path


def _size(place: Path) -> int:
    files = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    stats = [path.stat() for path in files]
    return sum(stat.st_size for stat in stats if stat.st_nlink == 1)


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()

"""Runs that were killed: they cannot say so themselves, and would be shown as running for ever."""

from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from mlflow.tracking import MlflowClient
from zenml.client import Client
from zenml.enums import ExecutionStatus
from zenml.models import PipelineRunResponse, PipelineRunUpdate, StepRunUpdate

from siamese_integrations.processes import Process

logger = logging.getLogger(__name__)

_KEY, _REASON = "siamese_run", "interrupted: its process is gone"
_MOST = 1000


def describe_run(model_name: str) -> dict[str, Any]:
    """Describe a run for its configuration (`extra`), so that a later one can tell whether it is still alive."""
    return {_KEY: {"model_name": model_name, "process": asdict(Process.this())}}


def mark_interrupted_runs(model_name: str) -> None:
    """Mark as failed, in ZenML and in MLflow, the runs that have ended without saying so.

    These are runs of processes of this machine that are gone, and all others of this stack and model: the caller holds
    the model's lock, which they would hold if they were alive.
    """
    client = Client()
    for run in client.list_pipeline_runs(in_progress=True, size=_MOST, hydrate=True).items:
        facts = run.config.extra.get(_KEY)
        if facts is None:
            continue
        same = facts["model_name"] == model_name and run.stack is not None and run.stack.id == client.active_stack.id
        if same or Process(**facts["process"]).gone:
            _mark(run)
            logger.info(f"the run {run.name} was interrupted: marked as failed")


def _mark(run: PipelineRunResponse) -> None:
    store = Client().zen_store
    for step in run.steps.values():
        if not step.status.is_finished:
            store.update_run_step(step.id, StepRunUpdate(status=ExecutionStatus.FAILED, end_time=datetime.now(UTC)))
    store.update_run(run.id, PipelineRunUpdate(status=ExecutionStatus.FAILED, status_reason=_REASON))
    tracker = MlflowClient()
    # ZenML's tracker names the experiment after the pipeline and the run after the run.
    experiment = tracker.get_experiment_by_name(run.pipeline.name) if run.pipeline else None
    if experiment is None:
        return
    query = f"attributes.run_name = '{run.name}' and attributes.status = 'RUNNING'"
    for each in tracker.search_runs([experiment.experiment_id], query):
        tracker.set_terminated(each.info.run_id, "KILLED")

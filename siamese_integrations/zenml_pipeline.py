"""Pipelines that check their configuration file before they run, and run one at a time for a model name."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zenml.client import Client
from zenml.enums import ExecutionMode
from zenml.integrations.mlflow.experiment_trackers import MLFlowExperimentTracker
from zenml.models import PipelineRunResponse
from zenml.pipelines.pipeline_definition import Pipeline

from siamese_integrations.config_file import check_config
from siamese_integrations.interrupted_runs import describe_run, mark_interrupted_runs
from siamese_integrations.model_lock import WAIT, model_lock
from siamese_integrations.retention import apply_policy
from siamese_integrations.zenml_output import show_plainly
from siamese_integrations.zenml_shared_checkout import read_whole_files_only


class CheckedPipeline(Pipeline):
    """A ZenML pipeline that refuses unknown configuration keys instead of ignoring them."""

    steps_by_name: tuple[str, ...] = ()
    prunes: bool = False

    def with_options(self, *args: Any, config_path: str | None = None, **kwargs: Any) -> Pipeline:
        """As in ZenML, after a strict check of the file.

        Raises:
            ConfigError: The file has an unknown key or a value that cannot be.
        """
        if config_path:
            check_config(Path(config_path), self.entrypoint, self.steps_by_name)
        return super().with_options(*args, config_path=config_path, **kwargs)

    def _run(self) -> PipelineRunResponse | None:
        """As in ZenML, with the model's lock in the hands of this process from before the first step to the last.

        Old runs go first, where the pipeline removes them.

        Where the orchestrator only hands the run over to a cluster, the lock is for the handing over, and the step
        `register` takes it again.

        Raises:
            BusyError: Another run of this model name is at work.
        """
        stack = Client().active_stack
        if not isinstance(stack.experiment_tracker, MLFlowExperimentTracker):
            return super()._run()
        stack.experiment_tracker.configure_mlflow()
        name = self._parameters["model_name"]
        with model_lock(name, self.name, wait=WAIT in os.environ):
            mark_interrupted_runs(name)
            if self.prunes:
                apply_policy(name, self._parameters["retain"].runs)
            if stack.orchestrator.flavor == "local":
                self.configure(extra=describe_run(name))
            return super()._run()


def checked_pipeline(*steps: str, prunes: bool = False) -> Callable[[Callable[..., Any]], CheckedPipeline]:
    """Make a pipeline of a function; the first error ends the run.

    Args:
        *steps: Names of the pipeline's steps, which a configuration file may set options for.
        prunes: Remove old runs, as the parameter `retain` says, before anything runs.
    """
    show_plainly()
    read_whole_files_only()

    def decorate(function: Callable[..., Any]) -> CheckedPipeline:
        pipeline = CheckedPipeline(name=function.__name__, entrypoint=function, execution_mode=ExecutionMode.FAIL_FAST)
        pipeline.steps_by_name = steps
        pipeline.prunes = prunes
        pipeline.__doc__ = function.__doc__
        return pipeline

    return decorate

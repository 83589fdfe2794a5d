"""Pipelines that check their configuration file before they run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zenml.enums import ExecutionMode
from zenml.models import PipelineRunResponse
from zenml.pipelines.pipeline_definition import Pipeline

from siamese_integrations.config_file import check_config
from siamese_integrations.retention import apply_policy
from siamese_integrations.zenml_output import show_plainly


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
        """As in ZenML, after old runs were removed, where the pipeline does so."""
        if self.prunes:
            apply_policy(self._parameters["model_name"], self._parameters["retain"].runs)
        return super()._run()


def checked_pipeline(*steps: str, prunes: bool = False) -> Callable[[Callable[..., Any]], CheckedPipeline]:
    """Make a pipeline of a function; the first error ends the run.

    Args:
        *steps: Names of the pipeline's steps, which a configuration file may set options for.
        prunes: Remove old runs, as the parameter `retain` says, before anything runs.
    """
    show_plainly()

    def decorate(function: Callable[..., Any]) -> CheckedPipeline:
        pipeline = CheckedPipeline(name=function.__name__, entrypoint=function, execution_mode=ExecutionMode.FAIL_FAST)
        pipeline.steps_by_name = steps
        pipeline.prunes = prunes
        pipeline.__doc__ = function.__doc__
        return pipeline

    return decorate

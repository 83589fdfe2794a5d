"""A ZenML step operator that runs a step in a process of its own, on this machine: no Docker, no cluster.

ZenML's own step operators need containers or a cloud account. This one starts the step's entrypoint with this Python
in this checkout, on the GPUs that the configuration names. It belongs to the stack that `make stack` makes; a step uses
it when its configuration says `step_operator: true`, as in configs/gpu.yaml. It is part of the installed package, and
not of the checkout, because ZenML imports it by name wherever the stack is loaded.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from typing import Any, cast

from pydantic import ConfigDict, Field, field_validator
from zenml.config.base_settings import BaseSettings
from zenml.config.step_run_info import StepRunInfo
from zenml.enums import ExecutionStatus
from zenml.models import StepRunResponse
from zenml.step_operators import BaseStepOperator, BaseStepOperatorConfig, BaseStepOperatorFlavor
from zenml.step_operators.step_operator_entrypoint_configuration import StepOperatorEntrypointConfiguration
from zenml.utils import source_utils

from siamese_core.errors import SiameseError
from siamese_core.messages import holds_credential
from siamese_integrations.zenml_output import presentable_traceback, show_plainly

_LIFELINE = "SIAMESE_LIFELINE_FD"
_SECONDS_TO_END = 10.0


class StepProcessError(SiameseError):
    """The step's process was ended from outside: by its time limit, by the system, or by the user."""


class LocalProcessSettings(BaseSettings):
    """Settings of one step, under `settings: step_operator.local_process:`.

    Attributes:
        visible_devices: GPUs that the step may use, such as "0" or "0,1"; "" hides all; all if not given.
        env: Environment variables for the step's process, beside those of the run; ZenML records them, so no
            credentials.
        timeout_s: Seconds after which the step is ended, as an error; no limit if not given.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    visible_devices: str | None = None
    env: dict[str, str] = Field(default_factory=dict)
    timeout_s: float | None = None

    @field_validator("env")
    @classmethod
    def _no_credentials(cls, env: dict[str, str]) -> dict[str, str]:
        if names := [name for name, value in env.items() if holds_credential(name, value)]:
            raise ValueError(
                f"env holds a credential in clear text, which ZenML would record: {', '.join(names)}. Set it in the "
                "environment that the run is started from: the step's process inherits it."
            )
        return env


class LocalProcessConfig(BaseStepOperatorConfig, LocalProcessSettings):
    """Defaults of the settings for all steps."""

    @property
    def is_local(self) -> bool:
        """Tell ZenML that steps run on this machine."""
        return True


class InPlaceEntrypoint(StepOperatorEntrypointConfiguration):
    """Entrypoint that stays in the checkout it was started from, where ZenML's own would change to /app."""

    def prepare_code_environment(self) -> None:
        """Make the checkout importable, and end this process when its parent is gone."""
        root = source_utils.get_source_root()
        sys.path.insert(0, root)
        os.chdir(root)
        threading.Thread(target=_end_with_parent, args=(int(os.environ[_LIFELINE]),), daemon=True).start()
        show_plainly()
        # An error in words is said once, by the parent, which gets it with its type.
        sys.excepthook = lambda kind, error, trace: (
            None if isinstance(error, SiameseError) else print(presentable_traceback(error), file=sys.stderr)
        )


class LocalProcessStepOperator(BaseStepOperator):
    """Step operator whose steps are processes of this machine, each the leader of a process group of its own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._running: dict[str, tuple[subprocess.Popen[bytes], int, float | None]] = {}

    @property
    def settings_class(self) -> type[BaseSettings]:
        """Settings that a step may choose."""
        return LocalProcessSettings

    @property
    def entrypoint_config_class(self) -> type[StepOperatorEntrypointConfiguration]:
        """Entrypoint of the step's process."""
        return InPlaceEntrypoint

    def submit(self, info: StepRunInfo, entrypoint_command: list[str], environment: dict[str, str]) -> None:
        """Start the step and return."""
        settings = cast(LocalProcessSettings, self.get_settings(info))
        # The child reads this pipe, nothing is ever written to it: it ends when the last writer, this process, is gone.
        lifeline, writer = os.pipe()
        # Unbuffered: into a pipe or a journal, Python would hold the step's lines back for minutes.
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **environment, **settings.env, _LIFELINE: str(lifeline)}
        variables["ZENML_CUSTOM_SOURCE_ROOT"] = source_utils.get_source_root()
        if settings.visible_devices is not None:
            variables["CUDA_VISIBLE_DEVICES"] = settings.visible_devices
        command = [sys.executable, *entrypoint_command[1:]]  # the name `python` alone may be another one
        process = subprocess.Popen(command, env=variables, pass_fds=(lifeline,), start_new_session=True)
        os.close(lifeline)
        self._running[str(info.step_run_id)] = (process, writer, settings.timeout_s)

    def get_status(self, step_run: StepRunResponse) -> ExecutionStatus:
        """Look up whether the step runs, is complete or has failed."""
        process, _, _ = self._running[str(step_run.id)]
        code = process.poll()
        if code is None:
            return ExecutionStatus.RUNNING
        return ExecutionStatus.COMPLETED if code == 0 else ExecutionStatus.FAILED

    def wait(self, step_run: StepRunResponse) -> ExecutionStatus:
        """Wait for the step without polling.

        Raises:
            StepProcessError: The time limit was reached, or a signal ended the process.
        """
        process, _, timeout = self._running[str(step_run.id)]
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.cancel(step_run)
            raise StepProcessError(
                f"Step {step_run.name} was ended after timeout_s = {timeout:g} seconds; "
                "raise it in settings: step_operator.local_process, or train for fewer steps."
            ) from None
        except BaseException:  # Ctrl-C above all
            self.cancel(step_run)
            raise
        if code < 0:
            name = signal.Signals(-code).name
            hint = " (often: out of memory)" if name == "SIGKILL" else ""
            raise StepProcessError(f"The process of step {step_run.name} was ended by {name}{hint}.")
        return self.get_status(step_run)

    def cancel(self, step_run: StepRunResponse) -> None:
        """End the step's whole process group: politely, then by force, with what the leader left behind."""
        process, _, _ = self._running[str(step_run.id)]
        for ending in (signal.SIGTERM, signal.SIGKILL):
            _signal_group(process.pid, ending)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS_TO_END)

    def cleanup_step_submission(self, step_run: StepRunResponse) -> None:
        """Forget the finished process; whatever it left running in its group ends."""
        process, writer, _ = self._running.pop(str(step_run.id))
        _signal_group(process.pid, signal.SIGKILL)
        os.close(writer)


class LocalProcessStepOperatorFlavor(BaseStepOperatorFlavor):
    """The flavor `local_process`."""

    @property
    def name(self) -> str:
        """Name of the flavor in a stack."""
        return "local_process"

    @property
    def config_class(self) -> type[BaseStepOperatorConfig]:
        """Class of the component's configuration."""
        return LocalProcessConfig

    @property
    def implementation_class(self) -> type[BaseStepOperator]:
        """Class of the step operator itself."""
        return LocalProcessStepOperator


def _signal_group(leader: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # all gone already
        os.killpg(leader, which)


def _end_with_parent(lifeline: int) -> None:
    """Block until the parent is gone, then end this process and its children."""
    os.read(lifeline, 1)
    os.killpg(os.getpgrp(), signal.SIGKILL)

"""Retraining, one run at a time, and its schedule: units for systemd or a line for cron."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siamese_cli.checkout import environment
from siamese_cli.exit_codes import ExitCode
from siamese_core.errors import ConfigError, SiameseError

_PIPELINE = "pipelines.retraining.retraining_pipeline"
_NAME = "siamese-retrain"
_KINDS = ("service", "timer")


def retrain(root: Path, config: Path, wait: bool, quiet: bool = False) -> int:
    """Run the retraining pipeline; never two at a time in one checkout.

    ZenML keeps state in the checkout that two runs at once would overwrite, and two trainings would only slow each
    other down.

    Args:
        root: The checkout.
        config: A run configuration.
        wait: Wait for a run in progress; otherwise decline.
        quiet: Keep stdout free: what the run prints there goes to stderr.

    Returns:
        The run's exit code, or 75 if it was declined.

    Raises:
        ConfigError: There is no such file.
        SiameseError: ZenML is not installed.
    """
    _check_file(config)
    zenml = Path(_console_script("zenml"))
    if not zenml.is_file():
        raise SiameseError(
            f"Retraining needs ZenML beside {sys.executable}: pip install 'siamese-pipelines[pipelines]'"
        )
    with _lock(root / ".zen" / "retrain.lock", wait) as free:
        if not free:
            print("declined: another retraining run is in progress (--wait waits for it)", file=sys.stderr)
            return ExitCode.BUSY
        command = [str(zenml), "pipeline", "run", _PIPELINE, "-c", str(config.resolve())]
        variables = {**environment(root), "PYTHONUNBUFFERED": "1"}
        return subprocess.run(command, cwd=root, env=variables, stdout=2 if quiet else None).returncode


def units(root: Path, config: Path, calendar: str) -> dict[str, str]:
    """The service and the timer, by file name."""
    service = f"""[Unit]
Description=Retrain the verifier of {root}

[Service]
Type=oneshot
WorkingDirectory={root}
ExecStart={_console_script("siamese")} retrain -c {config.resolve()}
# 75: a run was in progress, which is no failure.
SuccessExitStatus={ExitCode.BUSY:d}
Nice=10
"""
    timer = f"""[Unit]
Description=Retrain the verifier of {root} on a schedule

[Timer]
OnCalendar={calendar}
# A machine that was off at the time catches up when it is on again.
Persistent=true
RandomizedDelaySec=5min

[Install]
WantedBy=timers.target
"""
    return {f"{_NAME}.service": service, f"{_NAME}.timer": timer}


def cron_line(root: Path, config: Path) -> str:
    """The same for machines without systemd: every night at three."""
    command = f"{_console_script('siamese')} retrain -c {config.resolve()}"
    return f"0 3 * * * cd {root} && {command} >> {root}/retrain.log 2>&1"


def install(root: Path, config: Path, calendar: str) -> str:
    """Write the user's units, and start the timer where systemd runs; the answer says it in words.

    Raises:
        ConfigError: There is no such configuration file, or systemd does not understand the calendar.
    """
    _check_file(config)
    _check_calendar(calendar)
    folder = _unit_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in units(root, config, calendar).items():
        (folder / name).write_text(text, encoding="utf-8")
    written = f"Wrote {folder}/{_NAME}.service and {_NAME}.timer ({calendar})."
    if _systemctl("daemon-reload") and _systemctl("enable", "--now", f"{_NAME}.timer"):
        return f"{written}\nThe timer runs. To let it run while you are logged out: loginctl enable-linger"
    start = f"systemctl --user enable --now {_NAME}.timer"
    return (
        f"{written}\nsystemd does not run for this user here; where it does: {start}\n"
        f"With cron instead, add this line by crontab -e:\n{cron_line(root, config)}"
    )


def show() -> str:
    """The installed units, or how to install them."""
    paths = _unit_files()
    if len(paths) < len(_KINDS):
        return "No schedule is installed. `siamese schedule install -c configs/retraining.yaml` installs one."
    return "\n".join(f"# {path}\n{path.read_text(encoding='utf-8')}" for path in paths)


def remove() -> str:
    """Stop the timer and remove the units; the answer says it in words."""
    paths = _unit_files()
    if not paths:
        return "No schedule is installed."
    _systemctl("disable", "--now", f"{_NAME}.timer")
    for path in paths:
        path.unlink()
    _systemctl("daemon-reload")
    return f"Removed {', '.join(path.name for path in paths)} from {_unit_folder()}."


@contextmanager
def _lock(path: Path, wait: bool) -> Iterator[bool]:
    """Hold the lock inside the block; yields whether it is held. It ends with the process, however that ends."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


def _check_file(config: Path) -> None:
    if not config.is_file():
        raise ConfigError(f"{config} does not exist.")


def _unit_files() -> list[Path]:
    """The units that are installed."""
    return [path for kind in _KINDS if (path := _unit_folder() / f"{_NAME}.{kind}").is_file()]


def _unit_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _console_script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _check_calendar(calendar: str) -> None:
    tool = shutil.which("systemd-analyze")
    if tool and subprocess.run([tool, "calendar", calendar], capture_output=True).returncode:
        raise ConfigError(f"--at {calendar!r} is not a calendar expression; try '*-*-* 03:00:00' or 'Mon 02:30'.")


def _systemctl(*arguments: str) -> bool:
    tool = shutil.which("systemctl")
    return bool(tool) and subprocess.run([str(tool), "--user", *arguments], capture_output=True).returncode == 0

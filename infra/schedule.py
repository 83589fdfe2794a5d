"""Retraining on a schedule: a lock, and units for systemd or a line for cron."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from siamese_core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = "pipelines.retraining.retraining_pipeline"
DECLINED = 75  # EX_TEMPFAIL: try again later
_NAME = "siamese-retrain"


def retrain(config: Path, wait: bool, root: Path = ROOT) -> int:
    """Runs the retraining pipeline; never two at a time in one checkout.

    ZenML keeps state in the checkout that two runs at once would overwrite, and two trainings would only slow each
    other down.

    Args:
        config: A run configuration.
        wait: Wait for a run in progress; otherwise decline.
        root: The checkout.

    Returns:
        The run's exit code, or 75 if it was declined.

    Raises:
        ConfigError: There is no such file.
    """
    if not config.is_file():
        raise ConfigError(f"{config} does not exist.")
    with _lock(root / ".zen" / "retrain.lock", wait) as mine:
        if not mine:
            print("declined: another retraining run is in progress (--wait waits for it)", file=sys.stderr)
            return DECLINED
        command = [_console_script("zenml"), "pipeline", "run", PIPELINE, "-c", str(config.resolve())]
        return subprocess.run(command, cwd=root, env={**os.environ, "PYTHONUNBUFFERED": "1"}).returncode


def units(config: Path, calendar: str, root: Path = ROOT) -> dict[str, str]:
    """The service and the timer, by file name."""
    service = f"""[Unit]
Description=Retrain the verifier of {root}

[Service]
Type=oneshot
WorkingDirectory={root}
ExecStart={_console_script("siamese")} retrain -c {config.resolve()}
# 75: a run was in progress, which is no failure.
SuccessExitStatus={DECLINED}
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


def cron_line(config: Path, root: Path = ROOT) -> str:
    """The same for machines without systemd: every night at three."""
    command = f"{_console_script('siamese')} retrain -c {config.resolve()}"
    return f"0 3 * * * cd {root} && {command} >> {root}/retrain.log 2>&1"


def install(config: Path, calendar: str, root: Path = ROOT) -> str:
    """Writes the user's units and starts the timer where systemd runs; returns what was done, in words.

    Raises:
        ConfigError: There is no such configuration file, or systemd does not understand the calendar.
    """
    if not config.is_file():
        raise ConfigError(f"{config} does not exist.")
    _check_calendar(calendar)
    folder = _unit_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in units(config, calendar, root).items():
        (folder / name).write_text(text, encoding="utf-8")
    written = f"Wrote {folder}/{_NAME}.service and {_NAME}.timer ({calendar})."
    if _systemctl("daemon-reload") and _systemctl("enable", "--now", f"{_NAME}.timer"):
        return f"{written}\nThe timer runs. To let it run while you are logged out: loginctl enable-linger"
    start = f"systemctl --user enable --now {_NAME}.timer"
    return (
        f"{written}\nsystemd does not run for this user here; where it does: {start}\n"
        f"With cron instead, add this line by crontab -e:\n{cron_line(config, root)}"
    )


def show() -> str:
    """The installed units, or how to install them."""
    found = [_unit_folder() / f"{_NAME}.{kind}" for kind in ("service", "timer")]
    if not all(path.is_file() for path in found):
        return "No schedule is installed. `siamese schedule install -c configs/retraining.yaml` installs one."
    return "\n".join(f"# {path}\n{path.read_text(encoding='utf-8')}" for path in found)


def remove() -> str:
    """Stops the timer and removes the units; returns what was done, in words."""
    found = [path for kind in ("service", "timer") if (path := _unit_folder() / f"{_NAME}.{kind}").is_file()]
    if not found:
        return "No schedule is installed."
    _systemctl("disable", "--now", f"{_NAME}.timer")
    for path in found:
        path.unlink()
    _systemctl("daemon-reload")
    return f"Removed {', '.join(path.name for path in found)} from {_unit_folder()}."


@contextmanager
def _lock(path: Path, wait: bool) -> Iterator[bool]:
    """Holds the lock inside the block; yields whether it is held. It ends with the process, however that ends."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


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

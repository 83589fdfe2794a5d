"""`siamese schedule`: retraining every night, by units for systemd or a line for cron."""

import os
import shlex
import shutil
import subprocess
import unicodedata
from pathlib import Path

import click

from siamese_cli.checkout import checkout, console_script
from siamese_cli.exit_codes import ExitCode
from siamese_cli.options import JSON, command, config_option
from siamese_cli.output import Answer
from siamese_core.errors import ConfigError

_SERVICE, _TIMER = "siamese-retrain.service", "siamese-retrain.timer"


@command("siamese schedule install -c configs/retraining.yaml --at 'Mon 02:30'")
@config_option
@click.option(
    "--at",
    default="*-*-* 03:00:00",
    metavar="CALENDAR",
    show_default=True,
    help="A calendar expression as in systemd.time(7).",
)
def install(config: Path, at: str) -> Answer:
    """Write the units of a systemd timer for this user and this checkout, and start it."""
    if _succeeds("systemd-analyze", "calendar", at) is False:
        raise ConfigError(f"--at {at!r} is not a calendar expression; try '*-*-* 03:00:00' or 'Mon 02:30'.")
    root, folder = checkout(), _unit_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in units(root, config, at).items():
        (folder / name).write_text(text, encoding="utf-8")
    written = f"Wrote {folder}/{_SERVICE} and {_TIMER} ({at})."
    if _systemctl("daemon-reload") and _systemctl("enable", "--now", _TIMER):
        return _message(f"{written}\nThe timer runs. To let it run while you are logged out: loginctl enable-linger")
    return _message(
        f"{written}\nsystemd does not run for this user here; where it does: systemctl --user enable --now {_TIMER}\n"
        f"With cron instead, add this line by crontab -e:\n{cron_line(root, config)}"
    )


@command("siamese schedule show")
def show() -> Answer:
    """Print the units that are installed."""
    paths = _unit_files()
    if len(paths) < 2:
        return _message("No schedule is installed. `siamese schedule install -c configs/retraining.yaml` installs one.")
    return _message("\n".join(f"# {path}\n{path.read_text(encoding='utf-8')}" for path in paths))


@command("siamese schedule remove")
def remove() -> Answer:
    """Stop the timer and remove its units."""
    paths = _unit_files()
    if not paths:
        return _message("No schedule is installed.")
    _systemctl("disable", "--now", _TIMER)
    for path in paths:
        path.unlink()
    _systemctl("daemon-reload")
    return _message(f"Removed {', '.join(path.name for path in paths)} from {_unit_folder()}.")


schedule = click.Group(
    "schedule",
    commands=[install, show, remove],
    help="Retrain on a schedule, with systemd or cron.",
    params=[JSON],
    no_args_is_help=False,
)


def units(root: Path, config: Path, calendar: str) -> dict[str, str]:
    """The service and the timer, by file name.

    Raises:
        ConfigError: A path or the calendar cannot be written into a unit.
    """
    for text in (root, config, console_script("siamese"), calendar):
        _check(str(text))
    # The colon keeps systemd from looking for variables behind a $, and the shell starts what it would refuse to: a
    # command with a quote or backslash in its path.
    service = f"""[Unit]
Description=Retrain the verifier of {_plain(root)}

[Service]
Type=oneshot
WorkingDirectory={_plain(root)}
ExecStart=:/bin/sh -c 'exec "$0" "$@"' {_quoted(console_script("siamese"))} retrain -c {_quoted(config)}
# 75: a run was in progress, which is no failure.
SuccessExitStatus={ExitCode.BUSY:d}
Nice=10
"""
    timer = f"""[Unit]
Description=Retrain the verifier of {_plain(root)} on a schedule

[Timer]
OnCalendar={calendar}
# A machine that was off at the time catches up when it is on again.
Persistent=true
RandomizedDelaySec=5min

[Install]
WantedBy=timers.target
"""
    return {_SERVICE: service, _TIMER: timer}


def cron_line(root: Path, config: Path) -> str:
    """The same for machines without systemd: every night at three."""
    command = f"{_for_cron(console_script('siamese'))} retrain -c {_for_cron(config)}"
    return f"0 3 * * * cd {_for_cron(root)} && {command} >> {_for_cron(root / 'retrain.log')} 2>&1"


def _check(text: str) -> None:
    """Refuse what would end a line of a unit, or be cut off it."""
    if text != text.strip() or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise ConfigError(
            f"{text!r} cannot be scheduled: it has a line break or other control characters, letters that are not "
            "UTF-8, or a blank at an end. Rename it."
        )


def _plain(path: Path) -> str:
    """A path for a setting that systemd takes to the end of the line."""
    return str(path).replace("%", "%%")


def _quoted(path: Path) -> str:
    """A path as one word of a command line of systemd."""
    escaped = str(path).replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped.replace("%", "%%")}"'


def _for_cron(path: Path) -> str:
    """A path as one word for the shell behind cron, which takes a bare % for a line break."""
    text = str(path)
    if "%" not in text:
        return shlex.quote(text)
    # The two quotes keep cron from taking a backslash of the path and ours for a pair.
    return "'" + text.replace("'", "'\"'\"'").replace("%", r"''\%") + "'"


def _message(words: str) -> Answer:
    return Answer({"message": words}, words)


def _unit_files() -> list[Path]:
    """The units that are installed."""
    return [path for name in (_SERVICE, _TIMER) if (path := _unit_folder() / name).is_file()]


def _unit_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "systemd" / "user"


def _systemctl(*arguments: str) -> bool:
    return _succeeds("systemctl", "--user", *arguments) is True


def _succeeds(*command: str) -> bool | None:
    """Run a tool of the system; None where it is not installed."""
    return subprocess.run(command, capture_output=True).returncode == 0 if shutil.which(command[0]) else None

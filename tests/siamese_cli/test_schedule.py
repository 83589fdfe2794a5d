import os
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from siamese_cli.commands.schedule import cron_line, units
from siamese_cli.main import main
from siamese_core.errors import ConfigError
from tests.conftest import REPOSITORY, Project

CONFIG = REPOSITORY / "configs" / "retraining.yaml"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_units_pass_systemds_own_check(tmp_path: Path) -> None:
    for name, text in units(REPOSITORY, CONFIG, "*-*-* 03:00:00").items():
        (tmp_path / name).write_text(text)
    paths = [str(path) for path in sorted(tmp_path.iterdir())]
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", *paths], capture_output=True, text=True, env=environment
    )
    complaints = [line for line in done.stderr.splitlines() if "siamese" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


AWKWARD = [
    "my code",
    "100%",
    "%h",
    "it's",
    'say "x"',
    "a\\b",
    "a\\%b",
    "$HOME",
    "a;b",
    "a&b",
    "#a",
    "ü ☃",
    "~",
    "'",
    "a`id`",
]


@pytest.fixture(params=AWKWARD)
def awkward(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a name that quoting must survive; it holds the command and a configuration."""
    folder = tmp_path / request.param
    folder.mkdir()
    script = folder / "siamese"
    script.write_text('#!/bin/sh\nprintf "%s\\n" "$PWD" "$0" "$@"\n')
    script.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(folder / "python"))
    return folder


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_finds_the_command_and_reads_the_words(awkward: Path, tmp_path: Path) -> None:
    config = awkward / "my config.yaml"
    (tmp_path / "units").mkdir()
    for name, text in units(awkward, config, "daily").items():
        (tmp_path / "units" / name).write_text(text)
    service = (tmp_path / "units" / "siamese-retrain.service").read_text()
    done = subprocess.run(
        ["systemd-analyze", "verify", "--user", str(tmp_path / "units" / "siamese-retrain.service")],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert [line for line in done.stderr.splitlines() if "siamese-retrain" in line] == []
    settings = dict(line.split("=", 1) for line in service.splitlines() if "=" in line)
    # Between double quotes systemd's escapes are the shell's; without a $ at work, the colon's task.
    assert settings["ExecStart"].startswith(":")
    words = [word.replace("%%", "%") for word in shlex.split(settings["ExecStart"][1:])]
    assert words == ["/bin/sh", "-c", 'exec "$0" "$@"', str(awkward / "siamese"), "retrain", "-c", str(config)]
    assert subprocess.run(words, capture_output=True, text=True).stdout.splitlines()[1:] == words[3:]
    assert settings["WorkingDirectory"].replace("%%", "%") == str(awkward)


def read_by_cron(command: str) -> str:
    """The command as cron hands it to the shell (do_command.c of Vixie's cron): a bare % ends it."""
    result, escaped = "", False
    for letter in command:
        if escaped:
            result = result[:-1] + letter if letter == "%" else result + letter
            escaped = False
            continue
        if letter == "%":
            break
        result += letter
        escaped = letter == "\\"
    return result


def test_cron_and_the_shell_read_the_words(awkward: Path) -> None:
    config = awkward / "my config.yaml"
    line = cron_line(awkward, config)
    assert line.startswith("0 3 * * * ")
    subprocess.run(["/bin/sh", "-c", read_by_cron(line.removeprefix("0 3 * * * "))], check=True)
    words = [str(awkward), str(awkward / "siamese"), "retrain", "-c", str(config)]
    assert (awkward / "retrain.log").read_text().splitlines() == words


@pytest.mark.parametrize("path", ["/a\nExecStart=/bin/x", "/a\tb", "/a ", " /a", "/a\udcff", "/a\x85"])
def test_a_path_that_would_break_a_unit_is_refused(path: str) -> None:
    for root, config in ((Path(path), CONFIG), (REPOSITORY, Path(path))):
        with pytest.raises(ConfigError, match="cannot be scheduled"):
            units(root, config, "daily")
    with pytest.raises(ConfigError, match="cannot be scheduled"):
        units(REPOSITORY, CONFIG, "daily\n[Service]")


def test_install_show_and_remove(project: Project, tmp_path: Path) -> None:
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    folder = tmp_path / "systemd" / "user"
    done = project.run("siamese", "schedule", "install", "-c", str(CONFIG), "--at", "Mon 02:30", **home)
    assert done.returncode == 0, done.stderr
    assert f"Wrote {folder}/siamese-retrain.service" in done.stdout
    assert "OnCalendar=Mon 02:30" in (folder / "siamese-retrain.timer").read_text()
    service = (folder / "siamese-retrain.service").read_text()
    assert f'retrain -c "{CONFIG}"' in service
    assert f"WorkingDirectory={project.folder}" in service
    shown = project.run("siamese", "schedule", "show", **home)
    assert service in shown.stdout
    removed = project.run("siamese", "schedule", "remove", **home)
    assert "Removed siamese-retrain.service, siamese-retrain.timer" in removed.stdout
    assert list(folder.iterdir()) == []
    assert "No schedule is installed" in project.run("siamese", "schedule", "show", **home).stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_a_wrong_calendar_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schedule", "install", "-c", str(CONFIG), "--at", "every night"]) == 2
    assert "--at 'every night' is not a calendar expression" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["schedule", "install"], ["retrain"]], ids=" ".join)
def test_a_missing_configuration_is_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nowhere.yaml"
    assert main([*command, "-c", str(path)]) == 2
    assert f"'{path}' does not exist" in capsys.readouterr().err


def test_the_cron_line_runs_the_same_command() -> None:
    line = cron_line(REPOSITORY, CONFIG)
    assert line.startswith("0 3 * * * cd ")
    assert f"siamese retrain -c {CONFIG}" in line

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from siamese_cli.commands.schedule import cron_line, units
from siamese_cli.main import main
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


def test_install_show_and_remove(project: Project, tmp_path: Path) -> None:
    home = {"XDG_CONFIG_HOME": str(tmp_path)}
    folder = tmp_path / "systemd" / "user"
    done = project.run("siamese", "schedule", "install", "-c", str(CONFIG), "--at", "Mon 02:30", **home)
    assert done.returncode == 0, done.stderr
    assert f"Wrote {folder}/siamese-retrain.service" in done.stdout
    assert "OnCalendar=Mon 02:30" in (folder / "siamese-retrain.timer").read_text()
    service = (folder / "siamese-retrain.service").read_text()
    assert f"retrain -c {CONFIG}" in service
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

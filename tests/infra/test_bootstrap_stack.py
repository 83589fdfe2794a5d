from pathlib import Path

import pytest

from tests.conftest import Project, copy_checkout


@pytest.fixture
def fresh(tmp_path: Path) -> tuple[Project, dict[str, str]]:
    """A checkout and a ZenML configuration of their own."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    copy_checkout(folder)
    return Project(folder), {"ZENML_CONFIG_PATH": str(tmp_path / "zenml")}


def active(project: Project, environment: dict[str, str], folder: Path) -> str:
    code = "from zenml.client import Client; print('active=' + Client().active_stack_model.name)"
    done = project.run("python", "-c", code, folder=folder, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("active=")[1].strip()


def test_it_can_run_twice_and_leaves_the_users_active_stack_alone(
    fresh: tuple[Project, dict[str, str]], tmp_path: Path
) -> None:
    project, environment = fresh
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for command in (("zenml", "stack", "copy", "default", "mine"), ("zenml", "stack", "set", "mine")):
        done = project.run(*command, folder=elsewhere, **environment)
        assert done.returncode == 0, done.stderr
    for _ in range(2):
        done = project.run("python", "-m", "infra.bootstrap_stack", **environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("\n") == 1
        assert "siamese_local is ready" in done.stdout
    assert active(project, environment, elsewhere) == "mine"
    assert active(project, environment, project.folder) == "siamese_local"


def test_without_a_stack_the_tracking_uri_says_what_to_do(fresh: tuple[Project, dict[str, str]]) -> None:
    project, environment = fresh
    done = project.run("siamese", "tracking-uri", **environment)
    assert done.returncode == 2
    assert "run `make stack`" in done.stderr
    given = project.run("siamese", "tracking-uri", MLFLOW_TRACKING_URI="http://127.0.0.1:1", **environment)
    assert given.stdout == "http://127.0.0.1:1\n"

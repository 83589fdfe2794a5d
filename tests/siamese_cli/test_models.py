"""Names of models: the same in every command."""

from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from siamese_cli.models import locate, parse
from siamese_core.errors import ModelError


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("people", "models:/people@champion"),
        ("people@challenger", "models:/people@challenger"),
        ("people/3", "models:/people/3"),
        ("models:/people", "models:/people@champion"),
        ("models:/people@challenger", "models:/people@challenger"),
        ("models:/people/3", "models:/people/3"),
        ("my people", "models:/my people@champion"),
    ],
)
def test_a_registered_model_has_short_and_long_names(text: str, uri: str) -> None:
    model = parse(text)
    assert model is not None
    assert model.uri == uri


@pytest.mark.parametrize("text", ["./people", "../people", "/tmp/people", "~/people", "a/b", "people/x3", "a:b"])
def test_paths_are_no_names(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize("below", [".", "artifacts/verifier"], ids=["exported", "downloaded"])
def test_a_folder_with_a_verifier_wins_over_a_short_name(
    below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "people" / below
    place.mkdir(parents=True)
    (place / "encoder.json").touch()
    monkeypatch.chdir(tmp_path)
    for text in ("people", "./people"):
        folder, registered = locate(text)
        assert folder.resolve() == place.resolve()
        assert registered is None


def test_a_folder_without_a_verifier_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="neither a folder of a verifier nor the name"):
        locate(str(tmp_path))


def test_a_model_without_a_champion_is_told_from_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.create_registered_model("rejected")
    client.create_model_version("rejected", "somewhere", tags={"promotion": "rejected because it is blind"})
    words = r"rejected has no champion\. Its newest version, 1, was rejected because it is blind\. .*rejected/1"
    for name in ("rejected", "models:/rejected", "rejected@champion"):
        with pytest.raises(ModelError, match=words):
            locate(name)
    with pytest.raises(ModelError, match="neither a folder"):
        locate("nobody")

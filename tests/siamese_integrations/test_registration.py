"""Registration that is killed anywhere, and champions that move in between: one version, and the right champion."""

import contextlib
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path
from typing import Any
from uuid import uuid4

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from siamese_cli.main import main
from siamese_core.config import EvaluationConfig, PromotionConfig
from siamese_core.data.dataset import Dataset
from siamese_core.errors import BusyError
from siamese_core.evaluation.evaluate import Evaluation, evaluate_verifier
from siamese_core.verifier import Verifier
from siamese_integrations import mlflow_registry
from siamese_integrations.mlflow_registry import ChampionMovedError, champion_number, champions, promote, versions
from siamese_integrations.model_lock import model_lock
from steps.register import register
from tests.siamese_core.evaluation.untrained import CONFIG, SEED, untrained

# The calls that change the registry.
WRITES = ("create_model_version", "update_model_version", "set_registered_model_alias", "set_model_version_tag")
ANYTHING = PromotionConfig(max_eer_increase=1.0, max_fnmr_increase=1.0, max_fmr_increase=1.0, must_beat=())


class KilledError(BaseException):
    """The end of the process, which nothing catches."""


@pytest.fixture(scope="module")
def measured(dataset: Dataset) -> list[tuple[Verifier, Evaluation]]:
    """Two verifiers and their evaluations, without a champion."""
    verifiers = [untrained(dataset, seed) for seed in (0, 1)]
    protocols = EvaluationConfig(robustness=False)
    return [(each, evaluate_verifier(each, dataset, CONFIG, protocols, SEED)) for each in verifiers]


@pytest.fixture
def name() -> str:
    return f"people-{uuid4().hex}"


Run = Callable[..., str]


@pytest.fixture
def run(
    registry: MlflowClient,
    dataset: Dataset,
    measured: list[tuple[Verifier, Evaluation]],
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """The step `register` for one of the verifiers."""
    lineage = {"zenml_run": "a run", "code_version": "1", "data_manifest_sha256": "abc"}
    monkeypatch.setattr("steps.register.origin", lambda manifest: lineage)

    def call(number: int, promotion: PromotionConfig = ANYTHING) -> str:
        verifier, evaluation = measured[number]
        with mlflow.start_run(experiment_id=registry.get_experiment_by_name("tests").experiment_id):
            version: str = register.entrypoint(
                manifest=dataset.manifest,
                store=dataset.store,
                split=dataset.split,
                encoder=verifier.trained,
                calibrated=verifier.calibration,
                evaluation=evaluation,
                calibration=CONFIG,
                promotion=promotion,
                model_name=name,
                seed=SEED,
                config="{}",
            )
        return version

    return call


@contextlib.contextmanager
def killed_after(write: int) -> Iterator[list[str]]:
    """Let so many changes of the registry happen, and no more; gives their names."""
    done: list[str] = []

    def counted(client: MlflowClient, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        result = method(client, *arguments, **options)
        done.append(method.__name__)
        if len(done) == write:
            raise KilledError
        return result

    with pytest.MonkeyPatch.context() as patch:
        for method in WRITES:
            patch.setattr(MlflowClient, method, partialmethod(counted, getattr(MlflowClient, method)))
        yield done


def state(name: str) -> list[tuple[str, list[str], bool, str, str]]:
    return [
        (str(each.version), sorted(each.aliases), "promoted_at" in each.tags, each.tags["promotion"], each.tags["gate"])
        for each in versions(name)
    ]


@pytest.mark.parametrize("every", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_registration_that_is_killed_anywhere_is_completed_by_the_next_run(run: Run, name: str, every: int) -> None:
    with killed_after(0) as writes:
        assert run(0) == "1"
    undisturbed, description = state(name), versions(name)[0].description
    assert undisturbed[0][1:3] == (["challenger", "champion"], True)
    assert undisturbed[0][3] == undisturbed[0][4]
    assert undisturbed[0][3].startswith("promoted because ")
    assert len(writes) > 5
    for write in range(1, len(writes) + 1, every):
        MlflowClient().delete_registered_model(name)
        with killed_after(write), pytest.raises(KilledError):
            run(0)
        assert run(0) == "1", writes[:write]
        assert state(name) == undisturbed, writes[:write]
        assert versions(name)[0].description == description, writes[:write]


def test_the_same_again_registers_nothing_and_another_model_does(run: Run, name: str) -> None:
    assert [run(0), run(0), run(1), run(0), run(1)] == ["1", "1", "2", "1", "2"]
    assert [str(each.version) for each in versions(name)] == ["2", "1"]


def test_a_rejected_one_keeps_its_decision_too(run: Run, name: str) -> None:
    strict = PromotionConfig(max_eer=0.0)
    assert [run(0, promotion=strict), run(0, promotion=strict)] == ["1", "1"]
    assert champion_number(name) is None
    ((_, aliases, promoted, decision, gate),) = state(name)
    assert (aliases, promoted) == (["challenger"], False)
    assert decision == gate
    assert decision.startswith("rejected because ")


def test_a_champion_that_moves_before_the_alias_does_is_compared_with(
    run: Run, name: str, registry: MlflowClient, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level("INFO")
    run(0)
    MlflowClient().delete_registered_model_alias(name, "champion")
    note = mlflow_registry.note_gate

    def note_and_move(model: str, version: str, words: str) -> None:
        note(model, version, words)
        if words.startswith("promoted") and not champion_number(model):
            registry.set_registered_model_alias(model, "champion", "1")  # by MLflow's own page, say

    monkeypatch.setattr(mlflow_registry, "note_gate", note_and_move)
    assert run(1) == "2"
    assert "version 1 became the champion" in caplog.text
    assert "champion" in versions(name)[0].tags["promotion"]
    assert "champion" not in versions(name)[1].tags["promotion"]


class TestPromote:
    @pytest.fixture(autouse=True)
    def two(self, registry: MlflowClient, name: str, tmp_path: Path) -> None:
        registry.create_registered_model(name)
        for _ in range(3):
            registry.create_model_version(name, str(tmp_path))

    def test_only_under_the_lock(self, name: str) -> None:
        with pytest.raises(BusyError, match="lock"):
            promote(name, "1", "by hand", None)
        assert champion_number(name) is None

    def test_only_instead_of_the_champion_that_was_compared_with(self, name: str) -> None:
        with model_lock(name, "test"):
            promote(name, "1", "by hand", None)
            for wrong in (None, "3"):
                with pytest.raises(ChampionMovedError, match=f"{name} version 1 became the champion"):
                    promote(name, "2", "by hand", wrong)
            assert champion_number(name) == "1"
            promote(name, "2", "by hand", "1")
        assert champion_number(name) == "2"

    def test_a_champion_by_the_alias_alone_was_one_too(self, name: str, registry: MlflowClient) -> None:
        registry.set_registered_model_alias(name, "champion", "1")
        assert [str(each.version) for each in champions(name)] == ["1"]
        with model_lock(name, "test"):
            promote(name, "3", "by hand", "1")
        assert [str(each.version) for each in champions(name)] == ["3", "1"]


class TestByHand:
    @pytest.fixture(autouse=True)
    def tracking(self, records: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", records)

    def test_promotion_keeps_the_gates_words_and_tells_its_reason(
        self, run: Run, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run(0, promotion=PromotionConfig(max_eer=0.0))
        assert main(["promote", name, "1", "--reason", "for the shop"]) == 0
        assert champion_number(name) == "1"
        assert main(["history", name]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert "promoted by hand: for the shop" in lines[-2]
        assert "the gate: rejected because " in lines[-1]

    def test_one_whose_files_are_gone_is_refused(
        self, run: Run, name: str, capsys: pytest.CaptureFixture[str], session_folder: Path
    ) -> None:
        assert [run(0), run(1), main(["promote", name, "2"])] == ["1", "2", 0]
        folder = mlflow_registry.verifier_folder(f"models:/{name}/1")
        weights = folder / "encoder.safetensors"
        weights.rename(weights.with_suffix(".away"))
        assert main(["promote", name, "1"]) == 2
        assert main(["rollback", name]) == 2
        words = capsys.readouterr().err
        assert f"models:/{name}/1 cannot be promoted: " in words
        assert f"{name} cannot be rolled back to version 1: " in words
        assert champion_number(name) == "2"
        weights.with_suffix(".away").rename(weights)
        assert main(["rollback", name, "--reason", "too slow"]) == 0
        assert champion_number(name) == "1"
        assert versions(name)[1].tags["promotion"] == "promoted by hand: rolled back from version 2: too slow"

    def test_a_run_at_work_is_named_with_a_code_of_its_own(
        self, run: Run, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run(0)
        with model_lock(name, "a long training"), monkeypatch.context() as patch:
            patch.delenv("SIAMESE_MODEL_LOCK")  # as in a process that does not work under it
            assert main(["promote", name, "1"]) == 75
            assert main(["rollback", name]) == 75
        assert capsys.readouterr().err.count(f"{name} is busy: a long training (process ") == 2

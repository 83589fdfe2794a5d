"""The choice of what goes: never a run that anything needs. `tests/pipelines/test_life.py` removes real ones."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zenml.enums import ExecutionStatus

from siamese_integrations import retention
from siamese_integrations.retention import apply_policy, choose

STATUSES = [ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.RUNNING]


def run(number: int, name: str = "people", status: ExecutionStatus = ExecutionStatus.COMPLETED) -> Any:
    return SimpleNamespace(id=number, status=status, config=SimpleNamespace(parameters={"model_name": name}))


def ids(runs: list[Any]) -> list[int]:
    return [each.id for each in runs]


def test_old_runs_go_and_those_of_registered_versions_lose_their_images() -> None:
    runs = [run(number) for number in range(10)]
    gone, thin = choose(runs, 3, None, registered={"1", "4", "7", "8"}, aliased={"7"})
    assert ids(gone) == [3, 5, 6, 9]
    assert ids(thin) == [4, 8]


@given(
    runs=st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(STATUSES)), max_size=30),
    keep=st.integers(0, 5),
    name=st.sampled_from([None, "a", "b"]),
    data=st.data(),
)
def test_what_is_needed_stays_and_all_else_goes(runs: list[Any], keep: int, name: str | None, data: Any) -> None:
    every = [run(number, each, status) for number, (each, status) in enumerate(runs)]
    numbers = [str(each.id) for each in every]
    registered = set(data.draw(st.lists(st.sampled_from(numbers)))) if numbers else set()
    aliased = set(data.draw(st.lists(st.sampled_from(sorted(registered))))) if registered else set()
    gone, thin = choose(every, keep, name, registered, aliased)
    for each in every:
        rank = [other.id for other in every if other.config == each.config].index(each.id)
        stays = rank < keep or not each.status.is_finished or name not in (None, each.config.parameters["model_name"])
        key = str(each.id)
        assert (each in gone) == (not stays and key not in registered)
        assert (each in thin) == (not stays and key in registered and key not in aliased)


def test_a_policy_that_fails_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the server is away\nat line 1")

    monkeypatch.setattr(retention, "plan", fail)
    apply_policy("people", 3)
    assert [record.getMessage() for record in caplog.records] == ["old runs could not be removed: the server is away"]

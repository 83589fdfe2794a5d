import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from mlflow.store.artifact.utils.models import _parse_model_uri
from mlflow.utils.validation import _validate_model_name
from pydantic import TypeAdapter

from pipelines.retraining import retraining_pipeline
from pipelines.training import training_pipeline
from siamese_core.config import ModelName
from siamese_integrations.config_schema import run_schema

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))
SCHEMA = run_schema(retraining_pipeline.entrypoint, retraining_pipeline.steps_by_name)
VALIDATOR = Draft202012Validator(SCHEMA)


def keys(value: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """Paths of all keys of our own: below them ZenML's settings have any."""
    for key, below in value.items() if isinstance(value, dict) else ():
        yield (*above, key)
        if key != "settings" and above[:1] != ("schedule",) and key not in ("schedule", "retry"):
            yield from keys(below, *above, key)


def misspelt(content: Any, path: tuple[Any, ...]) -> Any:
    content = copy.deepcopy(content)
    *above, key = path
    mapping = content
    for name in above:
        mapping = mapping[name]
    mapping[f"{key}x"] = mapping.pop(key)
    return content


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_configuration_fits_the_schema_and_names_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n")
    assert [error.message for error in VALIDATOR.iter_errors(yaml.safe_load(text))] == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_no_misspelt_key_fits_the_schema(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    paths = list(keys(content))
    assert len(paths) > 5
    for place in paths:
        assert not VALIDATOR.is_valid(misspelt(content, place)), place


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"parameters": {}},
        {"parameters": {"data_dir": "x", "seed": -1}},
        {"parameters": {"data_dir": "x", "model_name": "team/a:b"}},
        {"parameters": {"data_dir": "x", "training": {"steps": 1e14}}},
        {"parameters": {"data_dir": "x", "training": {"mining": "hardest"}}},
        {"parameters": {"data_dir": "x"}, "enable_cache": True},
        {"parameters": {"data_dir": "x"}, "steps": {"train": {"enable_cache": 3}}},
    ],
)
def test_a_wrong_value_does_not_fit_the_schema(content: object) -> None:
    assert not VALIDATOR.is_valid(content)


def test_training_knows_no_step_that_only_retraining_has() -> None:
    content = {"parameters": {"data_dir": "x"}, "steps": {"conclude": {"enable_cache": False}}}
    schema = run_schema(training_pipeline.entrypoint, training_pipeline.steps_by_name)
    assert VALIDATOR.is_valid(content)
    assert not Draft202012Validator(schema).is_valid(content)


def test_descriptions_defaults_and_ranges_are_those_of_the_fields() -> None:
    steps = SCHEMA["$defs"]["TrainingConfig"]["properties"]["steps"]
    assert steps["description"] == "Number of batches to train on."
    assert (steps["default"], steps["minimum"], steps["maximum"]) == (1500, 1, 10_000_000)
    assert SCHEMA["$defs"]["Parameters"]["required"] == ["data_dir"]


@given(st.from_regex(TypeAdapter(ModelName).json_schema()["pattern"], fullmatch=True))
def test_mlflow_knows_a_model_by_every_name_that_is_accepted(name: str) -> None:
    if len(name) <= 200:
        _validate_model_name(TypeAdapter(ModelName).validate_python(name))
        for uri, rest in ((f"models:/{name}@champion", {"alias": "champion"}), (f"models:/{name}/3", {"version": "3"})):
            parsed = _parse_model_uri(uri)
            assert parsed.name == name
            assert rest.items() <= parsed._asdict().items()

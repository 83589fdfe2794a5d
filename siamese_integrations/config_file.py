"""Strict reading of run configurations: ZenML ignores keys that it does not know, this refuses them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from zenml.config.pipeline_run_configuration import PipelineRunConfiguration
from zenml.config.step_configurations import StepConfigurationUpdate

from siamese_core.errors import ConfigError


def check_config(path: Path, pipeline: Callable[..., Any], steps: Iterable[str]) -> None:
    """Checks a run configuration against a pipeline.

    Args:
        path: A YAML file for `zenml pipeline run -c`.
        pipeline: The pipeline's function; its signature is the schema of `parameters`.
        steps: Names of the pipeline's steps.

    Raises:
        ConfigError: Lists everything that is wrong, with the key that was probably meant.
    """
    problems = list(_problems(_read(path), pipeline, list(steps)))
    if problems:
        raise ConfigError(f"{path} has {_count(problems)}:\n" + "\n".join(f"  - {problem}" for problem in problems))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must be a mapping of keys to values, not a {type(content).__name__}.")
    return content


def _problems(content: Mapping[str, Any], pipeline: Callable[..., Any], steps: list[str]) -> Iterable[str]:
    yield from _unknown(content, PipelineRunConfiguration.model_fields, "")
    if content.get("enable_cache"):
        yield (
            "enable_cache: true at the top level would also cache ingest, and new images would go unnoticed; "
            "remove it (everything after ingest is cached by default)"
        )
    yield from _parameter_problems(_mapping(content, "parameters"), pipeline)
    overrides = _mapping(content, "steps")
    yield from _unknown(overrides, steps, "steps.")
    for name in set(overrides) & set(steps):
        yield from _unknown(overrides[name] or {}, StepConfigurationUpdate.model_fields, f"steps.{name}.")


def _parameter_problems(given: Mapping[str, Any], pipeline: Callable[..., Any]) -> Iterable[str]:
    known = signature(pipeline).parameters
    yield from _unknown(given, known, "parameters.")
    for name, parameter in known.items():
        if name in given:
            yield from _value_problems(name, given[name], parameter.annotation)
        elif parameter.default is Parameter.empty:
            yield f"parameters.{name} is missing"


def _value_problems(name: str, value: Any, annotation: Any) -> Iterable[str]:
    try:
        TypeAdapter(annotation).validate_python(value)
    except ConfigError as error:
        yield f"parameters.{error}"
    except ValidationError as error:
        for detail in error.errors():
            where = [name, *map(str, detail["loc"])]
            if detail["type"] == "unexpected_keyword_argument":
                known = _field_names(annotation, where[1:-1])
                yield _unknown_key(where[-1], known, ".".join(["parameters", *where[:-1], ""]))
            else:
                yield f"parameters.{'.'.join(where)}: {detail['msg']} (it is {detail['input']!r})"


def _field_names(annotation: Any, path: list[str]) -> list[str]:
    """The fields of the dataclass at a path below an annotation."""
    for name in path:
        annotation = next((f.default_factory for f in fields(annotation) if f.name == name), None)
    return [field.name for field in fields(annotation)] if is_dataclass(annotation) else []


def _mapping(content: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = content.get(key) or {}
    if not isinstance(value, dict):
        raise ConfigError(f"{key} must be a mapping, not {value!r}.")
    return value


def _unknown(given: Mapping[str, Any], known: Iterable[str], prefix: str) -> Iterable[str]:
    names = list(known)
    return (_unknown_key(str(key), names, prefix) for key in given if key not in names)


def _unknown_key(key: str, known: list[str], prefix: str) -> str:
    close = get_close_matches(key, known, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(known))}"
    return f"{prefix}{key} is not a known key; {hint}"


def _count(problems: list[str]) -> str:
    return "one problem" if len(problems) == 1 else f"{len(problems)} problems"

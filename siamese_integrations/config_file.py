"""Strict reading of run configurations: ZenML ignores keys that it does not know, this refuses them."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from siamese_core.config_section import problems
from siamese_core.errors import ConfigError
from siamese_core.messages import holds_credential
from siamese_integrations.config_schema import run_model

_MOST_NODES = 100_000
_LONG_TEXT = 100
_ENVIRONMENTS = ("env", "environment")
_REFERENCE = re.compile(r"\{\{.+\}\}")  # of a secret, which ZenML fills in
# The last three are raised for a value that does not fit its tag.
_NOT_YAML = (yaml.YAMLError, ValueError, LookupError, AttributeError)


def check_config(path: Path, pipeline: Callable[..., Any], steps: Iterable[str]) -> None:
    """Check a run configuration against a pipeline.

    Args:
        path: A YAML file for `zenml pipeline run -c`.
        pipeline: The pipeline's function; its signature is the schema of `parameters`.
        steps: Names of the pipeline's steps.

    Raises:
        ConfigError: Lists everything that is wrong, with the key that was probably meant.
    """
    content, duplicates = _read(path)
    around = {name: value for name, value in content.items() if name != "parameters"}
    mistakes = [*duplicates, *_mistakes(content, run_model(pipeline, steps)), *_credentials(around)]
    if mistakes:
        count = "one problem" if len(mistakes) == 1 else f"{len(mistakes)} problems"
        raise ConfigError(f"{path} has {count}:\n" + "\n".join(f"  - {mistake}" for mistake in mistakes))


def _mistakes(content: dict[Any, Any], model: type[BaseModel]) -> list[str]:
    try:
        model.model_validate(content)
    except ValidationError as error:
        return problems(error, model.model_json_schema())
    return []


def _credentials(values: dict[Any, Any], place: str = "", environment: bool = False) -> Iterator[str]:
    """Environment variables of steps that are credentials: ZenML records and shows them as they are."""
    for name, value in values.items():
        here = f"{place}.{name}".removeprefix(".")
        if isinstance(value, dict):
            yield from _credentials(value, here, environment or name in _ENVIRONMENTS)
        elif environment and not _REFERENCE.fullmatch(str(value)) and holds_credential(str(name), value):
            yield (
                f"{here} is a credential in clear text, which ZenML would record; set it in the environment that the "
                "run is started from, which the steps of this machine inherit, or in a ZenML secret named under secrets"
            )


def _read(path: Path) -> tuple[dict[Any, Any], list[str]]:
    """Content of a YAML file, and its keys that stand twice."""
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8"))
        root = loader.get_single_node() or yaml.MappingNode("tag:yaml.org,2002:map", [])
        if _size(root, {}) > _MOST_NODES:
            raise ConfigError(f"{path} has aliases that stand for more than {_MOST_NODES:,} values, or for themselves.")
        duplicates = list(dict.fromkeys(_duplicates(root)))
        content = loader.construct_document(root)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply.") from error
    except _NOT_YAML as error:
        raise ConfigError(f"{path} is not valid YAML: {indent(str(error), '  ').strip()}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must be a mapping of keys to values, not a {type(content).__name__}.")
    return content, duplicates


def _size(node: yaml.Node, sizes: dict[yaml.Node, int]) -> int:
    """Number of values below a node, with every alias written out; a long text counts as many."""
    if node not in sizes:
        sizes[node] = _MOST_NODES  # as long as its end is not reached, for a node that holds itself
        text = len(node.value) // _LONG_TEXT if isinstance(node, yaml.ScalarNode) else 0
        sizes[node] = 1 + text + sum(_size(below, sizes) for below in _children(node))
    return sizes[node]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for item in () if isinstance(node, yaml.ScalarNode) else node.value:
        yield from item if isinstance(item, tuple) else (item,)


def _duplicates(node: yaml.Node) -> Iterator[str]:
    """Keys that stand twice in one mapping: YAML would silently take the last."""
    keys = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if (same := (key.tag, str(key.value))) in keys:
            yield f"{key.value} stands twice in one mapping, at last in line {key.start_mark.line + 1}"
        keys.add(same)
    for below in _children(node):
        yield from _duplicates(below)

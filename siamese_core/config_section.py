"""Sections of the configuration: frozen pydantic dataclasses, and one way to tell what is wrong in any of them.

The JSON schema of a field is the one source of its messages, of the reference page and of what editors complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import wraps
from reprlib import Repr
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic.dataclasses import dataclass
from pydantic_core import ErrorDetails, PydanticCustomError

from siamese_core.errors import ConfigError

_T = TypeVar("_T")
Schema = Mapping[str, Any]
Rules = Iterator[tuple[bool, str, object, str]]  # whether it holds, field, value, values allowed

_STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "invalid_key")
_RANGES = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_KINDS = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "null": "null",
    "object": "a mapping of keys to values",
}
_REPR = Repr()
_REPR.maxstring = 200
_BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


@dataclass_transform(frozen_default=True, field_specifiers=(Field,))
def section(name: str) -> Callable[[type[_T]], type[_T]]:
    """Make a class a section of the configuration: frozen and strict; a wrong value is a `ConfigError`.

    Its method `rules`, where it has one, yields the rules between fields.

    Args:
        name: Dotted name in the YAML, such as `training.augment`.
    """

    def decorate(cls: type[_T]) -> type[_T]:
        cls._booleans = field_validator("*", mode="before")(_only_where_boolean)  # type: ignore[attr-defined]
        if hasattr(cls, "rules"):
            cls._rules = model_validator(mode="after")(_keep_rules)  # type: ignore[attr-defined]
        dataclass(frozen=True, config=_STRICT)(cls)
        cls.__init__ = _with_config_errors(cls.__init__, name)  # type: ignore[method-assign]
        return cls

    return decorate


def no_boolean(value: Any) -> Any:
    """Refuse true and false, which Python counts as 1 and 0.

    Raises:
        ValueError: The value is a boolean, or a list with one in it.
    """
    if any(isinstance(item, bool) for item in (value if isinstance(value, list | tuple) else [value])):
        raise ValueError("a boolean")
    return value


def problems(error: ValidationError, schema: Schema, prefix: str = "") -> list[str]:
    """Sentences, without a full stop, that name each wrong key, its value and the values allowed.

    Args:
        error: Raised by the validator of a type.
        schema: The JSON schema of this type.
        prefix: Dotted name of the value that was validated.
    """
    sentences: dict[str, str] = {}  # a union has an error for each of its choices: the first tells them all
    for detail in error.errors(include_url=False):
        for name, sentence in _sentences(detail, schema, prefix):
            sentences.setdefault(name, f"{name} {sentence}")
    return list(sentences.values())


def words(schema: Schema) -> str:
    """Values that a JSON schema allows, such as "a whole number between 8 and 1024"."""
    if "errorMessage" in schema:
        return str(schema["errorMessage"])
    if "anyOf" in schema:
        return ", or ".join(map(words, schema["anyOf"]))
    return f"{kind(schema)} {limits(schema)}".rstrip()


def kind(schema: Schema) -> str:
    """Type of the values that a JSON schema allows, or the values themselves where they are few."""
    if "anyOf" in schema:
        return ", or ".join(map(kind, schema["anyOf"]))
    if "enum" in schema:
        return "one of " + ", ".join(map(plain, schema["enum"]))
    return plain(schema["const"]) if "const" in schema else _KINDS[schema.get("type", "object")]


def limits(schema: Schema) -> str:
    """Range of the numbers, length of the text or list that a JSON schema allows; empty where it has none."""
    if "errorMessage" in schema:
        return str(schema["errorMessage"])
    if "anyOf" in schema:
        return ", or ".join(filter(None, map(limits, schema["anyOf"])))
    if schema.get("type") == "array":
        return _length(schema)
    if "maxLength" in schema:
        return f"of at most {plain(schema['maxLength'])} characters"
    if {"minimum", "maximum"} <= schema.keys():
        return f"between {plain(schema['minimum'])} and {plain(schema['maximum'])}"
    return " and ".join(f"{word} {plain(schema[key])}" for key, word in _BOUNDS.items() if key in schema)


def _length(schema: Schema) -> str:
    least, most = schema.get("minItems"), schema["maxItems"]
    each = words(schema.get("items") or schema["prefixItems"][0])
    return f"of {'' if least == most else 'at most '}{most}, each {each}"


def plain(value: Any) -> str:
    """A choice or a bound in words; large numbers with commas."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return f"{value:,}" if value >= 10_000 else str(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _only_where_boolean(cls: Any, value: Any, info: ValidationInfo) -> Any:
    return value if cls.__pydantic_fields__[info.field_name].annotation is bool else no_boolean(value)


def _keep_rules(self: Any) -> Any:
    if broken := [tuple(rule) for holds, *rule in self.rules() if not holds]:
        raise PydanticCustomError("rules", "rules between fields are broken", {"broken": broken})
    return self


def _with_config_errors(init: Callable[..., None], name: str) -> Callable[..., None]:
    @wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except ValidationError as error:
            sentences = problems(error, TypeAdapter(type(self)).json_schema(), name)
            raise ConfigError(". ".join(sentences) + ".") from error

    return checked


def _sentences(detail: ErrorDetails, schema: Schema, prefix: str) -> Iterator[tuple[str, str]]:
    parts, below = _follow(schema, detail["loc"])
    name = _dotted(prefix, parts)
    if detail["type"] == "rules":
        for field, value, allowed in detail["ctx"]["broken"]:
            yield _dotted(name, [field]), f"is {_shown(value)}, but must be {allowed}"
    elif detail["type"] in _UNKNOWN:
        key = str(detail["loc"][len(parts)])
        yield _dotted(name, [key]), f"is not a known key; {_hint(key, below.get('properties', {}))}"
    elif detail["type"].startswith("missing"):
        yield name, "is missing"
    elif "argument" in detail["type"]:
        yield name, f"was called in a wrong way: {detail['msg']}"
    else:
        allowed = limits(below) if detail["type"] in _RANGES else words(below)
        yield name, f"is {_shown(detail['input'])}, but must be {allowed or words(below)}"


def _shown(value: object) -> str:
    try:
        return _REPR.repr(value)
    except ValueError:  # Python refuses to write out so many digits
        return "a number of thousands of digits"


def _follow(schema: Schema, location: Iterable[int | str]) -> tuple[list[int | str], Schema]:
    """As much of a location as is fields, keys and indices, and the schema there."""
    parts: list[int | str] = []
    here = _resolved(schema, schema)
    for part in location:
        below = _below(here, part)
        if below is None:
            break
        parts.append(part)
        here = _resolved(below, schema)
    return parts, here


def _resolved(schema: Schema, root: Schema) -> Schema:
    """The schema behind a reference, which may be optional."""
    for choice in (schema, *schema.get("anyOf", ())):
        if "$ref" in choice:
            schema = root["$defs"][choice["$ref"].rpartition("/")[2]]
    return schema


def _below(schema: Schema, part: int | str) -> Schema | None:
    fields: Mapping[Any, Schema] = schema.get("properties", {})
    items: Schema | None = schema.get("items") or next(iter(schema.get("prefixItems", ())), None)
    return items if isinstance(part, int) else fields.get(part)


def _dotted(prefix: str, parts: Iterable[int | str]) -> str:
    below = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return (prefix + below).removeprefix(".")


def _hint(key: str, fields: Iterable[str]) -> str:
    close = get_close_matches(key, fields, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(sorted(fields))}"

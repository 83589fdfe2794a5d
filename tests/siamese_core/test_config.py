import copy
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, asdict, fields, replace
from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from siamese_core.config import (
    AugmentConfig,
    CalibrationConfig,
    DataConfig,
    DataDir,
    EncoderConfig,
    EvaluationConfig,
    ImageConfig,
    ModelName,
    PromotionConfig,
    Seed,
    SplitConfig,
    SplitFile,
    TrainingConfig,
    TripletConfig,
    ValidationConfig,
)
from siamese_core.config_section import problems
from siamese_core.errors import ConfigError

SECTIONS: dict[str, Any] = {
    "data": DataConfig,
    "images": ImageConfig,
    "validation": ValidationConfig,
    "split": SplitConfig,
    "triplets": TripletConfig,
    "encoder": EncoderConfig,
    "training.augment": AugmentConfig,
    "training": TrainingConfig,
    "calibration": CalibrationConfig,
    "evaluation": EvaluationConfig,
    "promotion": PromotionConfig,
}
SCHEMAS = {name: TypeAdapter(section).json_schema()["properties"] for name, section in SECTIONS.items()}
FIELDS = [(section, field) for section, schema in SCHEMAS.items() for field in schema if field != "augment"]
SINGLE = [place for place in FIELDS if SCHEMAS[place[0]][place[1]].get("type") != "array"]
# Values of other fields beside which each value of a field is allowed.
BESIDE: dict[str, dict[str, Any]] = {
    "fmr_targets": {"operating_point": "eer"},
    "hardest_positives": {"mining": "batch_hard", "images_per_identity": 10_000},
    "hardest_negatives": {"mining": "batch_hard"},
    "refresh_every": {"evaluate_every": 1},
    "calibration": {"test": 0.0},
    "test": {"calibration": 0.0},
}


def make(section: str, field: str, value: object) -> Any:
    return SECTIONS[section](**BESIDE.get(field, {}), **{field: value})


def good(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a field, from its schema."""
    if "anyOf" in schema:
        return st.one_of(*map(good, schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    return GOOD[schema["type"]](schema)


def good_number(schema: dict[str, Any]) -> st.SearchStrategy[float]:
    low, high = (schema.get(key, schema.get(f"exclusive{key.title()}")) for key in ("minimum", "maximum"))
    return st.floats(low, high, exclude_min="minimum" not in schema, exclude_max="maximum" not in schema)


def good_list(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.lists(good(schema["prefixItems"][0]), min_size=2, max_size=2).map(sorted).map(tuple)
    return st.lists(good(schema["items"]), max_size=5)


GOOD: dict[str, Any] = {
    "integer": lambda schema: st.integers(schema["minimum"], schema["maximum"]),
    "number": good_number,
    "boolean": lambda schema: st.booleans(),
    "null": lambda schema: st.none(),
    "string": lambda schema: st.sampled_from(
        ["eer", "accuracy"] if "maxLength" not in schema else ["a", "cpu", "cuda"]
    ),
    "array": good_list,
}


def outside(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the right type, beyond the range."""
    if "anyOf" in schema:
        return outside(max(schema["anyOf"], key=len))
    if schema["type"] == "array":
        item = schema.get("items") or schema["prefixItems"][0]
        return outside(item).map(lambda wrong: (wrong, wrong))
    low, high = (schema.get(key, schema.get(f"exclusive{key.title()}")) for key in ("minimum", "maximum"))
    if schema["type"] == "integer":
        return st.integers(max_value=low - 1) | st.integers(min_value=high + 1)
    below = st.floats(max_value=low, exclude_max="minimum" in schema)
    above = st.floats(min_value=high, exclude_min="maximum" in schema)
    return below | above | st.sampled_from([math.nan, math.inf, -math.inf, "nan", "inf", 10**400])


def numeric(schema: dict[str, Any]) -> bool:
    inner = schema.get("items") or next(iter(schema.get("prefixItems", ())), schema)
    return any(choice.get("type") in ("integer", "number") for choice in inner.get("anyOf", [inner]))


NUMBERS = [(section, field) for section, field in FIELDS if numeric(SCHEMAS[section][field])]
RANGES = [place for place in NUMBERS if "enum" not in SCHEMAS[place[0]][place[1]]]
PATHS = [("encoder", "weights_file"), ("evaluation", "metadata"), ("evaluation", "pairs")]
TEXTS = [*PATHS, ("training", "device")]


@given(st.sampled_from(FIELDS), st.data())
def test_every_value_in_range_is_accepted_and_kept(place: tuple[str, str], data: st.DataObject) -> None:
    section, field = place
    value = data.draw(good(SCHEMAS[section][field]))
    kept = getattr(make(section, field, value), field)
    assert kept == (tuple(value) if isinstance(value, list) else value)


NONE = {("one_shot", 0), ("folds", 0)}  # off


@given(st.sampled_from(RANGES), st.data())
def test_a_number_outside_its_range_is_refused_by_name(place: tuple[str, str], data: st.DataObject) -> None:
    section, field = place
    with pytest.raises(ConfigError, match=re.escape(f"{section}.{field}") + r"(\[0\])? is .*, but must be "):
        make(
            section, field, data.draw(outside(SCHEMAS[section][field]).filter(lambda value: (field, value) not in NONE))
        )


@given(st.sampled_from(NUMBERS), st.booleans())
def test_a_boolean_is_no_number(place: tuple[str, str], value: bool) -> None:
    section, field = place
    values = (value, value) if SCHEMAS[section][field].get("type") == "array" else value
    with pytest.raises(ConfigError, match=re.escape(f"{section}.{field} is ") + r"\(?(True|False)"):
        make(section, field, values)


@given(
    st.sampled_from(SINGLE),
    st.sampled_from([[], {}, {"a": 1}, (1,), date(2024, 1, 2), object(), 1j, "no such thing\n", "\0"]),
)
def test_a_value_of_another_type_is_refused_by_name(place: tuple[str, str], value: object) -> None:
    section, field = place
    assume(field != "salt" or not isinstance(value, str))  # any text will do
    with pytest.raises(ConfigError, match=re.escape(f"{section}.{field} is ") + ".*, but must be "):
        make(section, field, value)


@given(
    st.sampled_from(TEXTS),
    st.text(max_size=5),
    st.sampled_from([*map(chr, range(32)), "\x7f", "\x85"]),
    st.text(max_size=5),
)
def test_a_control_character_is_refused_by_name(place: tuple[str, str], before: str, control: str, after: str) -> None:
    section, field = place
    with pytest.raises(ConfigError, match=re.escape(f"{section}.{field} is ")):
        make(section, field, before + control + after)


@given(st.sampled_from([*SECTIONS]), st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1))
def test_an_unknown_field_is_refused_by_name(section: str, field: str) -> None:
    if field not in SCHEMAS[section]:
        with pytest.raises(ConfigError, match=rf"{section}\.{field} is not a known key; (did you mean|known here)"):
            SECTIONS[section](**{field: 1})


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("images", {"size": 4}, "images.size is 4, but must be between 8 and 1024."),
        ("images", {"size": "many"}, "images.size is 'many', but must be a whole number between 8 and 1024."),
        ("images", {"crop": math.nan}, "images.crop is nan, but must be a number above 0 and at most 1."),
        ("images", {"color": "blue"}, "images.color is 'blue', but must be one of grey, rgb."),
        ("images", {"sise": 32}, "images.sise is not a known key; did you mean 'size'?."),
        ("training", {"steps": 10**14}, "training.steps is 100000000000000, but must be between 1 and 10,000,000."),
        ("training", {"steps": 0x1 << 20_000}, "training.steps is a number of thousands of digits, but must be "),
        ("training", {"augment": {"rotation": 181}}, "training.augment.rotation is 181, but must be between 0 and 180"),
        ("training", {"augment": 3}, "training.augment is 3, but must be a mapping of keys to values."),
        ("training", {"refresh_every": 3}, "is 3, but must be 0 or a multiple of training.evaluate_every (250)."),
        ("split", {"test": 0.6, "calibration": 0.5}, "split.calibration + split.test is 1.1, but must be below 1, so"),
        ("calibration", {"operating_point": "fmr_1e-5"}, "but must be one of eer, accuracy, fmr_1e-1, fmr_1e-2, fmr_1"),
        ("calibration", {"fmr_targets": [0.1, 2]}, "calibration.fmr_targets[1] is 2, but must be above 0 and below 1."),
        ("evaluation", {"one_shot": 1}, "one_shot is 1, but must be 0, or a whole number between 2 and 1,000,000."),
        ("evaluation", {"pairs": "a\0b"}, "pairs is 'a\\x00b', but must be a path of 1 to 4,096 characters without co"),
    ],
)
def test_a_message_names_the_field_the_value_and_the_way_out(section: str, values: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        SECTIONS[section](**values)


@pytest.mark.parametrize("field", ["operating_point", "fallback"])
def test_an_operating_point_without_a_threshold_is_refused_by_name(field: str) -> None:
    value: Any = "fmr_1e-4" if field == "operating_point" else ("eer", "fmr_1e-4")
    message = rf"calibration\.{field} is .*fmr_1e-4.*, but must be .* eer, accuracy, fmr_1e-1, fmr_1e-2, fmr_1e-3\."
    with pytest.raises(ConfigError, match=message):
        CalibrationConfig(**{field: value})


def test_all_mistakes_of_a_section_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match=r"images\.size .*images\.color .*images\.max_pixels ") as caught:
        ImageConfig(size=4, color="blue", max_pixels=0)  # type: ignore[arg-type]
    assert str(caught.value).count("but must be") == 3
    with pytest.raises(ConfigError, match=r"training\.refresh_every .*training\.loss .*training\.hardest_negatives "):
        TrainingConfig(refresh_every=3, mining="batch_all", loss="selectively_contrastive", hardest_negatives=(1, 2))


def test_too_many_values_are_called_so() -> None:
    with pytest.raises(ConfigError, match="split was called in a wrong way: Unexpected positional argument"):
        SplitConfig(0.1, 0.1, "a", "hash", 1)  # type: ignore[call-arg]


@pytest.mark.parametrize("section", SECTIONS.values())
def test_a_section_is_a_frozen_dataclass_with_equality_and_copies(section: Any) -> None:
    config, name = section(), fields(section)[0].name
    assert section(**asdict(config)) == config == replace(config) == copy.deepcopy(config)
    assert hash(section(**asdict(config))) == hash(config)
    assert section(*(getattr(config, field.name) for field in fields(section))) == config
    assert TypeAdapter(section).validate_python(asdict(config)) == config
    with pytest.raises(FrozenInstanceError):
        setattr(config, name, getattr(config, name))


@pytest.mark.parametrize(("section", "field"), FIELDS)
def test_every_field_has_a_docstring(section: str, field: str) -> None:
    assert len(SCHEMAS[section][field]["description"]) > 10


def test_numbers_as_yaml_reads_them_are_converted() -> None:
    config = TrainingConfig(learning_rate="1e-3", steps="20", margin=1)  # type: ignore[arg-type]
    assert (config.learning_rate, config.steps, config.margin) == (0.001, 20, 1.0)
    assert CalibrationConfig(fmr_targets=[0.01]).fmr_targets == (0.01,)  # type: ignore[arg-type]


def wrong_parameters() -> Iterator[tuple[Any, object]]:
    yield from ((DataDir, value) for value in ("", "a\0b", "a\nb", "x" * 4097, None, 3))
    yield from ((SplitFile, value) for value in ("", "a\0b", True))
    yield from ((Seed, value) for value in (-1, 2**32, True, 1.5, math.nan, None))
    names = ("", ".", "..", " a", "a ", "a/b", "team/a:b", "a:b", "a@b", "a?b", "a\nb", "a\0", "a\x85b", "x" * 201, 3)
    yield from ((ModelName, value) for value in names)


@pytest.mark.parametrize(("parameter", "value"), wrong_parameters())
def test_a_wrong_parameter_is_refused(parameter: Any, value: object) -> None:
    adapter = TypeAdapter(parameter)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    assert re.match(r"it is .*, but must be (a |text|between)", problems(caught.value, adapter.json_schema(), "it")[0])


@pytest.mark.parametrize(
    "value", ["a", "faces", "glyphs-gpu", "a b", "Gesichter_ä", "模型", "a.b", "a#b", "50%", "x" * 200]
)
def test_a_name_of_a_model_may_be_any_word(value: str) -> None:
    assert TypeAdapter(ModelName).validate_python(value) == value


def test_the_command_starts_without_the_configuration() -> None:
    code = "import sys; from siamese_cli.main import main; main(['--version']); print(sorted(sys.modules))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'siamese_core.config'" not in modules
    assert "'pydantic'" not in modules

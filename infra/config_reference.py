"""Reference of the configuration: the JSON schema and a page, both from the docstrings (`make reference`)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.retraining import retraining_pipeline
from siamese_core.config_section import Schema, kind, limits
from siamese_integrations.config_schema import run_schema

_ROOT = Path(__file__).resolve().parents[1]
SCHEMA, PAGE = _ROOT / "configs/schema.json", _ROOT / "docs/configuration.md"
_HEAD = """# Configuration

<!-- Written by `make reference` from the docstrings of siamese_core/config.py. -->

Keys below `parameters` of a run's YAML file, by section. Only `data_dir` must be given. `siamese check-config FILE`
checks a file and lists all its mistakes at once; a run does the same before it starts. Editors that understand the
first line of `configs/*.yaml` complete the keys and check the values while you type.

`steps` takes options of single steps ({steps}), and the other keys are those of ZenML's run configuration.
"""


def main() -> None:
    """Write both files."""
    schema = current_schema()
    SCHEMA.write_text(schema_text(schema), encoding="utf-8")
    PAGE.write_text(page(schema), encoding="utf-8")


def current_schema() -> dict[str, Any]:
    """Schema of both pipelines: retraining has every step and parameter of training."""
    return run_schema(retraining_pipeline.entrypoint, retraining_pipeline.steps_by_name)


def schema_text(schema: Schema) -> str:
    """Content of configs/schema.json."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def page(schema: Schema) -> str:
    """Markdown with a table a section.

    Args:
        schema: As `run_schema` makes it.
    """
    steps = ", ".join(f"`{name}`" for name in schema["$defs"]["Steps"]["properties"])
    return "\n".join([_HEAD.format(steps=steps), *_section("parameters", schema["$defs"]["Parameters"], schema)])


def _section(name: str, section: Schema, schema: Schema) -> Iterator[str]:
    fields: Schema = section["properties"]
    yield f"## `{name}`\n"
    yield f"{section.get('description', 'Data, name and seed of the run.')}\n"
    yield "| field | type | range | default | meaning |\n|---|---|---|---|---|"
    yield from (_row(key, field) for key, field in fields.items() if "$ref" not in field)
    yield ""
    for key, field in fields.items():
        if "$ref" in field:
            yield from _section(f"{name}.{key}", schema["$defs"][field["$ref"].rpartition("/")[2]], schema)


def _row(name: str, field: Schema) -> str:
    default = "`" + json.dumps(field["default"]).strip('"') + "`" if "default" in field else "must be given"
    cells = f"`{name}`", kind(field).removeprefix("a "), limits(field), default, field["description"]
    return "| " + " | ".join(" ".join(cell.split()) for cell in cells) + " |"


if __name__ == "__main__":
    main()

from infra import config_reference


def test_the_schema_and_the_page_are_current() -> None:
    schema = config_reference.current_schema()
    for path, text in (
        (config_reference.SCHEMA, config_reference.schema_text(schema)),
        (config_reference.PAGE, config_reference.page(schema)),
    ):
        assert path.read_text(encoding="utf-8") == text, f"{path} is not current: make reference"


def test_the_page_has_a_row_for_every_field() -> None:
    schema = config_reference.current_schema()
    sections = [schema["$defs"]["Parameters"], *(s for name, s in schema["$defs"].items() if name.endswith("Config"))]
    fields = [name for section in sections for name, field in section["properties"].items() if "$ref" not in field]
    rows = [line for line in config_reference.page(schema).splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(fields)
    assert all(row.count(" | ") == 4 for row in rows)
    assert "| `size` | whole number | between 8 and 1024 | `64` | Height and width of the prepared" in "\n".join(rows)

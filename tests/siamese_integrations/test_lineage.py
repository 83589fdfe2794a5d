"""The version of the code in a model's lineage."""

from pathlib import Path

import pytest

from siamese_integrations import lineage


@pytest.mark.parametrize("name", ["loop.py", "report/page.html.j2", "report/report.css", "report/report.js"])
def test_every_kind_of_source_is_part_of_the_version(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "siamese_core" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("before")
    monkeypatch.setattr(lineage, "_ROOT", tmp_path)
    before = lineage.code_version()
    assert lineage.code_version() == before
    file.write_text("after")
    assert lineage.code_version() != before

"""The library logs: steps and commands decide what people see."""

import ast
from pathlib import Path

from tests.conftest import REPOSITORY


def prints(path: Path) -> list[int]:
    """Lines of a file that call `print`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_neither_the_library_nor_a_step_prints() -> None:
    files = [path for package in ("siamese_core", "steps") for path in (REPOSITORY / package).rglob("*.py")]
    assert len(files) > 60
    assert {path.relative_to(REPOSITORY).as_posix(): lines for path in files if (lines := prints(path))} == {}

"""What goes into the registry fits into it."""

import pytest

from siamese_integrations.mlflow_registry import first_lines


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("a\nb\n", 4, "a\nb\n"),
        ("one\ntwo\nthree\n", 12, "one\ntwo\n…"),
        ("one\ntwo\nthree\n", 8, "one\n…"),
        ("a long line", 6, "a lo\n…"),
    ],
)
def test_as_many_whole_lines_as_fit(text: str, most: int, expected: str) -> None:
    assert first_lines(text, most) == expected
    assert len(expected) <= most

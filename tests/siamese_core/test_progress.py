"""Progress is a bar where somebody watches, log lines elsewhere, and nothing on standard output."""

import io
import logging
import re
import sys

import pytest

from siamese_core import progress
from siamese_core.progress import track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_without_a_terminal_there_are_lines(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "siamese_core")
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with track("train", 200, "steps", done=50) as bar:
        bar.note(loss=0.25)
        bar.advance(50)
        bar.advance(100)
    first, second, last = caplog.messages
    assert re.fullmatch(r"train: 100/200 steps \(50%\), [\d,]+ steps/s, 0\.0 s left, loss 0\.25", first)
    assert second.startswith("train: 200/200 steps (100%)")
    assert re.fullmatch(r"train: 200 steps in 0\.\d s \([\d,]+ steps/s\)", last)
    assert capsys.readouterr() == ("", "")


def test_a_line_comes_within_five_seconds_and_not_with_every_unit(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "siamese_core")
    assert progress._SECONDS_BETWEEN_LINES < 5
    with track("read", 1000, "files") as bar:
        for _ in range(1000):
            bar.advance()
        assert caplog.messages == []
    assert len(caplog.messages) == 1


def test_on_a_terminal_there_is_a_bar_and_a_last_line(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, "siamese_core")
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with track("train", 4, "steps") as bar:
        bar.note(loss=0.25)
        bar.advance(2)
    assert "train:" in terminal.getvalue()
    assert "loss 0.25" in terminal.getvalue()
    assert len(caplog.messages) == 1
    assert capsys.readouterr().out == ""

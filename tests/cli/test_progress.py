"""What a command says of its progress when stderr is not a terminal."""

import io
import sys
import time

import pytest

from dagan.cli import progress
from dagan.cli.progress import Progress, counted


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(progress._Lines, "first", 0.05)
    monkeypatch.setattr(progress._Lines, "every", 0.05)


def test_a_long_stage_says_so_again_and_again(capsys):
    with Progress("loading"):
        time.sleep(0.3)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) > 2
    assert set(printed.err.splitlines()) == {"dagan: loading: 0 s"}


def test_steps_are_counted_as_they_are_done(capsys):
    steps = []
    for step in counted(range(3), "drawing", 9):
        time.sleep(0.1)
        steps.append(step)
    assert steps == [0, 1, 2]
    assert "dagan: drawing: 2 of 9 frames, " in capsys.readouterr().err


def test_what_ends_at_once_says_nothing(capsys, monkeypatch):
    monkeypatch.setattr(progress._Lines, "first", 60)
    assert list(counted("ab", "drawing")) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_the_first_line_comes_within_two_seconds():
    assert progress.FIRST < 2


def test_a_terminal_gets_a_bar_that_goes_again(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("drawing", 4) as shown:
        shown.update(2)
        time.sleep(0.2)
    assert "drawing: " in terminal.getvalue()
    assert "0/4" in terminal.getvalue() or "2/4" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r")

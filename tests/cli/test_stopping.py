"""Signals end a command like Ctrl-C, and errors that nobody foresaw are one line."""

import os
import signal
import threading

import pytest

from dagan.cli import config, main
from dagan.cli.stopping import ended_by_signals
from dagan.errors import Ended


def sends(number: int):
    return lambda args: (os.kill(os.getpid(), number), threading.Event().wait(5))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_command_that_is_asked_to_end_says_so_and_exits_as_shells_expect(monkeypatch, capsys, number, code):
    before = signal.signal(number, signal.SIG_DFL)  # under nohup SIGHUP is ignored
    try:
        monkeypatch.setattr(config, "run", sends(number))
        assert main.main(["config", "list"]) == code
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert capsys.readouterr().err == f"dagan: ended by {number.name}\n"


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_does_not_interrupt_the_cleaning_up():
    cleaned = []

    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(5)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            cleaned.append(True)

    with ended_by_signals(), pytest.raises(Ended):
        work()
    assert cleaned


def test_an_error_that_nobody_foresaw_is_one_line_that_says_how_to_see_where(monkeypatch, capsys):
    def fail(args):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(config, "run", fail)
    assert main.main(["config", "list"]) == 1
    printed = capsys.readouterr().err
    assert printed == (
        "dagan: error: this is a bug: ZeroDivisionError: division by zero; run again with --debug to see where\n"
    )
    with pytest.raises(ZeroDivisionError):
        main.main(["--debug", "config", "list"])

"""Signals that end a command: each raises where the command is, so that what it has begun is cleaned up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from dagan.errors import Ended

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `Ended` within the block. A signal that is ignored (as by nohup) stays ignored."""

    def end(number: int, frame: FrameType | None) -> None:
        for name in ENDING:  # a second one must not interrupt the cleaning up
            signal.signal(name, signal.SIG_IGN)
        raise Ended(number)

    before = {}
    with suppress(ValueError):  # only the main thread may set handlers
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

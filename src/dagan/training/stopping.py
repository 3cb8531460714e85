"""Signals to a run: SIGTERM and Ctrl-C become a question that the loop asks between two steps."""

import signal
import threading
from types import FrameType
from typing import Any

from dagan.errors import Ended

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopper:
    """`asked` turns true when a signal comes (main thread only); `ending` is what is then raised."""

    def __init__(self) -> None:
        self.asked = False
        self.ending = KeyboardInterrupt()
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "Stopper":
        if threading.current_thread() is threading.main_thread():
            self.previous = {name: signal.signal(name, self._ask) for name in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for name, handler in self.previous.items():
            signal.signal(name, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self.ending = KeyboardInterrupt() if number == signal.SIGINT else Ended(number)


def ignore_signals(worker: int) -> None:
    """For processes that load samples: a signal to the whole group must not kill them under a run that is saving."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)

"""Progress on stderr: a bar on a terminal, elsewhere a line every few seconds. What ends at once says nothing."""

import sys
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

FIRST, EVERY = 1.0, 5.0  # seconds to the first line, and between lines
REFRESH = 0.5  # seconds between two drawings of a bar

Step = TypeVar("Step")


class Progress:
    """Shows what a command is doing, and how far it is if `update` is called. Use in a `with` block."""

    def __init__(self, what: str, total: int | None = None, unit: str = "frame") -> None:
        self._view: _Bar | _Lines = (_Bar if sys.stderr.isatty() else _Lines)(what, total, unit)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def update(self, done: int, total: int | None = None) -> None:
        """Says how many steps are done, and of how many if that is only known now."""
        self._view.done, self._view.total = done, self._view.total if total is None else total

    def __enter__(self) -> "Progress":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._view.close()

    def _show(self) -> None:
        wait = self._view.first
        while not self._ended.wait(wait):
            self._view.show()
            wait = self._view.every


def counted(steps: Iterable[Step], what: str, total: int | None = None, unit: str = "frame") -> Iterator[Step]:
    """The steps, one by one, while their number is shown."""
    with Progress(what, total, unit) as progress:
        for number, step in enumerate(steps, 1):
            yield step
            progress.update(number)


class _Lines:
    """A line of text each time."""

    first, every = FIRST, EVERY

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        self.done, self.total = 0, total
        self._what, self._unit, self._started = what, unit, time.monotonic()

    def show(self) -> None:
        seconds = time.monotonic() - self._started
        found = f"{seconds:.0f} s"
        if self.done:
            of = f" of {self.total}" if self.total is not None else ""
            found = f"{self.done}{of} {self._unit}s, {self.done / seconds:.1f}/s"
        print(f"dagan: {self._what}: {found}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leaves the lines."""


class _Bar:
    """A bar of tqdm's, which goes when it is closed."""

    first, every = 0.0, REFRESH

    def __init__(self, what: str, total: int | None, unit: str) -> None:
        self.done, self.total = 0, total
        self._what, self._unit = what, unit
        self._bar: Any = None

    def show(self) -> None:
        from tqdm import tqdm

        if self._bar is None:
            self._bar = tqdm(desc=self._what, total=self.total, unit=self._unit, leave=False)
        self._bar.n, self._bar.total = self.done, self.total
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

"""Several frames of a video computed at once, their results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import TypeVar

import torch

Given = TypeVar("Given")
Made = TypeVar("Made")


class Workers:
    """Threads that live as long as a video, because an engine may prepare something for each. Use in a `with` block.

    PyTorch's inference mode is of one thread: it is switched on for all that these threads do. Several threads do not
    spread one operation of PyTorch over the cores, which the others use already.
    """

    def __init__(self, num_workers: int) -> None:
        self._num_workers, self._num_threads = num_workers, torch.get_num_threads()
        alone = partial(torch.set_num_threads, 1) if num_workers > 1 else None
        self._pool = ThreadPoolExecutor(num_workers, initializer=alone)

    def __enter__(self) -> "Workers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        torch.set_num_threads(self._num_threads)  # for threads that come later; this one has kept its number

    def run(self, work: Callable[[Given], Made], given: Given) -> Made:
        """What `work` makes of one thing; waits for it."""
        return self._pool.submit(_without_gradients, work, given).result()

    def in_order(self, work: Callable[[Given], Made], given: Iterable[Given]) -> Iterator[Made]:
        """What `work` makes of each thing; at most one thing more than there are threads is taken in advance."""
        waiting: deque[Future[Made]] = deque()
        try:
            for thing in given:
                waiting.append(self._pool.submit(_without_gradients, work, thing))
                if len(waiting) > self._num_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@torch.inference_mode()
def _without_gradients(work: Callable[[Given], Made], given: Given) -> Made:
    return work(given)

"""One task for many items, in this process, in several, or on the machines of a Ray cluster: the same results.

A task is plain data that is sent to each worker; `open` builds there what it needs once (models, readers) and gives the
function that does one item. Results come in the order in which they are ready.
"""

import logging
import multiprocessing
import os
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from dagan.errors import UserError

PATIENCE = 5.0  # seconds between looks at whether the workers still live
MOST_BLOCKS = 10_000  # of items that Ray keeps count of


class Task(Protocol):
    """What is done for each item."""

    def open(self) -> AbstractContextManager[Callable[[Any], Any]]: ...


class Workers(Protocol):
    """Where a task runs. Raises UserError as the task does, and when a worker dies for good."""

    def run(self, task: Task, items: Sequence[Any]) -> Iterator[Any]: ...


@dataclass(frozen=True)
class Here:
    """In this process, one item after the other."""

    def run(self, task: Task, items: Sequence[Any]) -> Iterator[Any]:
        with task.open() as do:
            yield from map(do, items)


@dataclass(frozen=True)
class Processes:
    """In `count` processes of this machine."""

    count: int

    def run(self, task: Task, items: Sequence[Any]) -> Iterator[Any]:
        context = multiprocessing.get_context("spawn")  # a forked process that has run torch or MediaPipe may hang
        waiting: Any = context.Queue()
        results: Any = context.Queue()
        for item in [*items, *[None] * self.count]:
            waiting.put(item)
        workers = [context.Process(target=_work, args=(task, waiting, results), daemon=True) for _ in range(self.count)]
        for worker in workers:
            worker.start()
        try:
            for _ in items:
                yield _next_result(results, workers)
        finally:
            for worker in workers:
                if worker.is_alive():
                    worker.join(PATIENCE)
                    worker.terminate()


def _next_result(results: Any, workers: Sequence[BaseProcess]) -> Any:
    while True:
        try:
            found = results.get(timeout=PATIENCE)
        except queue.Empty:
            if any(worker.exitcode not in (None, 0) for worker in workers):
                raise UserError(
                    "a worker process ended unexpectedly (out of memory?); run again with fewer workers to go on"
                ) from None
            continue
        if isinstance(found, UserError):
            raise found
        return found


def _work(task: Task, waiting: Any, results: Any) -> None:
    """A worker process: takes items until it gets None."""
    try:
        with task.open() as do:
            while (item := waiting.get()) is not None:
                results.put(do(item))
    except UserError as error:
        results.put(error)


@dataclass(frozen=True)
class RayCluster:
    """On a Ray cluster, by Ray Data: a pool of `count` actors (None: as many as there is room for), each with so many
    processors and graphics cards. What a lost machine had in hand is done again by another.

    `address`: of a running cluster, "auto" for the one that this machine belongs to; "" starts one here.
    """

    address: str = ""
    count: int | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def run(self, task: Task, items: Sequence[Any]) -> Iterator[Any]:
        with _connected(self.address) as ray:
            boxes = [{"item": Box(item)} for item in items]
            found = ray.data.from_items(boxes, override_num_blocks=min(len(items), MOST_BLOCKS)).map(
                _Actor,
                fn_constructor_args=(task,),
                compute=ray.data.ActorPoolStrategy(min_size=1, max_size=self.count or self._room(ray)),
                num_cpus=self.cpus,
                num_gpus=self.gpus or None,
            )
            for row in found.iter_rows():
                result = row["result"].value
                if isinstance(result, UserError):
                    raise result
                yield result

    def _room(self, ray: Any) -> int:
        """Actors that the cluster has processors and cards for."""
        there = ray.cluster_resources()
        room = [there.get("CPU", 1.0) / self.cpus] if self.cpus else []
        room += [there.get("GPU", 0.0) / self.gpus] if self.gpus else []
        return max(1, int(min(room, default=1)))


@dataclass
class Box:
    """Keeps a value from being taken apart on its way."""

    value: Any


class _Actor:
    """A worker of Ray's, which lives as long as the pool."""

    def __init__(self, task: Task) -> None:
        self._opened = task.open()
        self._problem: UserError | None = None
        try:
            self._do = self._opened.__enter__()
        except UserError as error:  # Ray would wrap it in errors of its own
            self._problem = error

    def __call__(self, row: dict[str, Box]) -> dict[str, Box]:
        if self._problem is not None:
            return {"result": Box(self._problem)}
        try:
            return {"result": Box(self._do(row["item"].value))}
        except UserError as error:
            return {"result": Box(error)}


@contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected to the cluster; a cluster that was started here ends with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to Ray's makers
    os.environ.setdefault("RAY_DATA_DISABLE_PROGRESS_BARS", "1")
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise UserError("working on a cluster needs Ray, which is missing: pip install 'dagan[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)  # it tells of each step
    was_there = ray.is_initialized()
    if not was_there:
        try:
            ray.init(
                address=address or "local", log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None
            )
        except ConnectionError as error:
            raise UserError(f"no Ray cluster answers at {address}; start one with `ray start --head`") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield ray
    finally:
        if not was_there:
            ray.shutdown()

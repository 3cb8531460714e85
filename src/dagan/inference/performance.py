"""A performance: pictures of a moving portrait, several frames in flight, in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dagan.images import to_pixels
from dagan.inference.animator import MotionMode, RestFrame, checked_rest, rest_number
from dagan.inference.recorded_motion import Motion, check_driver, motion_of
from dagan.models.talking_head import TalkingHead
from dagan.runtime.choice import build_engine
from dagan.runtime.engine import Engine, Precision, Runtime
from dagan.types import Keypoints, View

Given = TypeVar("Given")
Made = TypeVar("Made")
Picture = UInt8[np.ndarray, "h w 3"]


@torch.inference_mode()
def perform(
    model: TalkingHead,
    image: Float[Tensor, "1 3 h w"],
    motion: MotionMode = "relative",
    adapt_scale: bool = False,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
    rest: RestFrame = "best",
) -> "Performer":
    """A performer of one portrait, ready to be driven; see `build_engine` for the choices and for what is raised."""
    placed = image.to(next(model.parameters()).device)
    source = model.encode(model.eval().view(placed))
    return Performer(model, build_engine(model, source, runtime, precision), source, motion, adapt_scale, rest)


class Performer:
    """`Animator` for pictures alone: it answers the same calls by an engine, and gives RGB arrays ready to encode.

    At most `num_workers` + 1 frames are taken from the driver before their picture is asked for, so of a long video
    memory keeps no more than keypoints, where it is watched first.
    """

    def __init__(
        self,
        model: TalkingHead,
        engine: Engine,
        source: View,
        motion: MotionMode = "relative",
        adapt_scale: bool = False,
        rest: RestFrame = "best",
    ) -> None:
        self._model, self._engine, self._source = model, engine, source
        self._rest = checked_rest(motion, rest)
        self._mover = partial(model.mover, relative=motion == "relative", adapt_scale=adapt_scale)

    @property
    def num_workers(self) -> int:
        """How many frames are computed at once; one: the engine spreads each over the cores."""
        return self._engine.num_workers

    def stream(self, frames: Iterable[Float[Tensor, "1 3 h w"]]) -> Iterator[Picture]:
        """One picture per frame of a driving video; relative motion counts from its first frame."""
        remaining = iter(frames)
        first = next(remaining, None)
        if first is None:
            return
        see = self._engine.keypoints
        with self._workers() as pool:
            initial = pool.submit(_quietly, see, first).result()
            draw = self._drawing(initial)
            frames = chain([first], remaining)
            yield from self._in_order(pool, lambda frame: draw(initial if frame is first else see(frame)), frames)

    def watch(self, frames: Iterable[Float[Tensor, "1 3 h w"]], rate: Fraction) -> Motion:
        """The motion of a driving video, for `from_motion`, which can then choose the frame that it counts from.

        Raises:
            UserError: no frames.
        """
        with self._workers() as pool:
            return motion_of(self._in_order(pool, self._engine.keypoints, frames), rate, self._model)

    def from_motion(self, motion: Motion) -> Iterator[Picture]:
        """One picture per frame of a recorded motion; relative motion counts from its rest frame.

        Raises:
            UserError: the motion was recorded with another model, or has no such rest frame. Raised here already, not
                at the first frame.
        """
        source = self._source.keypoints
        check_driver(motion, self._model, source)
        motion = motion.steadied()
        initial = motion.at(rest_number(self._rest, self._model, source, motion), source.position.device)
        return self._drawn(motion, initial)

    def _drawn(self, motion: Motion, initial: Keypoints) -> Iterator[Picture]:
        with self._workers() as pool:
            yield from self._in_order(pool, self._drawing(initial), motion.frames(initial.position.device))

    def _drawing(self, initial: Keypoints) -> Callable[[Keypoints], Picture]:
        """A picture of driving keypoints, as a function of them."""
        move = _quietly(partial(self._mover, self._source.keypoints), initial)
        return lambda driving: to_pixels(self._engine.picture(move(driving)))

    def _workers(self) -> ThreadPoolExecutor:
        """Threads that live as long as a video: an engine may prepare something for each."""
        return ThreadPoolExecutor(self._engine.num_workers)

    def _in_order(
        self, pool: ThreadPoolExecutor, work: Callable[[Given], Made], given: Iterable[Given]
    ) -> Iterator[Made]:
        """What is made of each thing given, several at once."""
        waiting: deque[Future[Made]] = deque()
        try:
            for thing in given:
                waiting.append(pool.submit(_quietly, work, thing))
                if len(waiting) > self._engine.num_workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@torch.inference_mode()
def _quietly(work: Callable[[Given], Made], given: Given) -> Made:
    return work(given)

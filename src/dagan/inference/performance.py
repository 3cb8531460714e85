"""A performance: pictures of a moving portrait, several frames in flight, in their order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from dagan.inference.animator import MotionMode
from dagan.inference.engines import Engine, Precision, Runtime, build_engine
from dagan.inference.motion_file import Motion, check_driver
from dagan.models.talking_head import TalkingHead
from dagan.types import Keypoints, View

Driving = TypeVar("Driving")
Given = TypeVar("Given")
Found = TypeVar("Found")
Picture = UInt8[np.ndarray, "h w 3"]
Move = Callable[[Keypoints], Keypoints]


@torch.inference_mode()
def perform(
    model: TalkingHead,
    image: Float[Tensor, "1 3 h w"],
    motion: MotionMode = "relative",
    adapt_scale: bool = False,
    runtime: Runtime = "auto",
    precision: Precision = "auto",
) -> "Performer":
    """A performer of one portrait, ready to be driven; see `build_engine` for the choices and for what is raised."""
    placed = image.to(next(model.parameters()).device)
    source = model.encode(model.eval().view(placed))
    return Performer(model, build_engine(model, source, runtime, precision), source, motion, adapt_scale)


class Performer:
    """`Animator` for pictures alone: it answers the same calls by an engine, and gives RGB arrays ready to encode.

    At most `num_workers` + 1 frames are taken from the driver before their picture is asked for, so memory does not
    grow with length.
    """

    def __init__(
        self,
        model: TalkingHead,
        engine: Engine,
        source: View,
        motion: MotionMode = "relative",
        adapt_scale: bool = False,
    ) -> None:
        self._model, self._engine, self._source = model, engine, source
        self._mover = partial(model.mover, relative=motion == "relative", adapt_scale=adapt_scale)

    @property
    def num_workers(self) -> int:
        """How many frames are computed at once; one: the engine spreads each over the cores."""
        return self._engine.num_workers

    def stream(self, frames: Iterable[Float[Tensor, "1 3 h w"]]) -> Iterator[Picture]:
        """One picture per frame of a driving video."""
        return self._perform(frames, self._engine.keypoints)

    def from_motion(self, motion: Motion) -> Iterator[Picture]:
        """One picture per frame of a recorded motion.

        Raises:
            UserError: the motion was recorded with another model. Raised here already, not at the first frame.
        """
        check_driver(motion, self._model, self._source.keypoints)
        return self._perform(motion.frames(self._source.image.device), _as_it_is)

    def _perform(self, drivers: Iterable[Driving], see: Callable[[Driving], Keypoints]) -> Iterator[Picture]:
        remaining = iter(drivers)
        first = next(remaining, None)
        if first is None:
            return
        with ThreadPoolExecutor(self._engine.num_workers) as pool:
            initial = pool.submit(_quietly, see, first).result()
            move = pool.submit(_quietly, partial(self._mover, self._source.keypoints), initial).result()
            waiting: deque[Future[Picture]] = deque([pool.submit(self._draw, _as_it_is, initial, move)])
            try:
                for driver in remaining:
                    waiting.append(pool.submit(self._draw, see, driver, move))
                    if len(waiting) > self._engine.num_workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    @torch.inference_mode()
    def _draw(self, see: Callable[[Driving], Keypoints], driver: Driving, move: Move) -> Picture:
        return to_pixels(self._engine.picture(move(see(driver))))


def to_pixels(image: Float[Tensor, "1 3 h w"]) -> Picture:
    """Whole levels of 0 to 255, rounded, as an encoder takes them."""
    levels = (image[0].clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.permute(1, 2, 0).contiguous().cpu().numpy()


def _as_it_is(keypoints: Keypoints) -> Keypoints:
    return keypoints


@torch.inference_mode()
def _quietly(see: Callable[[Given], Found], given: Given) -> Found:
    return see(given)

"""Animate a portrait: the source is encoded once, then each driving frame costs one `render`."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.errors import UserError
from dagan.inference.recorded_motion import Motion, check_driver
from dagan.models.talking_head import TalkingHead
from dagan.types import Keypoints, Rendering, View

MotionMode = Literal["relative", "absolute"]
RestFrame = Literal["best", "first"] | int


class Animator:
    """Moves one source portrait as a driver moves.

    Relative motion moves the source by what the driver did since a rest frame, so the source keeps its proportions;
    absolute motion puts the driver's own keypoints on it. Frames that arrive one by one count from the first of them, a
    recorded motion from its frame `rest` (`rest_number`), with expressions steadied; absolute motion from none.
    `adapt_scale` multiplies relative motion by how much larger the source's face is. The model is put into evaluation
    mode and channels-last memory, in place, on its device. Raises ValueError for another `motion` or `rest`.
    """

    def __init__(
        self,
        model: TalkingHead,
        motion: MotionMode = "relative",
        adapt_scale: bool = False,
        rest: RestFrame = "best",
    ) -> None:
        self._rest = checked_rest(motion, rest)
        self.model: TalkingHead = model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._mover = partial(model.mover, relative=motion == "relative", adapt_scale=adapt_scale)
        self._device = next(model.parameters()).device
        self._source: View | None = None
        self._move: Callable[[Keypoints], Keypoints] | None = None

    @torch.inference_mode()
    def set_source(self, image: Float[Tensor, "1 3 h w"]) -> View:
        """What the model sees in the portrait to animate, encoded; the next driving frame counts as the first."""
        self._source = self.model.encode(self.model.view(self._placed(image)))
        self.restart()
        return self._source

    def restart(self) -> None:
        """The next driving frame becomes the one that relative motion starts from."""
        self._move = None

    @torch.inference_mode()
    def animate(self, frame: Float[Tensor, "1 3 h w"]) -> Rendering:
        """The portrait, moved as the driver did between the first frame and this one."""
        source, driving = self._encoded(), self.model.view(self._placed(frame)).keypoints
        if self._move is None:
            self._move = self._mover(source.keypoints, driving)
        return self._render(source, self._move, driving)

    def stream(self, frames: Iterable[Float[Tensor, "1 3 h w"]]) -> Iterator[Rendering]:
        """One rendering per frame of a new driving video, made when it is asked for."""
        self.restart()
        for frame in frames:
            yield self.animate(frame)

    def from_motion(self, motion: Motion) -> Iterator[Rendering]:
        """One rendering per frame of a recorded motion, made when it is asked for.

        Raises:
            UserError: the motion was recorded with another model, or has no such rest frame. Raised here already, not
                at the first frame.
        """
        source = self._encoded().keypoints
        check_driver(motion, self.model, source)
        motion = motion.steadied()
        rest = rest_number(self._rest, self.model, source, motion)
        with torch.inference_mode():
            move = self._mover(source, motion.at(rest, self._device))
        return map(partial(self._render, self._encoded(), move), motion.frames(self._device))

    @torch.inference_mode()
    def _render(self, source: View, move: Callable[[Keypoints], Keypoints], driving: Keypoints) -> Rendering:
        return self.model.render(source, move(driving))

    def _encoded(self) -> View:
        if self._source is None:
            raise RuntimeError("no source image: call set_source first")
        return self._source

    def _placed(self, image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h w"]:
        return image.to(self._device, memory_format=torch.channels_last)


def checked_rest(motion: MotionMode, rest: RestFrame) -> RestFrame:
    """The rest frame for a kind of motion; absolute motion has none, for which the first may stand.

    Raises:
        ValueError: there is no such motion or choice.
    """
    if motion not in get_args(MotionMode):
        raise ValueError(f"motion is {motion!r}; expected one of {', '.join(get_args(MotionMode))}")
    if rest not in ("best", "first") and not (isinstance(rest, int) and rest >= 0):
        raise ValueError(f"rest is {rest!r}; expected best, first or the number of a frame from 0")
    return rest if motion == "relative" else "first"


@torch.inference_mode()
def rest_number(rest: RestFrame, model: TalkingHead, source: Keypoints, motion: Motion) -> int:
    """The frame of a motion that relative motion counts from: a number; "first"; or "best", the one in which the driver
    holds head and face most like the source (`TalkingHead.rest_frame`).

    Raises:
        UserError: the motion has no such frame.
    """
    if rest == "first":
        return 0
    if rest == "best":
        return model.rest_frame(source, motion.on(source.position.device))
    if not 0 <= rest < len(motion):
        raise UserError(f"the driver has frames 0 to {len(motion) - 1}; there is no frame {rest} to rest at")
    return rest

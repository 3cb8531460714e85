"""Animator: one photo and a driving video, or a recorded motion, to pictures. The only code that animates."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache, cached_property, partial
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dagan.errors import UserError
from dagan.images import Crop, apply_crop, to_pixels, to_tensor
from dagan.inference.canvas import Canvas, Picture, sharp_square
from dagan.inference.in_flight import Workers
from dagan.inference.recorded_motion import RecordedMotion, check_motion, fingerprint, motion_of
from dagan.models.family import Family
from dagan.models.matte import MatteNet, load_matte
from dagan.runtime.choice import build_engine
from dagan.runtime.engine import Engine, Precision, Runtime
from dagan.transfer.face_edit import DEFAULT, PLAIN, FaceEdit
from dagan.types import Backdrop, Layers, Rendering

MotionMode = Literal["relative", "absolute"]
RestFrame = Literal["best", "first"] | int
FrameKind = Literal["photo", "face"]
Frame = Picture | Float[Tensor, "1 3 h w"]  # RGB bytes, or RGB in [0, 1]
Draw = Callable[[Any], Picture]
SIDE_STEP = 32  # the networks halve a picture up to five times


class Stage(NamedTuple):
    """What a photo brings to its pictures."""

    canvas: Canvas
    backdrop: Backdrop


class Animator:
    """Animates one photo. It is encoded once; several driving frames are computed at the same time.

    Driving frames are RGB squares of `side` pixels, `h w 3` uint8 (or `1 3 h w` float in [0, 1]); pictures are uint8
    of `picture_size`. `frame`: pictures are the whole "photo", or the square of the "face" alone.
    `edit`: how much of relative motion is taken over, and what is added to it.

    `motion`: "relative" moves the portrait by how the driver moved since its rest frame, so that the portrait keeps its
    proportions; "absolute" takes over the driver's own pose and proportions. `rest`: the rest frame of a recorded
    motion: "best" (pose and expression closest to the portrait's), "first" or a number. A stream of frames is not known
    in advance: its rest frame is its first one. `adapt_scale` scales relative motion by the ratio of the two faces'
    sizes. `runtime` and `precision`: what computes, see `build_engine`. The model is put into evaluation mode.

    Raises:
        ValueError: no such `motion` or `rest`.
    """

    def __init__(
        self,
        model: Family,
        runtime: Runtime = "auto",
        precision: Precision = "auto",
        motion: MotionMode = "relative",
        rest: RestFrame = "best",
        adapt_scale: bool = False,
        frame: FrameKind = "photo",
        edit: FaceEdit = DEFAULT,
    ) -> None:
        self.model: Family = model.eval()
        self._runtime, self._precision, self._motion = runtime, precision, motion
        self._rest = _checked_rest(motion, rest)
        self._mover = _mover_of(model, motion == "relative", adapt_scale, edit)
        self._device = next(model.parameters()).device
        self._frame = frame
        self._source: Any = None  # the view of the photo
        self._stage: Stage | None = None
        self._engine: Engine | None = None
        self._num_restarts = 0
        self._move: tuple[int, Callable[[Any], Any]] | None = None

    @torch.inference_mode()
    def set_source(self, photo: Frame, crop: Crop | None = None, size: int | None = None) -> Any:
        """Sets the photo to animate, and restarts. Returns what the model sees in it.

        `crop`: the square of an upright photo that moves (`inference.crop.frame_photo` finds it); the networks see it
        at `model.side` pixels. None: the photo is such a square already, and they see it as it is. `size`: the side in
        pixels of pictures of the face alone; None: as the photo has it.

        Raises:
            UserError: no crop is given, and the photo is not a square of a multiple of 32 pixels.
        """
        pixels = photo if isinstance(photo, np.ndarray) else to_pixels(photo)
        if crop is None:
            image = _checked_square(_tensor(photo))
            crop = Crop(0, 0, image.shape[-1])
        else:
            image = apply_crop(pixels, crop, self.model.side)[None]
        image = image.to(self._device)
        whole = self._frame == "photo"
        canvas = Canvas(pixels if whole else None, crop, crop.size if whole or size is None else size)
        matte = _matte(self._device)(image)
        backdrop = self.model.composition.backdrop(sharp_square(pixels, canvas).to(self._device), matte)
        self._stage = Stage(canvas, backdrop)
        if self._source is not None and self._source.image.shape != image.shape:
            self._engine = None
        self._source = self.model.encode(self.model.view(image))
        if self._engine is not None:
            self._engine.set_source(self._source)
        self.restart()
        return self._source

    def restart(self) -> None:
        """Makes the next driving frame the rest frame, in a running stream, too."""
        self._num_restarts += 1

    def prepare(self) -> Engine:
        """Builds what computes pictures, which else waits for the first picture; it serves all photos.

        Raises:
            RuntimeError: no portrait was set.
            UserError: the runtime is not installed, or does not have the precision.
        """
        if self._engine is None:
            self._engine = build_engine(self.model, self._encoded(), self._runtime, self._precision)
        return self._engine

    def watch(self, frames: Iterable[Frame], rate: Fraction) -> RecordedMotion:
        """Records the motion of a driving video of `rate` frames per second.

        Raises:
            UserError: no frames.
        """
        with Workers(self.prepare().num_workers) as workers:
            return motion_of(workers.in_order(self._seen, frames), rate, self._fingerprint)

    def stream(self, frames: Iterable[Frame]) -> Iterator[Picture]:
        """One picture per frame of a driving video; frames are taken as pictures are asked for, few in advance."""
        return self._streamed(self._encoded(), self.prepare(), frames)

    def from_motion(self, motion: RecordedMotion, numbers: Sequence[int] | None = None) -> Iterator[Picture]:
        """One picture per frame of a recorded motion, or per number in `numbers`; the expressions are steadied.

        Raises:
            UserError: the motion was recorded with another model, or has no such frame. Raised at once, not at the
                first picture.
        """
        rest, steady = self.rest_frame(motion), motion.steadied()
        for number in numbers or ():
            _check_number(number, len(motion), "draw")
        draw = self._drawing(self._encoded(), self.prepare(), steady.at(rest, self._device))
        return self._drawn(draw, steady.frames(self._device, numbers))

    def pose(self) -> Picture:
        """The photo as if it had driven itself and not moved: only what `edit` adds is changed."""
        source = self._encoded()
        with torch.inference_mode():
            return self._drawing(source, self.prepare(), source.code)(source.code)

    @torch.inference_mode()
    def rest_frame(self, motion: RecordedMotion, candidates: Sequence[int] | None = None) -> int:
        """The number of the frame from which relative motion is measured; "best" and "first" are of the candidates.

        Raises:
            UserError: as `from_motion`.
        """
        source = self._encoded().code
        check_motion(motion, source, self._fingerprint)
        if isinstance(self._rest, int):
            return _check_number(self._rest, len(motion), "rest at")
        chosen = list(range(len(motion))) if candidates is None else list(candidates)
        if self._rest == "first":
            return chosen[0]
        found = motion.steadied().on(self._device).each(lambda part: part[chosen])
        return chosen[self.model.rest_frame(source, found)]

    @property
    def side(self) -> int:
        """The side in pixels of what the networks see: of driving frames."""
        return int(self._encoded().image.shape[-1])

    @property
    def picture_size(self) -> tuple[int, int]:
        """Width and height of pictures."""
        return self._staged().canvas.size_of_pictures

    @property
    def square(self) -> Crop:
        """The square of a picture that moves."""
        canvas = self._staged().canvas
        return canvas.crop if canvas.photo is not None else Crop(0, 0, canvas.size)

    @property
    def is_relative(self) -> bool:
        """Whether the portrait moves as the driver moved since its rest frame."""
        return self._motion == "relative"

    @property
    def can_render(self) -> bool:
        """Whether `render` can be used: it computes with PyTorch in float32."""
        return self._runtime in ("auto", "torch") and self._precision in ("auto", "fp32")

    @torch.inference_mode()
    def render(
        self,
        frame: Frame,
        *,
        background: Float[Tensor, "1 2 3"] | None = None,
        torso: Float[Tensor, "1 2 3"] | None = None,
        with_attention: bool = False,
    ) -> Rendering:
        """The picture for one driving frame with all that made it: flow, masks, occlusion, attention if asked for.

        Relative motion is measured from the first frame rendered since `set_source` or `restart`. `background` and
        `torso`: how they moved between portrait and frame, if both are of one video (`Family.background` and
        `.torso`); None: the background stands still, the torso follows its keypoints.

        Raises:
            UserError: another runtime or precision than PyTorch in float32 was chosen.
        """
        if not self.can_render:
            raise UserError(
                f"a rendering needs PyTorch in float32, not {self._runtime} in {self._precision}: "
                "use runtime torch and precision fp32"
            )
        source = self._encoded()
        moved = self._moved(source.code, self._found(self._checked(frame).to(self._device)))
        if torso is not None:
            moved = self.model.place_torso(source.code, moved, torso)
        return self.model.render(source, moved, with_attention, background)

    def _found(self, image: Float[Tensor, "1 3 h w"]) -> Any:
        """The code of a frame; what a face reader sees in it only if motion is transferred to another face."""
        see = self.model.view if self._motion == "relative" else self.model.detect
        return see(image).code

    def _moved(self, source: Any, driving: Any) -> Any:
        if self._move is None or self._move[0] != self._num_restarts:
            self._move = self._num_restarts, self._mover(source, driving)
        return self._move[1](driving)

    def _streamed(self, source: Any, engine: Engine, frames: Iterable[Frame]) -> Iterator[Picture]:
        with Workers(engine.num_workers) as workers:
            yield from workers.in_order(lambda job: job(), self._jobs(source, engine, frames, workers))

    def _jobs(
        self, source: Any, engine: Engine, frames: Iterable[Frame], workers: Workers
    ) -> Iterator[Callable[[], Picture]]:
        """For each frame what makes its picture. A rest frame's code is waited for, once."""
        begun, draw = -1, None
        for frame in frames:
            if draw is None or begun != self._num_restarts:
                begun, initial = self._num_restarts, workers.run(self._seen, frame)
                draw = self._drawing(source, engine, initial)
                yield partial(draw, initial)
            else:
                yield partial(self._followed, draw, frame)

    def _followed(self, draw: Draw, frame: Frame) -> Picture:
        return draw(self._seen(frame))

    def _drawn(self, draw: Draw, driving: Iterable[Any]) -> Iterator[Picture]:
        with Workers(self.prepare().num_workers) as workers:
            yield from workers.in_order(draw, driving)

    @torch.inference_mode()
    def _drawing(self, source: Any, engine: Engine, initial: Any) -> Draw:
        """The picture of a driving code, as a function of it."""
        move, stage = self._mover(source.code, initial), self._staged()

        def draw(driving: Any) -> Picture:
            if self._source is not source:
                raise RuntimeError("another portrait was set before the pictures of the last one were finished")
            layers = finite(engine.layers(move(driving)))
            return stage.canvas.place(to_pixels(self.model.composition(layers, stage.backdrop)))

        return draw

    def _seen(self, frame: Frame) -> Any:
        return self.prepare().keypoints(self._checked(frame).contiguous())

    def _checked(self, frame: Frame) -> Float[Tensor, "1 3 h w"]:
        image, expected = _tensor(frame), self._encoded().image.shape
        if image.shape != expected:
            sizes = (f"{shape[3]}x{shape[2]}" for shape in (image.shape, expected))
            raise UserError("a driving frame is {}, but the portrait is {}: scale both to one size".format(*sizes))
        return image

    def _staged(self) -> Stage:
        self._encoded()
        assert self._stage is not None
        return self._stage

    def _encoded(self) -> Any:
        if self._source is None:
            raise RuntimeError("no portrait: call set_source first")
        return self._source

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self.model)


def _tensor(frame: Frame) -> Float[Tensor, "1 3 h w"]:
    return frame if isinstance(frame, Tensor) else to_tensor(frame)


def _checked_square(image: Float[Tensor, "1 3 h w"]) -> Float[Tensor, "1 3 h h"]:
    height, width = image.shape[2:]
    if height != width or height % SIDE_STEP:
        raise UserError(f"the portrait is {width}x{height}; crop it to a square of a multiple of {SIDE_STEP} pixels")
    return image


def _mover_of(model: Family, relative: bool, adapt_scale: bool, edit: FaceEdit) -> Callable[[Any, Any], Any]:
    if relative:
        return partial(model.edited_mover, edit=edit, adapt_scale=adapt_scale)
    if edit not in (PLAIN, DEFAULT):
        raise UserError("amount, parts, expression, turn and translation change relative motion; use --motion relative")
    return partial(model.mover, relative=False, adapt_scale=adapt_scale)


@cache
def _matte(device: torch.device) -> MatteNet:
    return load_matte().to(device)


def finite(layers: Layers) -> Layers:
    """The layers as they are. Raises UserError for values that are not finite, which bytes would hide."""
    if not all(bool(part.sum().isfinite()) for part in layers):
        raise UserError("the model's picture has values that are not finite; its weights are damaged")
    return layers


def finite_pixels(image: Float[Tensor, "1 3 h w"]) -> Picture:
    """The bytes of a picture. Raises UserError for values that are not finite, which bytes would hide."""
    if not image.isfinite().all():
        raise UserError("the model's picture has values that are not finite; its weights are damaged")
    return to_pixels(image)


def _checked_rest(motion: MotionMode, rest: RestFrame) -> RestFrame:
    """The rest frame for a kind of motion; "first" for absolute motion, which needs none. Raises ValueError."""
    if motion not in get_args(MotionMode):
        raise ValueError(f"motion is {motion!r}; expected one of {', '.join(get_args(MotionMode))}")
    if rest not in ("best", "first") and not (isinstance(rest, int) and rest >= 0):
        raise ValueError(f"rest is {rest!r}; expected best, first or the number of a frame from 0")
    return rest if motion == "relative" else "first"


def _check_number(number: int, count: int, purpose: str) -> int:
    if not 0 <= number < count:
        raise UserError(f"the driver has frames 0 to {count - 1}; there is no frame {number} to {purpose}")
    return number

"""Models as systems: a model file through `Animator`, as `dagan animate` uses it, or any function of two images."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

import dagan
from dagan.data.clips import Clip, fit_square, read_clip
from dagan.data.decoding import DecodeReport
from dagan.data.protocols import Frame, ReenactmentPair
from dagan.data.weight_files import sha256_of
from dagan.errors import UserError
from dagan.evaluation.pairs import RestFrames
from dagan.evaluation.systems import PairImages, System
from dagan.images import to_tensor
from dagan.inference.animator import Animator, MotionMode, finite_pixels
from dagan.inference.recorded_motion import RecordedMotion
from dagan.models.family import Family
from dagan.models.weights import DEFAULT_WEIGHTS
from dagan.runtime.engine import Precision, Runtime
from dagan.types import Rendering

BUNDLED = "bundled weights"
ANY_RATE = Fraction(25)  # frames per second: of no use here, but a recorded motion has one
MOTIONS_KEPT = 1000  # of driving clips, some 100 kB each


@runtime_checkable
class Generated(Protocol):
    """What a model's answer must have; `dagan.types.Rendering` does."""

    @property
    def generated(self) -> Tensor: ...


Model = Callable[[Tensor, Tensor], Generated]  # source, driving `1 3 h w` in [0, 1]: any talking head fits


class ModelSystem:
    """A talking head, used through `Animator` as `dagan animate` uses it. Equal sources are encoded once.

    Between two frames of one clip the model is told how background and torso moved, unless `still_background`. A clip
    that drives with motion relative to its best rest frame is watched once, as a whole.
    """

    def __init__(self, animator: Animator, rest: RestFrames = "", *, still_background: bool = False) -> None:
        self._animator, self._still_background = animator, still_background
        self._device = next(animator.model.parameters()).device
        self._draw = {"": self._absolute, "first": self._from_first, "best": self._from_best}[rest]
        self._source: Frame | None = None
        self._motions: OrderedDict[Clip, RecordedMotion] = OrderedDict()

    def generate(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"] | None:
        self._set_source(pair.source, images.source)
        return self._draw(pair, images)

    def rest_frame(self, pair: ReenactmentPair, source: UInt8[np.ndarray, "h w 3"]) -> int:
        self._set_source(pair.source, source)
        return self._animator.rest_frame(self._motion(pair.driving.clip, len(source)))

    def _set_source(self, frame: Frame, picture: UInt8[np.ndarray, "h w 3"]) -> None:
        if self._source != frame:
            self._animator.set_source(picture)
            self._source = frame

    def _absolute(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"]:
        if pair.source.clip == pair.driving.clip and not self._still_background:
            if not self._animator.can_render:
                raise UserError(
                    "background and torso can only follow the driving frame with PyTorch in float32: "
                    "add --still-background, or use --runtime torch --precision fp32"
                )
            frames = (to_tensor(image).to(self._device) for image in (images.source, images.driving))
            return finite_pixels(same_video_rendering(self._animator, *frames).generated)
        if self._animator.can_render:  # with the numbers of the model itself
            return finite_pixels(self._animator.render(images.driving).generated)
        return next(self._animator.stream([images.driving]))

    def _from_first(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"]:
        assert images.rest is not None
        _, picture = self._animator.stream([images.rest, images.driving])
        return picture

    def _from_best(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"]:
        motion = self._motion(pair.driving.clip, len(images.source))
        return next(self._animator.from_motion(motion, [pair.driving.number]))

    def _motion(self, clip: Clip, size: int) -> RecordedMotion:
        """The motion of a driving clip; the last `MOTIONS_KEPT` are kept: some kilobytes for each second of video."""
        if clip not in self._motions:
            frames = (fit_square(frame, size) for frame in read_clip(clip, DecodeReport()))
            self._motions[clip] = self._animator.watch(frames, ANY_RATE)
            if len(self._motions) > MOTIONS_KEPT:
                self._motions.popitem(last=False)
        return self._motions[clip]


@torch.inference_mode()
def same_video_rendering(
    animator: Animator, source: Float[Tensor, "1 3 h w"], driving: Float[Tensor, "1 3 h w"]
) -> Rendering:
    """The animator's portrait for a frame of the same video: background and torso are registered from both frames."""
    model = animator.model
    return animator.render(driving, background=model.background(source, driving), torso=model.torso(source, driving))


class FunctionSystem:
    """A function of source and driving image, on images rounded to 8 bits as a file would hold them."""

    def __init__(self, model: Model, device: torch.device | str = "cpu") -> None:
        self._model, self._device = model, device

    def generate(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"] | None:
        with torch.inference_mode():
            source, driving = (to_tensor(image).to(self._device) for image in images[:2])
            image = self._model(source, driving).generated
        if image.shape != driving.shape:
            raise ValueError(f"the model made an image of shape {tuple(image.shape)} of {tuple(driving.shape)}")
        return finite_pixels(image)


def system_of(model: Model, device: torch.device | str = "cpu") -> System:
    """A model in memory as a system, with absolute motion; it must be on `device`."""
    if isinstance(model, Family):
        return ModelSystem(Animator(model, "torch", "fp32", motion="absolute"))
    return FunctionSystem(model, device)


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file of ours; None for the bundled weights. `runtime` and `precision` as in `Animator`."""

    path: str | None = None
    device: str = "cpu"
    label: str | None = None
    still_background: bool = False
    runtime: Runtime = "torch"
    precision: Precision = "fp32"

    @property
    def name(self) -> str:
        return self.label or ", ".join([self.path or BUNDLED, *self._choices()])

    def fingerprint(self) -> str:
        bundled = Path(dagan.__file__).parent / "assets" / DEFAULT_WEIGHTS
        path = Path(self.path) if self.path is not None else bundled
        return " ".join([sha256_of(path) if path.is_file() else "missing", *self._choices()])

    def build(self, rest: RestFrames = "") -> ModelSystem:
        model = dagan.load(self.path, self.device)
        motion: MotionMode = "relative" if rest else "absolute"
        animator = Animator(model, self.runtime, self.precision, motion, rest or "first")
        return ModelSystem(animator, rest, still_background=self.still_background)

    def _choices(self) -> list[str]:
        """What differs from the usual, in words."""
        is_usual = (self.runtime, self.precision) == ("torch", "fp32")
        runtime = [] if is_usual else [f"{self.runtime} {self.precision}"]
        return [*(["still background"] if self.still_background else []), *runtime]

"""Models as systems: a model file through `Animator`, as `dagan animate` uses it."""

from collections import OrderedDict
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

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
from dagan.evaluation.pairs import RELATIVE, Motion
from dagan.evaluation.systems import PairImages
from dagan.images import to_tensor
from dagan.inference.animator import Animator, MotionMode, finite_pixels
from dagan.inference.recorded_motion import RecordedMotion
from dagan.models.weights import DEFAULT_WEIGHTS
from dagan.runtime.engine import Precision, Runtime
from dagan.types import Rendering

BUNDLED = "bundled weights"
ANY_RATE = Fraction(25)  # frames per second: of no use here, but a recorded motion has one
MOTIONS_KEPT = 1000  # of driving clips, some 100 kB each


class ModelSystem:
    """A talking head, used through `Animator` as `dagan animate` uses it. Equal sources are encoded once.

    With motion "registered" the model is also told how background and torso moved between source and driving frame. A
    clip that drives with motion relative to its best rest frame is watched once, as a whole.
    """

    def __init__(self, animator: Animator, motion: Motion = "absolute") -> None:
        self._animator = animator
        self._device = next(animator.model.parameters()).device
        self._draw = {
            "given": self._absolute,
            "absolute": self._absolute,
            "registered": self._registered,
            "from source": self._from_rest,
            "from first": self._from_rest,
            "from best": self._from_best,
        }[motion]
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
        if self._animator.can_render:  # with the numbers of the model itself
            return finite_pixels(self._animator.render(images.driving).generated)
        return next(self._animator.stream([images.driving]))

    def _registered(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"]:
        if not self._animator.can_render:
            raise UserError("--motion registered needs PyTorch in float32: use --runtime torch --precision fp32")
        frames = (to_tensor(image).to(self._device) for image in (images.source, images.driving))
        return finite_pixels(same_video_rendering(self._animator, *frames).generated)

    def _from_rest(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"]:
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


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file of ours; None for the bundled weights. `runtime` and `precision` as in `Animator`."""

    path: str | None = None
    device: str = "cpu"
    label: str | None = None
    runtime: Runtime = "torch"
    precision: Precision = "fp32"

    @property
    def name(self) -> str:
        return self.label or ", ".join([self.path or BUNDLED, *self._choices()])

    def fingerprint(self) -> str:
        bundled = Path(dagan.__file__).parent / "assets" / DEFAULT_WEIGHTS
        path = Path(self.path) if self.path is not None else bundled
        return " ".join([sha256_of(path) if path.is_file() else "missing", *self._choices()])

    def build(self, motion: Motion = "given") -> ModelSystem:
        model = dagan.load(self.path, self.device)
        mode: MotionMode = "relative" if motion in RELATIVE else "absolute"
        animator = Animator(model, self.runtime, self.precision, mode, "best" if motion == "from best" else "first")
        return ModelSystem(animator, motion)

    def _choices(self) -> list[str]:
        """What differs from the usual, in words."""
        is_usual = (self.runtime, self.precision) == ("torch", "fp32")
        return [] if is_usual else [f"{self.runtime} {self.precision}"]

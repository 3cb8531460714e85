"""What moves a portrait: a video, or a recorded motion."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from dagan.data.decoding import DecodeReport, read_frames
from dagan.images import Crop, apply_crop
from dagan.inference.animator import Animator
from dagan.inference.crop import CropChoice, crop_for_video
from dagan.inference.recorded_motion import SUFFIX, RecordedMotion, load_motion
from dagan.inference.video import probe

LOOKS_PER_SECOND = 2  # how often a face is looked for in a driving video
SECONDS_LOOKED_AT = 10


class Driver(NamedTuple):
    """What moves a portrait: its frame rate, its length if known, the file with its sound if any."""

    rate: Fraction
    num_frames: int | None
    audio: Path | None
    by: RecordedMotion | Iterator[Float[Tensor, "1 3 h w"]]

    def drive(self, animator: Animator) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """The pictures of the animator's portrait; each is made when it is asked for."""
        return animator.from_motion(self.by) if isinstance(self.by, RecordedMotion) else animator.stream(self.by)


def open_driver(path: Path, choice: CropChoice, size: int) -> Driver:
    """The driver in a file: a recorded motion if its name ends so, else a video, cropped and scaled to `size` pixels.

    Raises:
        UserError: no such file, neither video nor motion, no frames, or no face where one was to be found.
    """
    return motion_driver(path) if path.suffix.lower() == SUFFIX else video_driver(path, choice, size)


def motion_driver(path: Path) -> Driver:
    """A recorded motion, which has neither pixels to crop nor sound. Raises UserError."""
    motion = load_motion(path)
    return Driver(motion.fps, len(motion), None, motion)


def video_driver(path: Path, choice: CropChoice, size: int) -> Driver:
    """A video, decoded as it is needed; see `cropped_frames`. Raises UserError."""
    info = probe(path)
    frames = cropped_frames(path, info.rate, choice, size)
    audio = path if info.has_audio else None
    return Driver(info.rate, info.num_frames_estimate, audio, frames)


def cropped_frames(path: Path, rate: Fraction, choice: CropChoice, size: int) -> Iterator[Float[Tensor, "1 3 h w"]]:
    """The frames of a video, all with one crop, scaled to `size` pixels; they are decoded as they are needed.

    If a face has to be found, it is looked for in the first ten seconds, now.

    Raises:
        UserError: no such file, not a video, no frames, or no face.
    """
    crop = crop_of_file(path, rate, choice)
    return (apply_crop(frame, crop, size)[None] for frame in read_frames(path))


def crop_of_file(path: Path, rate: Fraction, choice: CropChoice) -> Crop:
    """One crop for a whole video file, found in its first ten seconds. Raises UserError as `crop_for_video`."""
    step = max(1, round(rate / LOOKS_PER_SECOND))
    sample = islice(read_frames(path, DecodeReport()), 0, round(SECONDS_LOOKED_AT * rate), step)
    return crop_for_video(sample, choice, name=str(path))

"""What moves a portrait: a video, or a recorded motion."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from jaxtyping import Float
from torch import Tensor

from dagan.data.decoding import DecodeReport, read_frames
from dagan.images import Crop, apply_crop
from dagan.inference.crop import CropChoice, crop_for_video
from dagan.inference.recorded_motion import SUFFIX, Motion, load_motion
from dagan.inference.video import probe

LOOKS_PER_SECOND = 2  # how often a face is looked for in a driving video
SECONDS_LOOKED_AT = 10


Shown = TypeVar("Shown", covariant=True)


class Driven(Protocol[Shown]):
    """What can be moved by either kind of driver: an `Animator` (renderings), a `Performer` (pictures)."""

    def stream(self, frames: Iterable[Float[Tensor, "1 3 h w"]]) -> Iterator[Shown]: ...

    def from_motion(self, motion: Motion) -> Iterator[Shown]: ...


class Driver(NamedTuple):
    """Something that moves a portrait: its frame rate, its length if known, the file with its sound if any."""

    rate: Fraction
    num_frames: int | None
    audio: Path | None
    by: Motion | Iterator[Float[Tensor, "1 3 h w"]]

    def drive(self, portrait: Driven[Shown]) -> Iterator[Shown]:
        """What the driver makes of a portrait that has its source; frames are made when asked for."""
        return portrait.from_motion(self.by) if isinstance(self.by, Motion) else portrait.stream(self.by)


def open_driver(path: Path, choice: CropChoice, size: int) -> Driver:
    """The driver in a file: a recorded motion by its ending, else a video cropped to `choice` and scaled to `size`.

    Raises:
        UserError: no such file, neither video nor motion, no frames, or no face where one was to be found.
    """
    return motion_driver(path) if path.suffix.lower() == SUFFIX else video_driver(path, choice, size)


def motion_driver(path: Path) -> Driver:
    """A recorded motion: keypoints only, so there is nothing to crop and nothing to hear. Raises UserError."""
    motion = load_motion(path)
    return Driver(motion.fps, len(motion), None, motion)


def video_driver(path: Path, choice: CropChoice, size: int) -> Driver:
    """A video, decoded as it is needed; see `cropped_frames`. Raises UserError."""
    info = probe(path)
    frames = cropped_frames(path, info.rate, choice, size)
    audio = path if info.has_audio else None
    return Driver(info.rate, info.num_frames_estimate, audio, frames)


def cropped_frames(path: Path, rate: Fraction, choice: CropChoice, size: int) -> Iterator[Float[Tensor, "1 3 h w"]]:
    """The frames of a video as the model wants them, once, decoded as they are needed; all with one crop.

    Where a face has to be found, the first ten seconds are looked at now.

    Raises:
        UserError: no such file, not a video, no frames, or no face.
    """
    crop = crop_of_file(path, rate, choice)
    return (apply_crop(frame, crop, size)[None] for frame in read_frames(path))


def crop_of_file(path: Path, rate: Fraction, choice: CropChoice) -> Crop:
    """One crop for all of a video file, from looks at its first ten seconds. Raises UserError as `crop_for_video`."""
    step = max(1, round(rate / LOOKS_PER_SECOND))
    sample = islice(read_frames(path, DecodeReport()), 0, round(SECONDS_LOOKED_AT * rate), step)
    return crop_for_video(sample, choice, name=str(path))

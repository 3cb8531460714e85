"""What moves a portrait: a video, whose face is tracked, or a recorded motion."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from dagan.data.decoding import DecodeReport, read_frames
from dagan.data.pictures import is_picture
from dagan.data.timing import read_timed
from dagan.errors import UserError
from dagan.inference.animator import Animator
from dagan.inference.crop import CropChoice
from dagan.inference.face_choice import FaceChoice
from dagan.inference.framing import VideoFraming, frame_video
from dagan.inference.recorded_motion import SUFFIX, RecordedMotion, load_motion
from dagan.inference.track_report import report_of
from dagan.inference.video import VideoInfo, probe
from dagan.transfer.holding import ease_frames, held_motion


class Shown(NamedTuple):
    """When a frame is shown and for how long, in seconds; None: after the last one, until the next one."""

    time: Fraction | None
    duration: Fraction | None


class Driver(NamedTuple):
    """What moves a portrait: its frame rate, its length if known, the file with its sound if any.

    `motion` is there at once for a recorded motion; for a video (`path`, `framing`) it comes from `watched`. `times`
    are those of a video with a variable rate; None: a frame every 1 / `rate` seconds.
    """

    rate: Fraction
    num_frames: int | None
    audio: Path | None = None
    motion: RecordedMotion | None = None
    path: Path | None = None
    framing: VideoFraming | None = None
    times: tuple[Shown, ...] | None = None


Frames = Iterable[Float[Tensor, "1 3 h w"]]


def open_driver(path: Path, choice: CropChoice, face: FaceChoice = "largest") -> Driver:
    """The driver in a file: a recorded motion if its name ends so, else a video, which is scanned for faces now.

    Raises:
        UserError: no such file, neither video nor motion, no frames, or no face where one was to be found.
    """
    if path.suffix.lower() == SUFFIX:
        motion = load_motion(path)
        return Driver(motion.fps, len(motion), motion=motion)
    check_driver_is_video(path)
    info, framing = framed(path, choice, face)
    if len(framing.found) < 2:
        raise UserError(f"{path} has one frame, which does not move; give a video or a recorded motion")
    audio = path if info.has_audio else None
    return Driver(info.rate, len(framing.found), audio, None, path, framing, times_of(path, info))


def watched(
    driver: Driver, animator: Animator, show: Callable[[Frames], Frames] = lambda frames: frames
) -> RecordedMotion:
    """The driver's motion as the portrait follows it: the last pose is held in frames without a face, and the head
    grows and shrinks no further than a photo can follow.

    A video is decoded and watched; `show` wraps its frames, to show progress.

    Raises:
        UserError: the motion was recorded with another model, there is no such rest frame, or the video is damaged.
    """
    if driver.motion is not None:
        animator.rest_frame(driver.motion)  # what does not fit is said at once
        return driver.motion
    assert driver.path is not None
    assert driver.framing is not None
    frames = driver.framing.pictures(read_frames(driver.path), animator.side)
    return followable(animator.watch(show(frames), driver.rate), driver.framing.found, animator)


def followable(motion: RecordedMotion, found: Bool[np.ndarray, " t"], animator: Animator) -> RecordedMotion:
    """The motion with its last pose held where no face was `found`, and its growth bounded against the rest frame."""
    found = found[: len(motion)]
    if not found.any():
        return motion
    numbers = np.flatnonzero(found).tolist()
    rest = animator.rest_frame(motion, numbers)
    at_rest = motion.at(rest)
    held = held_motion(motion.keypoints, found.tolist(), at_rest, ease_frames(float(motion.fps)))
    return replace(motion, keypoints=animator.model.bounded(held, at_rest) if animator.is_relative else held)


def cropped_frames(
    path: Path, choice: CropChoice, size: int, face: FaceChoice = "largest"
) -> tuple[VideoFraming, Iterator[Float[Tensor, "1 3 h w"]]]:
    """How a video is framed, and its frames so, scaled to `size` pixels; they are decoded as they are needed.

    Raises:
        UserError: no such file, not a video, no frames, or no face.
    """
    _, framing = framed(path, choice, face)
    return framing, framing.pictures(read_frames(path), size)


def times_of(path: Path, info: VideoInfo) -> tuple[Shown, ...] | None:
    """When the frames of a video with a variable rate are shown; None where they come at even intervals."""
    if not info.is_variable:
        return None
    return tuple(Shown(time, lasts) for _, time, lasts in read_timed(path, DecodeReport()))


def framed(path: Path, choice: CropChoice, face: FaceChoice = "largest") -> tuple[VideoInfo, VideoFraming]:
    """What a video file holds, and how its frames are cropped.

    Raises:
        UserError: as `cropped_frames`.
    """
    info = probe(path)
    return info, frame_video(lambda: read_frames(path, DecodeReport()), float(info.rate), choice, face, name=str(path))


def check_faces(driver: Driver, name: str) -> None:
    """Raises UserError for a video of which more than half has no face."""
    if driver.framing is None:
        return
    counts = report_of(driver.framing)
    if counts.is_mostly_lost:
        raise UserError(
            f"{counts.held} of {counts.frames} frames of {name} have no face; "
            "give a video that shows one, or add --force"
        )


def check_driver_is_video(path: Path) -> None:
    """Raises UserError for a picture: a portrait cannot move as something that does not move."""
    if is_picture(path):
        raise UserError(f"DRIVING is a picture: {path}; give a video or a recorded motion")

"""The square that is cut out of each frame of a driving video: one and the same where the person keeps her place, and
gliding along where she walks or the camera pans or zooms. Each shot has its own.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image
from torch import Tensor

from dagan.errors import UserError
from dagan.images import Crop, apply_crop, to_picture, to_tensor
from dagan.inference.crop import CropChoice, crop_of_faces, fixed_crop, square_crop
from dagan.inference.face_choice import FaceChoice, extent, no_such_face
from dagan.inference.face_detector import FaceBox, FaceDetector, YuNet
from dagan.inference.face_track import FaceTrack, sample_step, track_face, video_quarter
from dagan.inference.quarter_turn import turn

Picture = UInt8[np.ndarray, "h w 3"]

SECONDS_LOOKED_AT = 10  # of a shot, for the crop in which it begins
MOST_WIDENED = 1.35  # of a crop: a person who moves further is followed
# In 227 training clips, under one crop for each, faces reach beyond the crop by at most 0.05 of its side, and their
# sizes lie between 0.75 and 1.39 times the median.
MAY_LEAVE = 0.06  # of the crop's side: how far a face may reach beyond a crop that stands still
MAY_SHRINK, MAY_GROW = 0.7, 1.42
SLACK, SLACK_IN_SIZE = 0.06, 0.08  # of the side, and of its logarithm: how far a face moves before the crop follows
SETTLED = 2.0  # seconds for which a person must keep her place for the crop to stand still at first
REST = 1.0  # seconds without following after which the crop stands still
GLIDE = 0.25  # seconds: standard deviation of what smooths the crop's path
GRID = 64  # steps in a pixel to which the path is rounded: standing still is exact


class VideoFraming(NamedTuple):
    """What is cut out of the frames of a video, after `turn(frame, track.quarter)`.

    `windows`: x, y and side of the square of each frame, in pixels. `found`: which frames show the face.
    """

    track: FaceTrack
    windows: Float[np.ndarray, "t 3"]
    found: Bool[np.ndarray, " t"]

    def pictures(self, frames: Iterable[Picture], size: int) -> Iterator[Float[Tensor, "1 3 size size"]]:
        """The squares of all frames, as they come, at `size` pixels."""
        for number, frame in enumerate(frames):
            yield self.picture(number, frame, size)

    def picture(self, number: int, frame: Picture, size: int) -> Float[Tensor, "1 3 size size"]:
        """The square of one frame, RGB in [0, 1]."""
        window = self.windows[min(number, len(self.windows) - 1)]
        return cut_window(turn(frame, self.track.quarter), window, size)[None]


def frame_video(
    read: Callable[[], Iterator[Picture]],
    rate: float,
    choice: CropChoice,
    face: FaceChoice = "largest",
    detector: FaceDetector | None = None,
    name: str = "the video",
) -> VideoFraming:
    """The turn, the crop of each frame, and which frames show a face, of a video that `read` reads from its start.

    It is read once to its end, and once more up to the first face. Under a crop that does not look for faces (`none`,
    or a rectangle) nothing is turned, and if no face is seen in it at all, every frame counts as showing one.

    Raises:
        UserError: no frames, no face or none such as was asked for, or the crop lies outside.
    """
    detector = detector or YuNet()
    if choice != "auto":
        return _framed_alike(read, rate, choice, detector, name)
    quarter = video_quarter(read(), rate, detector)
    track = track_face(read(), rate, detector, face, quarter)
    if not len(track.scores):
        raise UserError(f"{name} has no frames")
    if track.taken is None and track.faces:
        raise no_such_face(track.faces, face, name)
    if track.taken is None:
        looked = f"looked at {track.looks} of {len(track.scores)} frames"
        raise UserError(f"no face found in {name} ({looked}); use --crop none or --crop x,y,w,h if there is one")
    return VideoFraming(track, windows_of(track, rate), track.found)


def _framed_alike(
    read: Callable[[], Iterator[Picture]],
    rate: float,
    choice: Literal["none"] | Crop,
    detector: FaceDetector,
    name: str,
) -> VideoFraming:
    """One crop for all frames, as it was asked for."""
    first = next(read(), None)
    if first is None:
        raise UserError(f"{name} has no frames")
    crop = fixed_crop(choice, (first.shape[1], first.shape[0]), name)
    left, top = max(crop.x, 0), max(crop.y, 0)
    inside = (frame[top : crop.y + crop.size, left : crop.x + crop.size] for frame in read())
    track = track_face(map(np.ascontiguousarray, inside), rate, detector)
    found = track.found if track.found.any() else np.ones(len(track.scores), bool)
    return VideoFraming(track, np.tile(np.array(crop, float), (len(found), 1)), found)


def windows_of(track: FaceTrack, rate: float) -> Float[np.ndarray, "t 3"]:
    """The square for each frame of a track with at least one face."""
    windows = np.zeros((len(track.scores), 3))
    starts = np.flatnonzero(np.diff(track.shots, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(windows)], strict=True):
        windows[start:end] = _windows_of_shot(track, slice(start, end), rate)
    return windows


def _windows_of_shot(track: FaceTrack, shot: slice, rate: float) -> Float[np.ndarray, "t 3"]:
    """Of the frames of one shot, which has at least one face."""
    found = track.found[shot]
    boxes = track.boxes[shot].astype(float)
    boxes[: np.argmax(found)] = boxes[np.argmax(found)]  # until the face shows
    sample = _sample(boxes, found, shot.start, rate)
    base = crop_of_faces(sample, track.image_size, MOST_WIDENED)
    usual = float(np.median([extent(face) for face in sample]))
    early = boxes[: round(SETTLED * rate)]
    if not all(_stays(box, np.array(base, float), usual) for box in early):  # the person is on the move already
        base, usual = square_crop(_face(boxes[0]), track.image_size), extent(_face(boxes[0]))
    path = _followed(boxes, base, usual, track.image_size, max(1, round(REST * rate)))
    return np.round(_smooth(path, GLIDE * rate) * GRID) / GRID


def _sample(boxes: Float[np.ndarray, "t 4"], found: Bool[np.ndarray, " t"], start: int, rate: float) -> list[FaceBox]:
    """The faces that decide how a shot is cropped: a few per second of its first seconds, or of those after its first
    face."""
    numbers = np.flatnonzero(found)
    regular = numbers[(start + numbers) % sample_step(rate) == 0]
    for first in (0, numbers[0]):
        early = regular[(regular >= first) & (regular < first + round(SECONDS_LOOKED_AT * rate))]
        if len(early):
            return [_face(boxes[number]) for number in early]
    return [_face(boxes[number]) for number in numbers]


def _followed(
    boxes: Float[np.ndarray, "t 4"], base: Crop, usual: float, image_size: tuple[int, int], rest: int
) -> Float[np.ndarray, "t 3"]:
    """The square of each frame before it is smoothed: it stands still until the face leaves it, then goes along until
    the face has kept its place for `rest` frames. `usual`: the size of the face for which `base` was made."""
    window, path, still = np.array(base, float), np.zeros((len(boxes), 3)), rest
    for number, box in enumerate(boxes):
        if still < rest or not _stays(box, window, usual):
            wanted = square_crop(_face(box), image_size)
            moved = _dragged(window, np.array(wanted, float))
            still = still + 1 if np.array_equal(moved, window) else 0
            window, usual = moved, extent(_face(box)) if still == 0 else usual
        path[number] = window
    return path


def _stays(box: Float[np.ndarray, "4"], window: Float[np.ndarray, "3"], usual: float) -> bool:
    """Whether a face lies in a square well enough for it to stand still."""
    x, y, side = window
    beyond = max(x - box[0], y - box[1], box[0] + box[2] - x - side, box[1] + box[3] - y - side)
    return bool(beyond <= MAY_LEAVE * side and MAY_SHRINK <= extent(_face(box)) / max(usual, 1.0) <= MAY_GROW)


def _dragged(window: Float[np.ndarray, "3"], wanted: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The square, moved and scaled until it is as near to the wanted one as the slack asks for."""
    ratio = float(np.log(wanted[2] / window[2]))
    side = window[2] * np.exp(ratio - np.clip(ratio, -SLACK_IN_SIZE, SLACK_IN_SIZE))
    shift = wanted[:2] + wanted[2] / 2 - window[:2] - window[2] / 2
    slack = SLACK * side
    middle = window[:2] + window[2] / 2 + shift - np.clip(shift, -slack, slack)
    moved = np.array([*(middle - side / 2), side])
    return window if np.allclose(moved, window, atol=1e-6) else moved


def _smooth(path: Float[np.ndarray, "t 3"], deviation: float) -> Float[np.ndarray, "t 3"]:
    """The path after a Gaussian filter, forwards and backwards alike; its ends go on as they are."""
    reach = min(int(np.ceil(3 * deviation)), 10_000)
    weights = np.exp(-((np.arange(-reach, reach + 1) / max(deviation, 1e-6)) ** 2) / 2)
    padded = np.pad(path, ((reach, reach), (0, 0)), mode="edge")
    return np.stack([np.convolve(column, weights / weights.sum(), "valid") for column in padded.T], -1)


def cut_window(frame: Picture, window: Float[np.ndarray, "3"], size: int) -> Float[Tensor, "3 size size"]:
    """A square of a frame at `size` pixels, RGB in [0, 1]; it may begin between pixels and reach beyond the frame."""
    x, y, side = (float(value) for value in window)
    if x.is_integer() and y.is_integer() and side.is_integer():
        return apply_crop(frame, Crop(int(x), int(y), int(side)), size)
    left, top = math.floor(x), math.floor(y)
    around = Crop(left, top, max(math.ceil(x + side) - left, math.ceil(y + side) - top))
    pixels = to_picture(apply_crop(frame, around, around.size))
    box = (x - left, y - top, x - left + side, y - top + side)
    return to_tensor(np.asarray(pixels.resize((size, size), Image.Resampling.BICUBIC, box)))[0]


def _face(box: Float[np.ndarray, "4"]) -> FaceBox:
    x, y, width, height = box.tolist()
    return FaceBox(x, y, width, height, 1.0, np.zeros((5, 2)))

"""The first look at a raw video: its shots, and every face in them. A few numbers a frame are kept, no pictures."""

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dagan.data.timing import TimedFrame
from dagan.inference.face_detector import FaceBox, FaceDetector
from dagan.inference.face_likeness import Sample
from dagan.inference.face_track import video_quarter
from dagan.inference.quarter_turn import turn, turn_size
from dagan.preparation.shots import ShotFinder
from dagan.preparation.tracks import ManyTracks, Track, samples_of

LOOKS_A_SECOND = 8
PATIENCE = 0.5  # seconds for which a face may be hidden

Read = Callable[[], Iterator[TimedFrame]]


class Watched(NamedTuple):
    """The shots and tracks of a video, in pixels of `turn(frame, quarter)`.

    `times`: when each frame is shown, in seconds from the first one. `shots`: the first frame of each, ascending.
    """

    tracks: list[Track]
    shots: list[int]
    times: Float[np.ndarray, " t"]
    image_size: tuple[int, int]
    quarter: int


class _Look(NamedTuple):
    number: int
    faces: list[FaceBox]
    samples: list[Sample]


def watch(read: Read, rate: float, detector: FaceDetector) -> Watched:
    """Looks at each third or so of the frames of a video, which `read` reads from its start."""
    quarter = video_quarter((frame.pixels for frame in read()), rate, detector)
    step = max(1, round(rate / LOOKS_A_SECOND))
    tracks, finder = ManyTracks(max(step, round(PATIENCE * rate))), ShotFinder()
    waiting: deque[_Look] = deque()
    times, size = array("d"), (0, 0)
    for number, frame in enumerate(read()):
        size = size if number else (frame.pixels.shape[1], frame.pixels.shape[0])
        picture = turn(frame.pixels, quarter)
        finder.add(picture)
        times.append(float(frame.time))
        if number % step == 0:
            faces = detector.detect(picture)
            waiting.append(_Look(number, faces, samples_of(picture, faces)))
        _hand_over(waiting, finder, tracks)
    finder.finish()
    _hand_over(waiting, finder, tracks)
    return Watched(tracks.finish(), [0, *finder.cuts], np.asarray(times), turn_size(size, quarter), quarter)


def _hand_over(waiting: deque[_Look], finder: ShotFinder, tracks: ManyTracks) -> None:
    """The looks whose shot is known by now."""
    while waiting and waiting[0].number < finder.decided:
        look = waiting.popleft()
        tracks.add(look.number, bisect_right(finder.cuts, look.number), look.faces, look.samples)

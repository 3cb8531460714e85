"""Every face of a video through its shots: which boxes of neighbouring looks are one face."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from dagan.inference.face_detector import FaceBox
from dagan.inference.face_follower import apart, growth
from dagan.inference.face_likeness import Sample, alike, patch

FAR = 0.6  # sizes of a face: how far it goes from one look to the next, at most
GROWN = 1.5
UNLIKE = 1.6  # greatest difference (place, size, pixels) of two boxes of one face
LIKENESS_COUNTS = 1.5  # against a distance in sizes of the face
FEWEST_LOOKS = 2  # a box that was seen once is no face


class Track(NamedTuple):
    """One face in one shot: its boxes (x, y, width, height in pixels) in frames `first` to `first + t - 1`."""

    shot: int
    first: int
    boxes: Float[np.ndarray, "t 4"]
    scores: Float[np.ndarray, " t"]

    @property
    def end(self) -> int:
        """The number of the frame after the last one."""
        return self.first + len(self.scores)

    def part(self, first: int, end: int) -> "Track":
        """The frames from `first` up to `end`, numbers as those of the video."""
        chosen = slice(first - self.first, end - self.first)
        return Track(self.shot, first, self.boxes[chosen], self.scores[chosen])


@dataclass
class _Open:
    """A track that may go on."""

    shot: int
    sample: Sample
    numbers: list[int] = field(default_factory=list)
    faces: list[FaceBox] = field(default_factory=list)


class ManyTracks:
    """Takes the faces of looked-at frames in their order. A face that is not seen for `patience` frames is gone."""

    def __init__(self, patience: int) -> None:
        self.done: list[Track] = []
        self._patience = patience
        self._open: list[_Open] = []

    def add(self, number: int, shot: int, faces: Sequence[FaceBox], samples: Sequence[Sample]) -> None:
        """The faces of the next frame that was looked at, and what each looks like (`face_likeness.patch`)."""
        self._close(lambda track: track.shot != shot or number - track.numbers[-1] > self._patience)
        pairs = sorted(
            (cost, place, index)
            for place, track in enumerate(self._open)
            for index, face in enumerate(faces)
            if (cost := _difference(face, samples[index], track)) <= UNLIKE
        )
        taken: set[int] = set()
        followed: set[int] = set()
        for _, place, index in pairs:
            if place not in followed and index not in taken:
                followed.add(place)
                taken.add(index)
                self._go_on(self._open[place], number, faces[index], samples[index])
        for index, face in enumerate(faces):
            if index not in taken:
                self._open.append(_Open(shot, samples[index], [number], [face]))

    def finish(self) -> list[Track]:
        """All tracks, in the order of their first frames, from left to right."""
        self._close(lambda track: True)
        return sorted(self.done, key=lambda track: (track.first, float(track.boxes[0, 0])))

    def _go_on(self, track: _Open, number: int, face: FaceBox, sample: Sample) -> None:
        track.numbers.append(number)
        track.faces.append(face)
        track.sample = sample

    def _close(self, is_over: Callable[[_Open], bool]) -> None:
        over = [track for track in self._open if is_over(track)]
        self._open = [track for track in self._open if not is_over(track)]
        self.done += [_dense(track) for track in over if len(track.numbers) >= FEWEST_LOOKS]


def samples_of(picture: UInt8[np.ndarray, "h w 3"], faces: Sequence[FaceBox]) -> list[Sample]:
    """What each of the faces of a picture looks like."""
    return [patch(picture, face) for face in faces]


def _difference(face: FaceBox, sample: Sample, track: _Open) -> float:
    """How little a face is the one that was followed; infinite where it cannot be."""
    last = track.faces[-1]
    if apart(face, last) > FAR or growth(face, last) > GROWN:
        return float("inf")
    return apart(face, last) + float(np.log2(growth(face, last))) + LIKENESS_COUNTS * (1 - alike(sample, track.sample))


def _dense(track: _Open) -> Track:
    """A box for each frame: on a straight way between two looks."""
    numbers: Int[np.ndarray, " n"] = np.asarray(track.numbers)
    known = np.asarray([[*face[:4], face.score] for face in track.faces], float)  # n 5
    frames = np.arange(numbers[0], numbers[-1] + 1)
    dense = np.stack([np.interp(frames, numbers, column) for column in known.T], -1)
    return Track(track.shot, int(numbers[0]), dense[:, :4], dense[:, 4])

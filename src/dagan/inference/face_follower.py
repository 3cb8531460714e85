"""Which of the faces of a frame is the one that was followed so far."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8

from dagan.inference.face_choice import FaceChoice, centre, choose_face, extent, left_to_right
from dagan.inference.face_detector import FaceBox
from dagan.inference.face_likeness import SAME_SCENE, Sample, alike, patch

# Of 227 training clips, looked at in each fourth frame, no face moved by more than 0.9 of its size between two looks,
# or grew by more than 1.4 in all of a clip.
FAR = 1.0  # sizes of a face: one further away, or GROWN times as large or small, is another
GROWN = 1.7
FURTHEST = 2.0  # sizes of a face that it is expected to go while it is hidden
LIKENESS_COUNTS = 1.5  # against a distance in sizes of the face, where several faces are near
SAME_FACE = 0.6  # least likeness of a face that comes back elsewhere
LEARNED = 0.1  # how much of a new look goes into what the followed face looks like


class Frame(NamedTuple):
    """A frame with its thumbnail; `is_cut`: it is unlike the one before."""

    number: int
    picture: UInt8[np.ndarray, "h w 3"]
    thumbnail: Sample
    is_cut: bool


class Follower:
    """Takes the faces of frames one after the other; `shot` counts how often another face was taken.

    The first face is the one that was chosen. Then that which is near and looks like it is followed, unless it is more
    like another face of the last frame: where people cross, the followed one may be hidden. After a cut, or when it was
    lost for more than `patience` frames, the largest is taken. `faces` are those of the first frame,
    `taken` is the chosen one of them; before there is one, `faces` are those of the last frame that had any. `seen` is
    what `last`, the followed face, looked like in the last frame that was looked at.
    """

    def __init__(self, choice: FaceChoice, patience: int) -> None:
        self._choice, self._patience = choice, patience
        self.shot = 0
        self.faces: list[FaceBox] = []
        self.taken: FaceBox | None = None
        self.last: FaceBox | None = None
        self._last_number = -1
        self.seen = self._known = self._scene = np.zeros(0, np.float32)
        self._others: list[tuple[FaceBox, Sample]] = []  # of the last frame with faces
        self._was_cut = False
        self._pace = np.zeros(2)  # of the face's centre, in pixels a frame

    def lost(self, frame: Frame) -> int:
        """For how many frames before this one the followed face has not been seen."""
        return frame.number - self._last_number - 1

    def is_waiting(self, frame: Frame) -> bool:
        """Whether the followed face was seen so lately that no other is taken."""
        return self.last is not None and self.lost(frame) <= self._patience

    def match(self, faces: Sequence[FaceBox], frame: Frame) -> FaceBox | None:
        """The followed face, in a frame of the same scene."""
        if self.last is None:
            return choose_face(faces, self._choice)
        expected = self._expected(self.last, self.lost(frame) + 1)
        near = self._near(faces, expected, self.lost(frame))
        if len(near) < 2 and not self._others:
            return near[0] if near else None
        ours: list[tuple[float, FaceBox]] = []
        for face in near:
            sample = patch(frame.picture, face)
            difference = _difference(face, sample, expected, self._known)
            if all(_difference(face, sample, other, known) > difference for other, known in self._others):
                ours.append((difference, face))
        return min(ours, key=lambda pair: pair[0])[1] if ours else None

    def follow(self, faces: Sequence[FaceBox], frame: Frame) -> FaceBox | None:
        """The face of the next frame that was looked at, which is remembered; None if the followed one is not there."""
        self._was_cut |= frame.is_cut
        if not faces:
            return None
        if self.last is None:
            face = self._first(faces)
        else:
            is_other_scene = self._was_cut and alike(frame.thumbnail, self._scene) < SAME_SCENE
            face = None if is_other_scene else self.match(faces, frame)
            if face is None and (is_other_scene or not self.is_waiting(frame)):
                face = self._another(faces, frame, is_other_scene)
                self.last, self._known = None, np.zeros(0, np.float32)
                self.shot += 1
        if face is not None:
            self._remember(face, frame)
        self._others = self._bystanders(faces, face, frame)
        return face

    def place(self, face: FaceBox, frame: Frame) -> None:
        """The followed face in a frame that was not looked at, between two that were."""
        if self.last is not None:
            step = np.subtract(centre(face), centre(self.last)) / (frame.number - self._last_number)
            self._pace = (self._pace + step) / 2
        else:
            self._pace = np.zeros(2)
        self.last, self._last_number, self._scene = face, frame.number, frame.thumbnail

    def _first(self, faces: Sequence[FaceBox]) -> FaceBox | None:
        self.faces = left_to_right(faces)
        self.taken = choose_face(self.faces, self._choice)
        return self.taken

    def _bystanders(self, faces: Sequence[FaceBox], ours: FaceBox | None, frame: Frame) -> list[tuple[FaceBox, Sample]]:
        """All faces but the followed one; while that is lost, those that were there already: another may be it."""
        seen = [(face, patch(frame.picture, face)) for face in faces if face is not ours]
        if ours is not None:
            return seen
        return [min(seen, key=partial(_unlike, other)) for other in self._others]

    def _another(self, faces: Sequence[FaceBox], frame: Frame, is_other_scene: bool) -> FaceBox | None:
        """The face to go on with: the largest or, in the same scene, one that looks like that which was lost."""
        known = [(alike(patch(frame.picture, face), self._known), face) for face in faces]
        likeness, likest = max(known, key=lambda pair: pair[0])
        return likest if not is_other_scene and likeness >= SAME_FACE else choose_face(faces, "largest")

    def _remember(self, face: FaceBox, frame: Frame) -> None:
        self.seen = patch(frame.picture, face)
        self._known = self._known + LEARNED * (self.seen - self._known) if self._known.size else self.seen
        self._was_cut = False
        self.place(face, frame)

    def _expected(self, last: FaceBox, frames: int) -> FaceBox:
        """Where the followed face is after so many frames if it goes on as it did, but not too far away."""
        way = self._pace * frames
        x, y = way * min(1.0, FURTHEST * extent(last) / max(float(np.hypot(*way)), 1e-6))
        return last._replace(x=last.x + float(x), y=last.y + float(y))

    def _near(self, faces: Sequence[FaceBox], last: FaceBox, lost: int) -> list[FaceBox]:
        """Those that may be the followed one: it may have moved the further, the longer it was not seen."""
        reach = FAR * (1 + min(1.0, lost / self._patience))
        return [face for face in faces if apart(face, last) <= reach and growth(face, last) <= GROWN]


def _unlike(known: tuple[FaceBox, Sample], seen: tuple[FaceBox, Sample]) -> float:
    return _difference(seen[0], seen[1], known[0], known[1])


def _difference(face: FaceBox, sample: Sample, other: FaceBox, known: Sample) -> float:
    """How little a face is one that was seen before, by its place, its size and what it looks like."""
    return apart(face, other) + float(np.log2(growth(face, other))) + LIKENESS_COUNTS * (1 - alike(sample, known))


def apart(face: FaceBox, other: FaceBox) -> float:
    """Distance of two faces' centres, in sizes of the other."""
    (x, y), (u, v) = centre(face), centre(other)
    return float(np.hypot(x - u, y - v)) / max(extent(other), 1.0)


def growth(face: FaceBox, other: FaceBox) -> float:
    """How many times as large the larger of two faces is, at least 1."""
    sizes = max(extent(face), 1.0), max(extent(other), 1.0)
    return max(sizes) / min(sizes)

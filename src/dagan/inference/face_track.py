"""One person's face through a whole video: where it is in each frame, and which frames have none.

The detector looks at every few frames, and at each frame between two looks that do not agree. A few numbers a frame are
kept, and of pictures only those since the last look.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from dagan.inference.face_choice import FaceChoice
from dagan.inference.face_detector import FaceBox, FaceDetector
from dagan.inference.face_follower import Follower, Frame
from dagan.inference.face_likeness import SAME_SCENE, Sample, alike, patch, thumbnail
from dagan.inference.face_search import CONVINCING, find_faces, in_tiles, look_near, overlap
from dagan.inference.quarter_turn import turn, turn_point, turn_size

Picture = UInt8[np.ndarray, "h w 3"]

SAMPLES_A_SECOND = 2  # frames that are looked at in any case
LOOKS_A_SAMPLE = 4  # from one of them to the next,
MOST_BETWEEN = 8  # frames at most apart: so many pictures are kept
AGREES = 0.5  # intersection over union of the boxes of two looks between which none is needed
UNCHANGED = 0.6  # least likeness of the face in a frame between them to that in either
STILL = 0.995  # likeness to a frame without a face from which on a frame is not looked at
PATIENCE = 1.0  # seconds for which a lost face is waited for before another one is followed
SURROUNDINGS = 5.0  # of a face, in sizes of it: where it is looked for when a look at the whole does not show it
VOTES = 5  # looks that decide how a video lies


class FaceTrack(NamedTuple):
    """The face that was followed through t frames, in pixels of `turn(frame, quarter)`.

    `boxes`: x, y, width, height; in a frame without a face those of the last one. `scores`: the detector's confidence;
    0 in a frame without a face. `shots`: numbers from 0; the next one begins when another face is taken, as after a
    cut. `looks`: how many frames the detector saw. `faces`: those of the first frame with the chosen one, left to
    right; `taken`: the chosen one, None if there was no face, or none such.
    """

    boxes: Float[np.ndarray, "t 4"]
    scores: Float[np.ndarray, " t"]
    shots: Int[np.ndarray, " t"]
    image_size: tuple[int, int]  # width and height of the turned frames
    quarter: int
    looks: int
    faces: list[FaceBox]
    taken: FaceBox | None

    @property
    def found(self) -> Bool[np.ndarray, " t"]:
        """Which frames have a face."""
        return self.scores > 0


def sample_step(rate: float) -> int:
    """Every how many frames one is looked at in any case."""
    return max(1, round(rate / SAMPLES_A_SECOND))


def video_quarter(frames: Iterable[Picture], rate: float, detector: FaceDetector) -> int:
    """How many quarter turns bring a video upright: what most of the first frames that show a face say.

    Frames are taken until that is known: one, where the first face is upright beyond doubt. Looks become rarer while
    they show no face.
    """
    votes: list[int] = []
    empty: Sample | None = None
    due = 0
    for number, frame in enumerate(frames):
        if number < due or (empty is not None and _unchanged(thumbnail(frame), empty)):
            continue
        found = find_faces(frame, detector, small=False)
        empty = None if found.faces else thumbnail(frame)
        due = number + max(sample_step(rate), 0 if found.faces else number // 8)
        votes += [found.quarter] if found.faces else []
        is_certain = found.quarter == 0 and any(face.score >= CONVINCING for face in found.faces)
        if is_certain or len(votes) == VOTES:
            break
    return max(sorted(set(votes)), key=votes.count, default=0)


def track_face(
    frames: Iterable[Picture], rate: float, detector: FaceDetector, choice: FaceChoice = "largest", quarter: int = 0
) -> FaceTrack:
    """The chosen face of the first frame that shows it, followed through all frames; after a cut, the largest.

    `choice` means pixels of the frames as they are, before the turn.
    """
    tracker: _Tracker | None = None
    for frame in frames:
        upright = turn(frame, quarter)
        if tracker is None:
            size = (frame.shape[1], frame.shape[0])
            meant = turn_point(choice, size, quarter) if isinstance(choice, tuple) else choice
            tracker = _Tracker(rate, detector, meant, turn_size(size, quarter))
        tracker.add(upright)
    if tracker is None:
        return FaceTrack(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), (0, 0), quarter, 0, [], None)
    return tracker.finished(quarter)


class _Tracker:
    """Takes frames one by one, in their order."""

    def __init__(self, rate: float, detector: FaceDetector, choice: FaceChoice, image_size: tuple[int, int]) -> None:
        self._detector, self._image_size = detector, image_size
        self._step = sample_step(rate)
        parts = max(min(self._step, LOOKS_A_SAMPLE), -(-self._step // MOST_BETWEEN))
        self._due = {round(part * self._step / parts) for part in range(parts)}  # of the frames of a step
        self._patience = max(1, round(PATIENCE * rate))
        self._follower = Follower(choice, self._patience)
        self._boxes, self._scores, self._shots = array("f"), array("f"), array("i")
        self._waiting: list[Frame] = []
        self._before: Sample | None = None  # the thumbnail of the last frame
        self._empty: Sample | None = None  # that of the last look, if it showed no face
        self._looks, self._next_search = 0, 0

    def add(self, picture: Picture) -> None:
        """The next frame."""
        number = len(self._scores) + len(self._waiting)
        seen = thumbnail(picture)
        is_cut = self._before is not None and alike(seen, self._before) < SAME_SCENE
        self._before = seen
        self._waiting.append(Frame(number, picture, seen, is_cut))
        if number % self._step in self._due:
            self._settle()

    def finished(self, quarter: int) -> FaceTrack:
        """The track, after the last frame."""
        self._settle()
        boxes = np.array(self._boxes, np.float32).reshape(-1, 4)
        scores, shots = np.array(self._scores, np.float32), np.array(self._shots, np.int32)
        faces, taken = self._follower.faces, self._follower.taken
        return FaceTrack(boxes, scores, shots, self._image_size, quarter, self._looks, faces, taken)

    def _settle(self) -> None:
        """Stores the face of each frame that waits: by a look at the last of them or, unless it agrees, at each."""
        frames, self._waiting = self._waiting, []
        if not frames:
            return
        if self._shows_nothing_new(frames):
            for _ in frames:
                self._store(None)
            return
        *between, end = frames
        faces = self._look(end)
        boxes = self._agreed(between, end, faces)
        if boxes is None:
            for frame in between:
                self._store(self._follower.follow(self._look(frame), frame))
        else:
            for frame, box in zip(between, boxes, strict=True):
                if box is not None:
                    self._follower.place(box, frame)
                self._store(box)
        self._store(self._follower.follow(faces, end))

    def _store(self, face: FaceBox | None) -> None:
        shown = face or self._follower.last
        self._boxes.extend(shown[:4] if shown is not None else (0.0, 0.0, 0.0, 0.0))
        self._scores.append(face.score if face is not None else 0.0)
        self._shots.append(self._follower.shot)

    def _look(self, frame: Frame) -> list[FaceBox]:
        """The faces of a frame; where the followed one is not among them, its surroundings are looked at too."""
        follower = self._follower
        self._looks += 1
        faces = self._detector.detect(frame.picture)
        if follower.last is None:
            if not faces and frame.number >= self._next_search:
                faces = in_tiles(frame.picture, self._detector)
                self._next_search = 2 * frame.number + self._patience
        elif follower.is_waiting(frame) and follower.match(faces, frame) is None:
            faces = faces + look_near(frame.picture, follower.last, self._detector, SURROUNDINGS)
        self._empty = None if faces else frame.thumbnail
        return faces

    def _shows_nothing_new(self, frames: Sequence[Frame]) -> bool:
        """Whether all are like a frame without a face that was looked at; once a second one is looked at anyway."""
        empty = self._empty
        if empty is None or frames[-1].number % self._patience < len(frames):
            return False
        return all(_unchanged(frame.thumbnail, empty) for frame in frames)

    def _agreed(
        self, between: Sequence[Frame], end: Frame, faces: Sequence[FaceBox]
    ) -> Sequence[FaceBox | None] | None:
        """The faces of frames between two looks, if nothing happened in between; else None."""
        if end.is_cut or any(frame.is_cut for frame in between):
            return None
        start = self._follower.last if self._scores and self._scores[-1] > 0 else None
        match = self._follower.match(faces, end)
        if start is None and match is None:
            return [None] * len(between)
        if start is None or match is None or overlap(start, match) < AGREES:
            return None
        boxes = [_between(start, match, place / (len(between) + 1)) for place in range(1, len(between) + 1)]
        ends = self._follower.seen, patch(end.picture, match)
        for frame, box in zip(between, boxes, strict=True):
            sample = patch(frame.picture, box)
            if max(alike(sample, other) for other in ends) < UNCHANGED:
                return None
        return boxes


def _unchanged(seen: Sample, empty: Sample) -> bool:
    """Whether a frame shows what a frame without a face did."""
    return np.allclose(seen, empty, atol=1) or alike(seen, empty) > STILL


def _between(start: FaceBox, end: FaceBox, share: float) -> FaceBox:
    """The face on its straight way from one box to another, with the lesser of their scores."""
    x, y, width, height = ((1 - share) * a + share * b for a, b in zip(start[:4], end[:4], strict=True))
    return FaceBox(x, y, width, height, min(start.score, end.score), (1 - share) * start.points + share * end.points)

"""Drawn people, and a detector that finds them by their colour: frames cost nothing, and every box is known."""

import numpy as np

from dagan.inference.face_detector import FaceBox

PEOPLE = {"ann": (230, 20), "bob": (20, 230)}  # red and green of a person; blue is the pattern of the face
SIZE = (320, 180)


def face(x, y, size, score=0.95):
    return FaceBox(float(x), float(y), float(size), float(size), score, np.zeros((5, 2), np.float32))


def scene(seed=0, size=SIZE):
    """A room that is not flat."""
    width, height = size
    coarse = np.random.default_rng(seed).integers(40, 160, (6, 8, 3), dtype=np.uint8)
    return coarse[np.arange(height)[:, None] * 6 // height, np.arange(width) * 8 // width]


def with_person(frame, x, y, size=40, who="ann"):
    """The frame with a face whose upper left corner is (x, y); it may reach beyond the frame."""
    frame, (height, width) = frame.copy(), frame.shape[:2]
    rows, columns = (np.arange(size) * 8 // size for _ in range(2))
    pattern = np.random.default_rng(sum(map(ord, who))).integers(0, 256, (8, 8), dtype=np.uint8)[rows[:, None], columns]
    drawn = np.stack([np.full_like(pattern, PEOPLE[who][0]), np.full_like(pattern, PEOPLE[who][1]), pattern], -1)
    top, left = max(0, -y), max(0, -x)
    inside = drawn[top : max(0, height - y), left : max(0, width - x)]
    frame[max(0, y) : max(0, y) + inside.shape[0], max(0, x) : max(0, x) + inside.shape[1]] = inside
    return frame


class ColourDetector:
    """Finds the people above, from half a face on; `looks` counts the frames that it was shown."""

    def __init__(self, least=8):
        self.looks, self._least = 0, least

    def detect(self, image):
        self.looks += 1
        faces = []
        for red, green in PEOPLE.values():
            mask = (image[..., 0] == red) & (image[..., 1] == green)
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            if len(rows) >= self._least and len(columns) >= self._least:
                left, top = float(columns[0]), float(rows[0])
                width, height = columns[-1] + 1 - left, rows[-1] + 1 - top
                if 0.5 < width / height < 2:
                    faces.append(FaceBox(left, top, width, height, 0.95, np.zeros((5, 2), np.float32)))
        return sorted(faces, key=lambda found: -found.score)

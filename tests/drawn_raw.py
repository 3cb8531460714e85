"""Raw videos of drawn people, and a detector and a face reader that see them by their colour."""

import hashlib

import numpy as np

from dagan.face import BLENDSHAPE_NAMES, NUM_MESH_POINTS
from dagan.inference.face_detector import FaceBox
from dagan.observers.faces import FaceObservation, HeadPose, ObserverVersion
from drawn_faces import PEOPLE, scene, with_person
from media import write_video

MESH = np.random.default_rng(0).random((NUM_MESH_POINTS, 2))
NEAR = 60  # levels: a video's colours are not exact


def colour_mask(image, who):
    red, green = PEOPLE[who]
    pixels = image.astype(int)
    return (abs(pixels[..., 0] - red) < NEAR) & (abs(pixels[..., 1] - green) < NEAR)


class DrawnDetector:
    """Finds drawn people in decoded frames."""

    def detect(self, image):
        return [face for who in PEOPLE if (face := box_of(colour_mask(image, who))) is not None]


def box_of(mask):
    rows, columns = np.flatnonzero(mask.sum(1) > 6), np.flatnonzero(mask.sum(0) > 6)
    if len(rows) < 8 or len(columns) < 8:
        return None
    x, y = float(columns[0]), float(rows[0])
    points = np.zeros((5, 2), np.float32)
    return FaceBox(x, y, columns[-1] + 1 - x, rows[-1] + 1 - y, 0.95, points)


class DrawnFace:
    """A face reader whose face moves a little within itself, as the picture's bytes say."""

    version = ObserverVersion("drawn", "none", "")

    def observe(self, image):
        box = next((face for who in PEOPLE if (face := box_of(colour_mask(image, who))) is not None), None)
        if box is None:
            return None
        phase = int.from_bytes(hashlib.sha256(image.tobytes()).digest()[:2])
        points = MESH * (box.width, box.height) + (box.x, box.y)
        points[:200] += 0.1 * box.width * np.sin(phase)
        shapes = np.full(len(BLENDSHAPE_NAMES), 0.5 + 0.5 * np.sin(phase))
        landmarks = np.concatenate([points, np.zeros((NUM_MESH_POINTS, 1))], 1)
        return FaceObservation(landmarks, HeadPose(0.0, 0.0, 0.0), shapes)


class DrawnIdentity:
    """Knows people by their colour."""

    version = DrawnFace.version

    def identity(self, image):
        for place, who in enumerate(PEOPLE):
            if box_of(colour_mask(image, who)) is not None:
                return np.eye(8, dtype=np.float32)[place]
        return None


def drawn_raw(path, shots, rate=25):
    """A video of shots: (frames, scene's seed, people as (x, y, size, who))."""
    frames = []
    for count, seed, people in shots:
        for number in range(count):
            frame = scene(seed)
            for x, y, size, who in people:
                frame = with_person(frame, x + number % 2, y, size, who)
            frames.append(frame)
    return write_video(path, frames, rate, encoder={"crf": "1"})

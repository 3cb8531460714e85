"""The second look at a raw video: pieces cropped, encoded, and scored by their pixels and landmarks."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from dagan.data.storing import H264Encoder
from dagan.images import Crop, apply_crop, to_pixels
from dagan.observers.clip_landmarks import ClipLandmarks, LandmarkRow, joined, landmark_bytes, landmark_row
from dagan.observers.faces import FaceObserver, IdentityObserver
from dagan.preparation.pieces import Piece
from dagan.preparation.rows import Row, rounded
from dagan.preparation.scores import HeldFace, caption_share, grey, mouth_opening, shake, sharpness
from dagan.preparation.settings import Settings
from dagan.preparation.sound import agreement

THUMBNAIL = 128  # pixels, of the contact sheets
FACES_COMPARED = 5  # frames of a clip whose faces say who it is
SHARPNESS_EVERY, MOTION_EVERY = 5, 3  # frames

Picture = UInt8[np.ndarray, "h w 3"]


class Made(NamedTuple):
    """What comes of a piece: its row, and for a clip that is kept the files' bytes. `embedding`: of the face; `boxes`:
    x, y, width and height of the face in each frame of the raw video."""

    row: Row
    thumbnail: bytes
    video: bytes | None = None
    landmarks: bytes | None = None
    embedding: Float[np.ndarray, " d"] | None = None
    boxes: Float[np.ndarray, "t 4"] | None = None


class Observers(NamedTuple):
    """What looks at the faces of clips; without `identity` nobody is recognised."""

    face: FaceObserver
    identity: IdentityObserver | None


@dataclass
class Sound:
    """The loudness of a raw video, if it has sound, and when its frames are shown."""

    levels: Float[np.ndarray, " n"] | None
    times: Float[np.ndarray, " t"]


class Recorder:
    """Takes the frames of one piece, in their order, and makes the clip."""

    def __init__(self, row: Row, piece: Piece, observers: Observers, sound: Sound, settings: Settings) -> None:
        self.first, self.end = piece.track.first, piece.track.end
        self._row, self._piece, self._observers, self._sound, self._settings = row, piece, observers, sound, settings
        rate = Fraction(row.rate).limit_denominator(1001)
        self._encoder = H264Encoder(settings.size, settings.key_every, rate)
        self._rows: list[LandmarkRow] = []
        self._held, self._sharp = HeldFace(), list[float]()
        self._embeddings: list[Float[np.ndarray, " d"]] = []
        self._mean = np.zeros((settings.size, settings.size))
        count = self.end - self.first
        self._compared = set(np.linspace(0, count - 1, FACES_COMPARED + 2).round().astype(int)[1:-1].tolist())
        self._thumbnail = b""

    def add(self, number: int, picture: Picture) -> None:
        """The frame with this number, upright."""
        place = number - self.first
        pixels = cut(picture, self._piece.crop, self._settings.size)
        self._encoder.add(pixels)
        seen = self._observers.face.observe(pixels)
        self._rows.append(landmark_row(seen, *pixels.shape[1::-1]))
        if seen is not None and place % MOTION_EVERY == 0:
            self._held.add(pixels, seen.landmarks[:, :2])
        self._mean += grey(pixels)
        if place % SHARPNESS_EVERY == 0:
            self._sharp.append(sharpness(self._face(picture, place)))
        if place in self._compared and self._observers.identity is not None:
            embedding = self._observers.identity.identity(pixels)
            self._embeddings += [embedding] if embedding is not None else []
        if number == (self.first + self.end) // 2:
            self._thumbnail = thumbnail(pixels)

    def _face(self, picture: Picture, place: int) -> UInt8[np.ndarray, "_h _w 3"]:
        """The face as the raw video shows it."""
        x, y, width, height = self._piece.track.boxes[place].round().astype(int).tolist()
        bottom, right = min(y + height, picture.shape[0]), min(x + width, picture.shape[1])
        return np.ascontiguousarray(picture[max(0, min(y, bottom - 2)) : bottom, max(0, min(x, right - 2)) : right])

    def finish(self) -> Made:
        """The clip with its scores, or the reason why it is none."""
        video, landmarks = self._encoder.finish(), joined(self._rows)
        embedding, likeness = _who(self._embeddings)
        row = self._scored(landmarks, likeness)
        row = replace(row, reason=_reason(row, self._settings))
        if row.reason:
            return Made(row, self._thumbnail, boxes=self._piece.track.boxes)
        row = replace(row, sha256=hashlib.sha256(video).hexdigest())
        return Made(row, self._thumbnail, video, landmark_bytes(landmarks), embedding, self._piece.track.boxes)

    def _scored(self, landmarks: ClipLandmarks, likeness: float | None) -> Row:
        found = landmarks.found
        heard = None
        if self._sound.levels is not None:
            opening = mouth_opening(landmarks.landmarks[found].astype(np.float32))
            heard = agreement(opening, self._sound.times[self.first : self.end][found], self._sound.levels)
        return replace(
            self._row,
            found=rounded(float(found.mean())),
            sharpness=rounded(float(np.median(self._sharp))),
            motion=rounded(self._held.motion()),
            shake=rounded(shake(landmarks.landmarks, found, self._row.rate)),
            caption=rounded(caption_share(self._mean / len(found))),
            likeness=rounded(likeness),
            sync=rounded(heard.score if heard else None),
            sync_delay=rounded(heard.delay if heard else None),
        )


def cut(picture: Picture, crop: Crop, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """The crop at `size` pixels."""
    return to_pixels(apply_crop(picture, crop, size)[None])


def thumbnail(picture: Picture) -> bytes:
    """A small JPEG, for the contact sheets."""
    image, content = Image.fromarray(picture), io.BytesIO()
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    image.save(content, "JPEG", quality=85)
    return content.getvalue()


def _who(embeddings: Sequence[Float[np.ndarray, " d"]]) -> tuple[Float[np.ndarray, " d"] | None, float | None]:
    """The clip's embedding, and the least likeness of a frame's face to it."""
    if not embeddings:
        return None, None
    mean = np.mean(embeddings, axis=0)
    mean = mean / max(float(np.linalg.norm(mean)), 1e-9)
    return mean.astype(np.float16), min(float(embedding @ mean) for embedding in embeddings)


def _reason(row: Row, settings: Settings) -> str:
    """What speaks against a clip, the first of `REASONS`; empty if nothing does."""
    against = {
        "blurred": _below(row.sharpness, settings.min_sharpness),
        "lost": _below(row.found, settings.min_found),
        "still": _below(row.motion, settings.min_motion),
        "shaking": _below(settings.max_shake, row.shake),
        "caption": _below(settings.max_caption, row.caption),
        "mixed": _below(row.likeness, settings.min_likeness),
        "silent": _below(row.sync, settings.min_sync),
    }
    return next((name for name, holds in against.items() if holds), "")


def _below(value: float | None, floor: float | None) -> bool:
    """What was not measured passes."""
    return value is not None and floor is not None and value < floor

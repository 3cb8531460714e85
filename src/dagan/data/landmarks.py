"""Face landmarks found beforehand, one file per clip (scripts/landmarks.py): where keypoints start, and face relief."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dagan.data.clips import ClipFrames
from dagan.errors import UserError

# MediaPipe Face Mesh indices, in the order of the keypoints they start: nose tip, chin, forehead, sides of the face,
# mouth corners, inner lips, upper and lower lids, brows, irises; and the order after a horizontal flip.
GUIDED_LANDMARKS = (1, 152, 10, 234, 454, 61, 291, 13, 14, 159, 145, 386, 374, 105, 334, 468, 473)
MIRRORED_LANDMARKS = (1, 152, 10, 454, 234, 291, 61, 13, 14, 386, 374, 159, 145, 334, 105, 473, 468)
MIRROR = [GUIDED_LANDMARKS.index(landmark) for landmark in MIRRORED_LANDMARKS]
# Places in a track's blendshapes; jaw and lids come first.
EXPRESSIONS = {
    "jawOpen": 25,
    "eyeBlinkLeft": 9,
    "eyeBlinkRight": 10,
    "mouthSmileLeft": 44,
    "mouthSmileRight": 45,
    "mouthPucker": 38,
    "mouthLowerDownLeft": 34,
    "mouthLowerDownRight": 35,
    "mouthUpperUpLeft": 48,
    "mouthUpperUpRight": 49,
    "browInnerUp": 3,
    "browOuterUpLeft": 4,
    "browOuterUpRight": 5,
    "browDownLeft": 1,
    "browDownRight": 2,
}
JAW_AND_LIDS = 3
_OTHER_SIDE = {"Left": "Right", "Right": "Left"}


def _mirrored_name(name: str) -> str:
    return next((name.removesuffix(a) + b for a, b in _OTHER_SIDE.items() if name.endswith(a)), name)


MIRRORED_EXPRESSIONS = [list(EXPRESSIONS).index(_mirrored_name(name)) for name in EXPRESSIONS]  # order after a flip


class FaceLandmarks(NamedTuple):
    """The guided landmarks of one frame in [-1, 1], and whether a face was found (zeros if not)."""

    position: Float[Tensor, "*b l 2"]
    found: Bool[Tensor, "*b"]


class LandmarkTracks:
    """The landmarks of every frame of some clips: of each clip those that are guided (`t l 2`) and the expression
    (`t e`, `EXPRESSIONS`); NaN: no face."""

    def __init__(self, clips: list[ClipFrames], folders: list[Path]):
        self.guided: list[Float[np.ndarray, "t l 2"]] = []
        self.expressions: list[Float[np.ndarray, "t e"]] = []
        places = list(EXPRESSIONS.values())
        for clip in clips:
            track = _read(clip.clip.name, folders, "landmarks", "found", "blendshapes")
            seen = track["found"][: len(clip)].nonzero()[0]
            self.guided.append(_known(track["landmarks"][seen][:, GUIDED_LANDMARKS], seen, len(clip)))
            self.expressions.append(_known(track["blendshapes"][seen][:, places], seen, len(clip)))

    def at(self, clip: int, frame: int, flipped: bool) -> FaceLandmarks:
        """Landmarks of a frame, mirrored when the frame was flipped. A frame past the track counts as not found."""
        guided = self.guided[clip]
        if frame >= len(guided) or np.isnan(guided[frame]).any():
            return FaceLandmarks(torch.zeros(len(GUIDED_LANDMARKS), 2), torch.tensor(False))
        position = torch.from_numpy(guided[frame])
        return FaceLandmarks(mirrored(position) if flipped else position, torch.tensor(True))


def mirrored(landmarks: Float[Tensor, "*b l 2"]) -> Float[Tensor, "*b l 2"]:
    """The guided landmarks after a horizontal flip."""
    return landmarks[..., MIRROR, :] * landmarks.new_tensor([-1.0, 1.0])


def _known(values: Float[np.ndarray, "n ..."], seen: Int[np.ndarray, "n"], count: int) -> Float[np.ndarray, "t ..."]:
    """The values of those of `count` frames that were seen, NaN in the others."""
    known = np.full((count, *values.shape[1:]), np.nan, np.float32)
    known[seen] = values
    return known


class FaceRelief(NamedTuple):
    """All landmarks of every frame of a clip: (x, y) in [-1, 1], how far away in the same unit, and whether found."""

    position: Float[np.ndarray, "t 478 2"]
    farther: Float[np.ndarray, "t 478"]
    found: Bool[np.ndarray, "t"]


def read_relief(name: str, folders: Sequence[Path]) -> FaceRelief:
    """Of the clip of that name. Raises UserError when no folder has it, or from a time before it held depth."""
    track = _read(name, folders, "landmarks", "farther", "found")
    return FaceRelief(track["landmarks"].astype(np.float32), track["farther"].astype(np.float32), track["found"])


def _read(name: str, folders: Sequence[Path], *fields: str) -> dict[str, np.ndarray]:
    path = next((path for folder in folders if (path := folder / f"{name}.npz").is_file()), None)
    if path is None:
        raise UserError(f"no landmarks for {name} in {folders[0]}; run scripts/landmarks.py first")
    try:
        with np.load(path, allow_pickle=False) as track:
            return {field: track[field] for field in fields}
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} holds no {' or '.join(fields)} ({reason}); make it again: scripts/landmarks.py"
        ) from error

"""Face landmarks found beforehand, one file per clip (scripts/landmarks.py), for the start of the keypoints."""

import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dagan.data.clips import ClipFrames
from dagan.errors import UserError

# MediaPipe Face Mesh indices, in the order of the keypoints they start: nose tip, chin, forehead, sides of the face,
# mouth corners, inner lips, upper and lower lids, brows, irises; and the order after a horizontal flip.
GUIDED_LANDMARKS = (1, 152, 10, 234, 454, 61, 291, 13, 14, 159, 145, 386, 374, 105, 334, 468, 473)
MIRRORED_LANDMARKS = (1, 152, 10, 454, 234, 291, 61, 13, 14, 386, 374, 159, 145, 334, 105, 473, 468)


class FaceLandmarks(NamedTuple):
    """The guided landmarks of one frame in [-1, 1], and whether a face was found (zeros if not)."""

    position: Float[Tensor, "*b l 2"]
    found: Bool[Tensor, "*b"]


class LandmarkTracks:
    """The guided landmarks of every frame of some clips."""

    def __init__(self, clips: list[ClipFrames], folders: list[Path]):
        self.landmarks, self.found = [], []
        for clip in clips:
            paths = [folder / f"{clip.clip.name}.npz" for folder in folders]
            path = next((path for path in paths if path.is_file()), None)
            if path is None:
                raise UserError(f"no landmarks for {clip.clip.name} in {folders[0]}; run scripts/landmarks.py first")
            landmarks, found = _read_track(path)
            self.landmarks.append(landmarks)
            self.found.append(found)

    def at(self, clip: int, frame: int, flipped: bool) -> FaceLandmarks:
        """Landmarks of a frame, mirrored when the frame was flipped. A frame past the track counts as not found."""
        if frame >= len(self.found[clip]) or not self.found[clip][frame]:
            return FaceLandmarks(torch.zeros(len(GUIDED_LANDMARKS), 2), torch.tensor(False))
        chosen = MIRRORED_LANDMARKS if flipped else GUIDED_LANDMARKS
        position = torch.from_numpy(self.landmarks[clip][frame][list(chosen)])
        if flipped:
            position = position * torch.tensor([-1.0, 1.0])
        return FaceLandmarks(position, torch.tensor(True))


def _read_track(path: Path) -> tuple[Float[np.ndarray, "t 478 2"], Bool[np.ndarray, "t"]]:
    try:
        with np.load(path, allow_pickle=False) as track:
            return track["landmarks"].astype(np.float32), track["found"]
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{path} holds no landmarks ({reason}); make it again: scripts/landmarks.py") from error

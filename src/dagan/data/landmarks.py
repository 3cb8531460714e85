"""Face landmarks found beforehand, one file per clip (`dagan landmarks`): where keypoints start, and face relief."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from dagan.data.clips import ClipFrames
from dagan.data.file_checks import check_unpacked
from dagan.errors import UserError
from dagan.face import EXPRESSION_INDICES, MESH_INDICES, NUM_LANDMARKS, mirrored

MOST_BYTES = 2**31  # of a track, unpacked: four hours of video
SHAPES = {"landmarks": (478, 2), "farther": (478,), "blendshapes": (52,), "found": ()}  # of one frame's values


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
        places = list(EXPRESSION_INDICES)
        for clip in clips:
            track = _read(clip.clip.name, folders, "landmarks", "found", "blendshapes")
            seen = track["found"][: len(clip)].nonzero()[0]
            self.guided.append(_known(track["landmarks"][seen][:, MESH_INDICES], seen, len(clip)))
            self.expressions.append(_known(track["blendshapes"][seen][:, places], seen, len(clip)))

    def at(self, clip: int, frame: int, flipped: bool) -> FaceLandmarks:
        """Landmarks of a frame, mirrored when the frame was flipped. A frame past the track counts as not found."""
        guided = self.guided[clip]
        if frame >= len(guided) or np.isnan(guided[frame]).any():
            return FaceLandmarks(torch.zeros(NUM_LANDMARKS, 2), torch.tensor(False))
        position = torch.from_numpy(guided[frame])
        return FaceLandmarks(mirrored(position) if flipped else position, torch.tensor(True))


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
        raise UserError(f"no landmarks for {name} in {folders[0]}; make them with `dagan landmarks`")
    try:
        check_unpacked(path, MOST_BYTES)
        with np.load(path, allow_pickle=False) as track:
            read = {field: np.asarray(track[field]) for field in fields}  # bytes, where it is no array
    except UserError:
        raise
    except Exception as error:  # a damaged file makes the readers fail in many ways: KeyError, zlib.error, ...
        reason = " ".join(str(error).split())
        raise UserError(
            f"{path} holds no {' or '.join(fields)} ({reason}); make it again with `dagan landmarks`"
        ) from error
    for field, values in read.items():
        expected = (len(read["found"]) if read["found"].ndim else 0, *SHAPES[field])
        if values.shape != expected or values.dtype.kind not in "bf":
            raise UserError(
                f"{path}: {field} is {values.shape}, expected {expected}; make it again: scripts/landmarks.py"
            )
    return read

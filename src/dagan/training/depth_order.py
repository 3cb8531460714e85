"""The ordinal term for the default weights: F_d against the order of landmarks on frames of real clips.

It is no part of the paper's stage 1 and of no table that says "self-supervised". A face mesh found beforehand
(`dagan landmarks`) says which of two landmarks is nearer; `dagan.losses.face_order` asks the map for the same.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from dagan.data.augment import augment
from dagan.data.clips import ClipFrames
from dagan.data.landmarks import FaceRelief, read_relief
from dagan.errors import UserError
from dagan.losses.face_order import RANKED_LANDMARKS
from dagan.training.depth_truth import worn

TURN = 0.45  # radians in the picture's plane, both ways
ZOOM = 0.25  # log scale


class OrderedFace(NamedTuple):
    """A real frame and its ranked landmarks: (x, y) in [-1, 1], and how far away, in the same unit."""

    frame: Float[Tensor, "*b 3 h w"]
    position: Float[Tensor, "*b n 2"]
    farther: Float[Tensor, "*b n"]


class FoundFaces(NamedTuple):
    """A clip, its landmarks, and the numbers of the frames in which they were found."""

    clip: ClipFrames
    relief: FaceRelief
    frames: Int[np.ndarray, "n"]


def find_faces(clips: Sequence[ClipFrames], folders: Sequence[Path]) -> list[FoundFaces]:
    """Those of the clips in which there are faces.

    Raises:
        UserError: a clip has no landmarks in `folders`, or from a time before they had depth; or there is no face.
    """
    tracks = [(clip, read_relief(clip.clip.name, folders)) for clip in clips]
    faces = [FoundFaces(clip, relief, np.flatnonzero(relief.found[: len(clip)])) for clip, relief in tracks]
    faces = [face for face in faces if len(face.frames)]
    if not faces:
        raise UserError(f"no face was found in any of {len(clips)} clips, so that nothing can be ordered")
    return faces


class OrderedFaces(Dataset[OrderedFace]):
    """Random frames with a face, turned, zoomed, mirrored and worn. Item i depends on (seed, i) only."""

    def __init__(self, faces: Sequence[FoundFaces], size: int, length: int, seed: int) -> None:
        self.faces, self.size, self.length, self.seed = faces, size, length, seed

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> OrderedFace:
        numbers = np.random.default_rng((self.seed, index, 11))
        clip, relief, found = self.faces[int(numbers.integers(len(self.faces)))]
        at = int(numbers.choice(found))
        frame = torch.from_numpy(np.array(clip.frames[at])).permute(2, 0, 1).float() / 255
        position = torch.from_numpy(relief.position[at][list(RANKED_LANDMARKS)])
        farther = torch.from_numpy(relief.farther[at][list(RANKED_LANDMARKS)])
        frame = functional.interpolate(frame[None], (self.size, self.size), mode="area")
        generator = torch.Generator().manual_seed(int(numbers.integers(2**63)))
        coloured, flipped = augment(frame, generator)
        if flipped:
            position = position * torch.tensor([-1.0, 1.0])
        matrix, zoom = _similarity(numbers)
        return OrderedFace(
            worn(_turned(coloured, matrix)[0], numbers, generator), position @ matrix.inverse().T, farther * zoom
        )


def _similarity(numbers: np.random.Generator) -> tuple[Float[Tensor, "2 2"], float]:
    """The matrix that says where a new picture's pixel comes from, and the factor by which things grow."""
    angle, zoom = float(numbers.uniform(-TURN, TURN)), float(np.exp(numbers.uniform(-ZOOM, ZOOM)))
    cosine, sine = math.cos(angle) / zoom, math.sin(angle) / zoom
    return torch.tensor([[cosine, -sine], [sine, cosine]]), zoom


def _turned(frame: Float[Tensor, "1 3 h w"], matrix: Float[Tensor, "2 2"]) -> Float[Tensor, "1 3 h w"]:
    affine = functional.pad(matrix, (0, 1))[None]  # 1 2 3: no shift
    grid = functional.affine_grid(affine, list(frame.shape), align_corners=False)
    return functional.grid_sample(frame, grid, padding_mode="reflection", align_corners=False)

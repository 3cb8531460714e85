"""A driver who leans in or back: the head grows or shrinks no further than a photo can follow."""

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.face import MEAN_FACE
from dagan.transfer.head_pose import fit_pose
from dagan.types import Keypoints

LEAST_GROWTH, MOST_GROWTH = 0.7, 1.4  # of the face, against the rest frame
TINY = 1e-6


def bounded(driving: Keypoints, rest: Keypoints, least: float = LEAST_GROWTH, most: float = MOST_GROWTH) -> Keypoints:
    """The driving keypoints with the face at most so much smaller or larger than at rest, scaled about its centre.

    `driving` holds t frames, `rest` one. Frames within the bounds are given back as they are.
    """
    growth = face_size(driving) / face_size(rest).clamp_min(TINY)  # t
    scale = growth.clamp(least, most) / growth.clamp_min(TINY)
    if bool((scale == 1).all()):
        return driving
    points = driving.position if driving.landmarks is None else driving.landmarks
    centre = points.mean(1, keepdim=True)
    by = scale[:, None, None]

    def scaled(part: Float[Tensor, "t n 2"]) -> Float[Tensor, "t n 2"]:
        return torch.where(by == 1, part, centre + by * (part - centre))

    return driving._replace(
        position=scaled(driving.position),
        jacobian=None if driving.jacobian is None else driving.jacobian * by[..., None],
        landmarks=None if driving.landmarks is None else scaled(driving.landmarks),
    )


def face_size(keypoints: Keypoints) -> Float[Tensor, " t"]:
    """How large a face is seen: the scale of its fitted pose, which a turn of the head leaves; without a face reader's
    landmarks the spread of the keypoints."""
    if keypoints.landmarks is not None:
        landmarks = keypoints.landmarks.float()
        return fit_pose(landmarks, landmarks.new_tensor(MEAN_FACE)[None]).scale
    position = keypoints.position.float()
    return (position - position.mean(1, keepdim=True)).square().sum(-1).mean(1).sqrt()

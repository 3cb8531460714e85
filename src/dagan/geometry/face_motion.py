"""The relative transfer of motion between people whose first keypoints are face landmarks: the head's turn and the
expression apart, each in three dimensions.

FOMM's transfer adds the driver's displacements in the image, where a nod moves lids and lips as a blink does and a face
turned the other way moves wrongly. Here the driver's head is fitted by a scaled orthographic camera and a mean face;
its turn since the rest frame turns the source's own face, and what the turn does not explain is the expression, moved
along in the head's frame. Not in the paper (docs/decisions.md).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.keypoints import offset_positions

# The mean face by the landmarks of `data.landmarks.GUIDED_LANDMARKS`: x right, y down, z away from the camera, between
# the sides of the face 2; `scripts/mean_face.py` on ../shared/clips/train.
MEAN_FACE = (
    (0.0, 0.527, -1.422),  # nose tip
    (0.0, 1.697, -0.941),  # chin
    (0.0, -0.735, -0.941),  # forehead
    (-1.0, 0.344, 0.0),  # sides
    (1.0, 0.344, 0.0),
    (-0.366, 1.017, -0.936),  # mouth corners
    (0.366, 1.017, -0.936),
    (0.0, 0.956, -1.149),  # inner lips
    (0.0, 1.078, -1.125),
    (-0.474, -0.061, -0.871),  # lids, upper and lower of either eye
    (-0.456, 0.061, -0.863),
    (0.474, -0.061, -0.871),
    (0.456, 0.061, -0.863),
    (-0.612, -0.357, -0.928),  # brows
    (0.612, -0.357, -0.928),
    (-0.458, -0.001, -0.834),  # irises
    (0.458, -0.001, -0.834),
)
# How far each point tells the head's pose, not the expression.
RIGIDITY = (1.0, 0.1, 1.0, 1.0, 1.0, 0.3, 0.3, 0.6, 0.0, 0.3, 0.7, 0.3, 0.7, 0.5, 0.5, 1.0, 1.0)
BONE = (0, 2, 3, 4)  # nose tip, forehead and sides have no expression: what is left of them is the detector's error
LIDS = ((9, 10), (11, 12))
LIPS = (7, 8)  # upper, lower
JAW = (1, 5, 6, 7, 8)  # what moves up and down with an opening mouth
STEPS = 5  # of Gauss-Newton: five reach 60 degrees
DAMPING = 1e-5
LEAST_SCALE = 1e-3
LEAST_FORESHORTENING = 0.5  # of the face's plane, when an expression is brought back to it: 60 degrees
TINY = 1e-6


class FacePose(NamedTuple):
    """A scaled orthographic camera: a face's point p is seen at scale * (rotation p)_xy + shift."""

    scale: Float[Tensor, " b"]
    rotation: Float[Tensor, "b 3 3"]
    shift: Float[Tensor, "b 2"]

    def seen(self, shape: Float[Tensor, "#b n 3"]) -> Float[Tensor, "b n 2"]:
        """Where the points of a face are seen."""
        return self.scale[:, None, None] * (shape @ self.rotation.mT)[..., :2] + self.shift[:, None]

    def carved(self, points: Float[Tensor, "b n 2"], shape: Float[Tensor, "#b n 3"]) -> Float[Tensor, "b n 3"]:
        """The face of the person who is seen at `points`, turned as it is seen: its depth is that of `shape`."""
        flat = (points - self.shift[:, None]) / self.scale[:, None, None]
        return torch.cat([flat, (shape @ self.rotation.mT)[..., 2:]], dim=-1)


def face_positions(
    source: Float[Tensor, "b k 2"],
    initial: Float[Tensor, "#b k 2"],
    scale: Float[Tensor, "b 1 1"] | float = 1.0,
) -> Callable[[Tensor], Tensor]:
    """As `offset_positions`, the first keypoints by `FaceTransfer`."""
    count = len(MEAN_FACE)
    face = FaceTransfer(source[:, :count], initial[:, :count], scale)
    others = offset_positions(source[:, count:], initial[:, count:], scale)
    return lambda driving: torch.cat([face(driving[:, :count]), others(driving[:, count:])], dim=1)


class FaceTransfer:
    """Where a source's landmarks go when its head and face do what the driver's did since `rest`.

    The source itself as driver, with itself at rest, gives back the driving points, up to what `BONE` and lids leave
    out. Expressions are as much larger as the source's face is, shifts by `scale`: a face that fills the photo would
    leave it otherwise. All in closed form, as exporters want it.
    """

    def __init__(
        self,
        source: Float[Tensor, "b n 2"],
        rest: Float[Tensor, "#b n 2"],
        scale: Float[Tensor, "b 1 1"] | float = 1.0,
    ):
        self._scale = scale
        mean = source.new_tensor(MEAN_FACE)[None]
        self._first, self._own = fit_pose(rest, mean), fit_pose(source, mean)
        self._resting, self._face = self._first.carved(rest, mean), self._own.carved(source, mean)
        lips = source[:, LIPS[1]] - source[:, LIPS[0]]
        self._opening = (_on_face(lips[:, None], self._own.rotation) / self._own.scale[:, None, None])[:, 0, 1]

    def __call__(self, driving: Float[Tensor, "b n 2"]) -> Float[Tensor, "b n 2"]:
        first, own, now = self._first, self._own, fit_pose(driving, self._resting)
        shift = self._scale * (now.shift - first.shift)[:, None]
        pose = FacePose(own.scale * now.scale / first.scale, now.rotation, own.shift + shift[:, 0])
        left = driving - now.seen(self._resting)
        expression = _on_face(left, now.rotation @ first.rotation) / now.scale[:, None, None]
        to_image = pose.scale[:, None, None] * (now.rotation @ own.rotation)[:, :2, :2]
        return pose.seen(self._face) + _soft(expression, self._opening) @ to_image.mT


def fit_pose(points: Float[Tensor, "b n 2"], shape: Float[Tensor, "#b n 3"]) -> FacePose:
    """The pose in which a face of that shape is seen nearest to the points (weighted least squares, `RIGIDITY`)."""
    weight = points.new_tensor(RIGIDITY)[:, None]
    weight = weight / weight.sum()
    centre, middle = (weight * points).sum(1, keepdim=True), (weight * shape).sum(1, keepdim=True)
    wanted, body = points - centre, shape - middle
    rotation = torch.eye(3, dtype=points.dtype, device=points.device).expand(len(points), 3, 3)
    for _ in range(STEPS):
        rotation = _turned(rotation, wanted, body, weight)
    scale = _scale(wanted, (body @ rotation.mT)[..., :2], weight)
    shift = centre[:, 0] - scale[:, None] * (middle @ rotation.mT)[:, 0, :2]
    return FacePose(scale, rotation, shift)


def facing(points: Float[Tensor, "b n 2"]) -> Float[Tensor, "b 2"]:
    """Where a face with these landmarks looks: x and y of what points out of it, of length 1; (0, 0) is the camera."""
    return -fit_pose(points, points.new_tensor(MEAN_FACE)[None]).rotation[:, :2, 2]


def _scale(wanted: Tensor, flat: Tensor, weight: Tensor) -> Float[Tensor, " b"]:
    fit = (weight * flat * wanted).sum((1, 2)) / (weight * flat.square()).sum((1, 2)).clamp_min(TINY)
    return fit.clamp_min(LEAST_SCALE)


def _turned(rotation: Tensor, wanted: Tensor, body: Tensor, weight: Tensor) -> Float[Tensor, "b 3 3"]:
    """One Gauss-Newton step on rotation and scale together; the scale is eliminated, and three unknowns are left."""
    x, y, z = (body @ rotation.mT).unbind(-1)
    flat, none = torch.stack([x, y], -1), torch.zeros_like(x)
    scale = _scale(wanted, flat, weight)[:, None, None]
    by_turn = torch.stack([torch.stack([none, z, -y], -1), torch.stack([-z, none, x], -1)], -2)  # b n 2 3
    root = weight.sqrt()
    by_turn = (scale[..., None] * root[..., None] * by_turn).flatten(1, 2)
    by_scale = (root * flat).flatten(1)[..., None]
    residual = (root * (wanted - scale * flat)).flatten(1)[..., None]
    share = by_turn.mT @ by_scale / by_scale.square().sum(1, keepdim=True).clamp_min(TINY)  # b 3 1
    without = by_turn - by_scale @ share.mT
    a, b, c = (without.mT @ without + DAMPING * torch.eye(3, dtype=x.dtype, device=x.device)).unbind(-1)
    adjugate = torch.stack([_cross(b, c), _cross(c, a), _cross(a, b)], -2)
    determinant = (a * _cross(b, c)).sum(-1, keepdim=True)
    step = (adjugate @ (without.mT @ residual))[..., 0] / determinant
    return _rotation(step / 2) @ rotation


def _cross(a: Float[Tensor, "b 3"], b: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3"]:
    return a[:, [1, 2, 0]] * b[:, [2, 0, 1]] - a[:, [2, 0, 1]] * b[:, [1, 2, 0]]


def _rotation(half: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """Cayley's: a rotation about `half` whatever its length, by twice as much where it is short."""
    x, y, z = half.unbind(-1)
    none = torch.zeros_like(x)
    cross = torch.stack([none, -z, y, z, none, -x, -y, x, none], -1).view(-1, 3, 3)
    by = 2 / (1 + half.square().sum(-1))
    return torch.eye(3, dtype=half.dtype, device=half.device) + by[:, None, None] * (cross + cross @ cross)


def _on_face(seen: Float[Tensor, "b n 2"], rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b n 2"]:
    """Displacements in the image, as displacements in the plane of the turned face.

    The plane is seen foreshortened, by cos of the turn, along the direction to which its normal leans.
    """
    normal = rotation[:, :2, 2]
    lean = normal.square().sum(-1)
    short = (1 - lean).clamp_min(TINY).sqrt()
    direction = normal / lean.clamp_min(TINY).sqrt()[:, None]
    less = short / short.clamp_min(LEAST_FORESHORTENING) - 1  # how much less to stretch than exactly
    held = seen + less[:, None, None] * (seen @ direction[..., None]) * direction[:, None]
    (a, b), (c, d) = (row.unbind(-1) for row in rotation[:, :2, :2].unbind(1))
    determinant = a * d - b * c
    sign = torch.where(determinant < 0, -1.0, 1.0)
    across = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    inverse = across * (sign / determinant.abs().clamp_min(TINY))[:, None, None]
    return held @ inverse.mT


def _soft(left: Float[Tensor, "b n 2"], opening: Float[Tensor, " b"]) -> Float[Tensor, "b n 2"]:
    """What the turn leaves, as far as it can be an expression: openings of lids, and all of mouth, chin, brows, irises.

    `opening`: of the source's mouth, which cannot close by more than that.
    """
    parts = list(left.unbind(1))
    upper, lower = LIPS
    closing, possible = left[:, upper, 1] - left[:, lower, 1], opening.clamp_min(0)
    share = torch.where(closing > possible, possible / closing, torch.ones_like(closing))
    for point in JAW:
        parts[point] = torch.stack([left[:, point, 0], share * left[:, point, 1]], -1)
    for upper, lower in LIDS:
        change = (left[:, upper] - left[:, lower]) * left.new_tensor([0.0, 0.5])
        parts[upper], parts[lower] = change, -change
    for point in BONE:
        parts[point] = torch.zeros_like(parts[point])
    return torch.stack(parts, dim=1)

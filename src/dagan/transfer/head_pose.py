"""The pose of a head, fitted to its landmarks: a scaled orthographic camera and a mean face (not in the paper;
docs/decisions.md). Yaw, pitch and roll are added between heads; displacements are brought into the plane of the face.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.face import MEAN_FACE, RIGIDITY
from dagan.transfer.face_edit import ANGLES, FaceEdit

STEPS, LAST_STEPS = 5, 2  # of Gauss-Newton: five reach 60 degrees from a face that looks ahead; from nearby, two
DAMPING = 1e-5
LEAST_SCALE = 1e-3
LEAST_FORESHORTENING = 0.5  # of the face's plane, when an expression is brought back to it: 60 degrees
ALIKE_TURNS = (0.17, 0.17, 0.32)  # radians of yaw, pitch and roll that matter as much as one another
TINY = 1e-6
# Which coordinate of (x, y, z) stands where, and its sign, in how a seen point moves with a turn about each axis (2 3),
# and in the matrix of a cross product, row by row: few operations, which exporters like.
TURNS, TURN_SIGNS = ((0, 2, 1), (2, 0, 0)), ((0.0, 1.0, -1.0), (-1.0, 0.0, 1.0))
CROSS, CROSS_SIGNS = (0, 2, 1, 2, 0, 0, 1, 0, 0), (0.0, -1.0, 1.0, 1.0, 0.0, -1.0, -1.0, 1.0, 0.0)


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


class FaceShape(NamedTuple):
    """How a face is turned, and how its landmarks lie beside the mean face's, in its own plane and size."""

    rotation: Float[Tensor, "b 3 3"]
    offset: Float[Tensor, "b n 2"]


def pose_difference(source: Float[Tensor, "#t 3 3"], driving: Float[Tensor, "t 3 3"]) -> Float[Tensor, " t"]:
    """Sum of squares of how differently two heads are turned, in units of `ALIKE_TURNS`."""
    ours, theirs = _angles(source), _angles(driving)
    squared = 2 - 2 * (ours * theirs).sum(-1)  # of the chord, between points of a circle
    return squared @ squared.new_tensor([1 / turn**2 for turn in ALIKE_TURNS])


def turned_alike(
    source: Float[Tensor, "#b 3 3"], rest: Float[Tensor, "#b 3 3"], driver: Float[Tensor, "b 3 3"]
) -> Float[Tensor, "b 3 3"]:
    """The source's rotation with yaw, pitch and roll changed by what they changed by from `rest` to `driver`.

    Exporters know no arc functions: angles are unit complex numbers, and are added by multiplication.
    """
    own, first, now = (_angles(rotation) for rotation in (source, rest, driver))
    yaw, pitch, roll = _times(_times(own, now), torch.stack([first[..., 0], -first[..., 1]], -1)).unbind(1)
    return _rotation_of(yaw, pitch, roll)


def turned_by(
    source: Float[Tensor, "#b 3 3"], rest: Float[Tensor, "#b 3 3"], driver: Float[Tensor, "b 3 3"], edit: FaceEdit
) -> Float[Tensor, "b 3 3"]:
    """As `turned_alike`, by a share of the change, with angles added or set."""
    own, first, now = (_degrees(rotation) for rotation in (source, rest, driver))
    change = (now - first + 180) % 360 - 180
    by = own.new_tensor([edit.turn_by.get(name, 0.0) for name in ANGLES])
    wanted = list((own + edit.share_of_head() * change + by).unbind(-1))
    for number, name in enumerate(ANGLES):
        if name in edit.turn_to:
            wanted[number] = torch.full_like(wanted[number], edit.turn_to[name])
    angles = torch.deg2rad(torch.stack(wanted, -1))
    return _rotation_of(*torch.stack([angles.cos(), angles.sin()], -1).unbind(1))


def _degrees(rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3"]:
    """Yaw, pitch and roll; positive as `face_edit.ANGLES` says."""
    cos, sin = _angles(rotation).unbind(-1)
    return torch.rad2deg(torch.atan2(sin, cos))


def _angles(rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3 2"]:
    """Cosine and sine of yaw a, pitch b and roll c, where the rotation is R_y(a) R_x(b) R_z(c)."""
    x, y, z = rotation[:, :, 2].unbind(-1)
    level = (x.square() + z.square()).clamp_min(TINY).sqrt()
    yaw, pitch = torch.stack([z, x], -1) / level[:, None], torch.stack([level, -y], -1)
    right, down = _level_axes(yaw, pitch)
    upright = rotation[:, :, 0]
    return torch.stack([yaw, pitch, torch.stack([(right * upright).sum(-1), (down * upright).sum(-1)], -1)], 1)


def _rotation_of(
    yaw: Float[Tensor, "b 2"], pitch: Float[Tensor, "b 2"], roll: Float[Tensor, "b 2"]
) -> Float[Tensor, "b 3 3"]:
    """R_y R_x R_z of angles by their cosines and sines."""
    right, down = _level_axes(yaw, pitch)
    cos, sin = roll[:, :1], roll[:, 1:]
    x, y = cos * right + sin * down, cos * down - sin * right
    return torch.stack([x, y, _cross(x, y)], -1)


def _level_axes(
    yaw: Float[Tensor, "b 2"], pitch: Float[Tensor, "b 2"]
) -> tuple[Float[Tensor, "b 3"], Float[Tensor, "b 3"]]:
    """Where R_y R_x takes the axes to the right and down."""
    (cos, sin), (rise, fall) = yaw.unbind(-1), pitch.unbind(-1)
    return torch.stack([cos, torch.zeros_like(cos), -sin], -1), torch.stack([sin * fall, rise, cos * fall], -1)


def _times(a: Float[Tensor, "#b k 2"], b: Float[Tensor, "#b k 2"]) -> Float[Tensor, "b k 2"]:
    """Products of complex numbers."""
    (x, y), (u, v) = a.unbind(-1), b.unbind(-1)
    return torch.stack([x * u - y * v, x * v + y * u], -1)


def fit_pose(
    points: Float[Tensor, "b n 2"], shape: Float[Tensor, "#b n 3"], near: Float[Tensor, "b 3 3"] | None = None
) -> FacePose:
    """The pose in which a face of that shape is seen nearest to the points (weighted least squares, `RIGIDITY`).

    `near`: a rotation that is nearly right, if one is known, saves steps.
    """
    weight = points.new_tensor(RIGIDITY)[:, None]
    weight = weight / weight.sum()
    centre, middle = (weight * points).sum(1, keepdim=True), (weight * shape).sum(1, keepdim=True)
    wanted, body = points - centre, shape - middle
    ahead = torch.eye(3, dtype=points.dtype, device=points.device).expand(points.shape[0], 3, 3)
    rotation = ahead if near is None else near
    for _ in range(STEPS if near is None else LAST_STEPS):
        rotation = _turned(rotation, wanted, body, weight)
    scale = _scale(wanted, (body @ rotation.mT)[..., :2], weight)
    shift = centre[:, 0] - scale[:, None] * (middle @ rotation.mT)[:, 0, :2]
    return FacePose(scale, rotation, shift)


def face_shape(points: Float[Tensor, "b n 2"], near: Float[Tensor, "b 3 3"] | None = None) -> FaceShape:
    """Of the face with these landmarks; `near` as in `fit_pose`."""
    return shape_at(fit_pose(points, points.new_tensor(MEAN_FACE)[None], near), points)


def shape_at(pose: FacePose, points: Float[Tensor, "b n 2"]) -> FaceShape:
    mean = points.new_tensor(MEAN_FACE)[None]
    return FaceShape(pose.rotation, on_face(points - pose.seen(mean), pose.rotation) / pose.scale[:, None, None])


def facing(points: Float[Tensor, "b n 2"]) -> Float[Tensor, "b 2"]:
    """Where a face with these landmarks looks: x and y of what points out of it, of length 1; (0, 0) is the camera."""
    return -fit_pose(points, points.new_tensor(MEAN_FACE)[None]).rotation[:, :2, 2]


def _scale(wanted: Tensor, flat: Tensor, weight: Tensor) -> Float[Tensor, " b"]:
    fit = (weight * flat * wanted).sum((1, 2)) / (weight * flat.square()).sum((1, 2)).clamp_min(TINY)
    return fit.clamp_min(LEAST_SCALE)


def _turned(rotation: Tensor, wanted: Tensor, body: Tensor, weight: Tensor) -> Float[Tensor, "b 3 3"]:
    """One Gauss-Newton step on rotation and scale together; the scale is eliminated, and three unknowns are left."""
    seen = body @ rotation.mT
    flat = seen[..., :2]
    scale = _scale(wanted, flat, weight)[:, None, None]
    by_turn = seen[..., TURNS] * seen.new_tensor(TURN_SIGNS)  # b n 2 3
    root = weight.sqrt()
    by_turn = (scale[..., None] * root[..., None] * by_turn).flatten(1, 2)
    by_scale = (root * flat).flatten(1)[..., None]
    residual = (root * (wanted - scale * flat)).flatten(1)[..., None]
    share = by_turn.mT @ by_scale / by_scale.square().sum(1, keepdim=True).clamp_min(TINY)  # b 3 1
    without = by_turn - by_scale @ share.mT
    rows = (without.mT @ without + DAMPING * torch.eye(3, dtype=seen.dtype, device=seen.device)).mT
    adjugate = _cross(rows[:, [1, 2, 0]], rows[:, [2, 0, 1]])  # b 3 3
    determinant = (rows[:, 0] * adjugate[:, 0]).sum(-1, keepdim=True)
    step = (adjugate @ (without.mT @ residual))[..., 0] / determinant
    return _rotation(step / 2) @ rotation


def _cross(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    return a[..., [1, 2, 0]] * b[..., [2, 0, 1]] - a[..., [2, 0, 1]] * b[..., [1, 2, 0]]


def _rotation(half: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
    """Cayley's: a rotation about `half` whatever its length, by twice as much where it is short."""
    cross = (half[:, CROSS] * half.new_tensor(CROSS_SIGNS)).view(-1, 3, 3)
    by = 2 / (1 + half.square().sum(-1))
    return torch.eye(3, dtype=half.dtype, device=half.device) + by[:, None, None] * (cross + cross @ cross)


def on_face(seen: Float[Tensor, "b n 2"], rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b n 2"]:
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


def image_to_face(rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 2 2"]:
    """`on_face` as a matrix."""
    return on_face(
        torch.eye(2, dtype=rotation.dtype, device=rotation.device).expand(rotation.shape[0], 2, 2), rotation
    ).mT

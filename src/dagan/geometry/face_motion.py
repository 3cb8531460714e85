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

from dagan.geometry.keypoints import offset_transfer
from dagan.types import Keypoints

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
IRISES = (15, 16)
JAW = (1, 5, 6, 7, 8)  # what moves up and down with an opening mouth
STEPS, LAST_STEPS = 5, 2  # of Gauss-Newton: five reach 60 degrees from a face that looks ahead; from nearby, two
DAMPING = 1e-5
LEAST_SCALE = 1e-3
LEAST_FORESHORTENING = 0.5  # of the face's plane, when an expression is brought back to it: 60 degrees
ALIKE_TURNS = (0.17, 0.17, 0.32)  # radians of yaw, pitch and roll that matter as much as one another
ALIKE_OPENINGS = (0.1, 0.08, 0.08)  # so do these, of lips and lids, in units of the face
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


class Turned(NamedTuple):
    """A driver's frame beside its rest frame: the head's turn, and what of the landmarks it leaves."""

    driving: Float[Tensor, "b n 2"]  # the landmarks
    driver: Float[Tensor, "b 3 3"]  # how the driver's face is turned
    source: Float[Tensor, "b 3 3"]  # how that turns the source's
    left: Float[Tensor, "b n 2"]  # displacements in the plane of the driver's face, in units of the face
    opening: Float[Tensor, "#b"]  # of the source's mouth, in units of the face
    expression: Float[Tensor, "b e"] | None  # the driver's, if it was read


class FaceShape(NamedTuple):
    """How a face is turned, and how its landmarks lie beside the mean face's, in its own plane and size."""

    rotation: Float[Tensor, "b 3 3"]
    offset: Float[Tensor, "b n 2"]


# What the source's face does, as displacements in its own plane; and that as made for a source and a driver at rest.
Expression = Callable[[Turned], Float[Tensor, "b n 2"]]
Expressing = Callable[[FaceShape, FaceShape], Expression]


def _displacing(source: FaceShape, rest: FaceShape) -> Expression:
    return displaced


def displaced(turned: Turned) -> Float[Tensor, "b n 2"]:
    """The driver's displacements, as far as they are an expression that the source can follow."""
    return possible(turned.left, turned.opening)


class MovedFace(NamedTuple):
    """Where landmarks go. `frame` turns their local affine frames, carried over as the driver's, as this face turns."""

    position: Float[Tensor, "b n 2"]
    frame: Float[Tensor, "b 2 2"]


class FaceTransfer:
    """Where a source's landmarks go when its head and face do what the driver's did since `rest`.

    Yaw, pitch and roll each change by as much as the driver's: two heads that lean differently both nod. With
    `displaced`, the source itself as driver, with itself at rest, gives back the driving points, up to what `BONE` and
    lids leave out. Expressions are as much larger as the source's face is, shifts by `scale`: a face that fills the
    photo would leave it otherwise. All in closed form, as exporters want it.
    """

    def __init__(
        self,
        source: Float[Tensor, "b n 2"],
        rest: Float[Tensor, "#b n 2"],
        scale: Float[Tensor, "b 1 1"] | float = 1.0,
        expressing: Expressing = _displacing,
    ):
        self._scale = scale
        mean = source.new_tensor(MEAN_FACE)[None]
        self._first, self._own = fit_pose(rest, mean), fit_pose(source, mean)
        self._resting, self._face = self._first.carved(rest, mean), self._own.carved(source, mean)
        lips = source[:, LIPS[1]] - source[:, LIPS[0]]
        self._opening = (on_face(lips[:, None], self._own.rotation) / self._own.scale[:, None, None])[:, 0, 1]
        self._frame = _from_image(self._own.rotation), self._first.rotation[:, :2, :2]
        self._expression = expressing(_shape_at(self._own, source), _shape_at(self._first, rest))

    def turned(
        self, driving: Float[Tensor, "b n 2"], expression: Float[Tensor, "b e"] | None = None
    ) -> tuple[FacePose, Turned]:
        """How the driver's face at rest is turned and moved to be seen as in the driving frame, and what that means."""
        now = fit_pose(driving, self._resting)
        driver = now.rotation @ self._first.rotation
        left = on_face(driving - now.seen(self._resting), driver) / now.scale[:, None, None]
        source = turned_alike(self._own.rotation, self._first.rotation, driver)
        return now, Turned(driving, driver, source, left, self._opening, expression)

    def __call__(self, driving: Float[Tensor, "b n 2"], expression: Float[Tensor, "b e"] | None = None) -> MovedFace:
        first, own, (now, turned) = self._first, self._own, self.turned(driving, expression)
        shift = self._scale * (now.shift - first.shift)[:, None]
        turn = turned.source @ own.rotation.mT
        pose = FacePose(own.scale * now.scale / first.scale, turn, own.shift + shift[:, 0])
        to_image = turned.source[:, :2, :2]
        moved = self._expression(turned) @ (pose.scale[:, None, None] * to_image).mT
        from_own, to_rest = self._frame
        return MovedFace(pose.seen(self._face) + moved, to_image @ from_own @ to_rest @ _from_image(turned.driver))


def with_face(
    source: Keypoints,
    initial: Keypoints,
    scale: Float[Tensor, "b 1 1"] | float,
    expressing: Expressing = _displacing,
) -> Callable[[Keypoints], Keypoints]:
    """The first keypoints by `FaceTransfer`, those after them by `offset_transfer`."""
    count, plain = len(MEAN_FACE), offset_transfer(source, initial, scale)
    face = FaceTransfer(landmarks_of(source), landmarks_seen(initial), scale, expressing)

    def moved(driving: Keypoints) -> Keypoints:
        (moved_face, frame), others = face(landmarks_seen(driving), driving.expression), plain(driving)
        position = torch.cat([moved_face, others.position[:, count:]], dim=1)
        if others.jacobian is None:
            return Keypoints(position)
        return Keypoints(
            position, torch.cat([frame[:, None] @ others.jacobian[:, :count], others.jacobian[:, count:]], 1)
        )

    return moved


class HeadTransfer:
    """As `OffsetTransfer`, the first keypoints by `FaceTransfer`."""

    def __call__(
        self, source: Keypoints, initial: Keypoints, scale: Float[Tensor, "b 1 1"] | float = 1.0
    ) -> Callable[[Keypoints], Keypoints]:
        """A function of the driving keypoints: what is known of source and initial frame is found once."""
        return with_face(source, initial, scale)

    def difference(self, source: Keypoints, driving: Keypoints) -> Float[Tensor, " t"]:
        """`pose_difference`, and that of how far lips and lids are apart."""
        ours, theirs = (face_shape(landmarks_seen(keypoints)) for keypoints in (source, driving))
        apart = (openings(theirs) - openings(ours)) / ours.offset.new_tensor(ALIKE_OPENINGS)
        return pose_difference(ours.rotation, theirs.rotation) + apart.square().sum(1)


face_transfer = HeadTransfer()


def landmarks_of(keypoints: Keypoints) -> Float[Tensor, "b n 2"]:
    """The keypoints that are landmarks of the face: what the generator moves."""
    return keypoints.position[:, : len(MEAN_FACE)]


def landmarks_seen(keypoints: Keypoints) -> Float[Tensor, "b n 2"]:
    """The face's landmarks by its reader, who knows strangers better; by the detector, where there is none."""
    return landmarks_of(keypoints) if keypoints.landmarks is None else keypoints.landmarks


def pose_difference(source: Float[Tensor, "#t 3 3"], driving: Float[Tensor, "t 3 3"]) -> Float[Tensor, " t"]:
    """Sum of squares of how differently two heads are turned, in units of `ALIKE_TURNS`."""
    ours, theirs = _angles(source), _angles(driving)
    squared = 2 - 2 * (ours * theirs).sum(-1)  # of the chord, between points of a circle
    return squared @ squared.new_tensor([1 / turn**2 for turn in ALIKE_TURNS])


def openings(face: FaceShape) -> Float[Tensor, "b 3"]:
    """How much further apart than the mean face's lips and either eye's lids are, in units of the face."""
    pairs = torch.tensor((LIPS, *LIDS), device=face.offset.device)
    upper, lower = face.offset[:, pairs, 1].unbind(-1)
    return lower - upper


def turned_alike(
    source: Float[Tensor, "#b 3 3"], rest: Float[Tensor, "#b 3 3"], driver: Float[Tensor, "b 3 3"]
) -> Float[Tensor, "b 3 3"]:
    """The source's rotation with yaw, pitch and roll changed by what they changed by from `rest` to `driver`.

    Exporters know no arc functions: angles are unit complex numbers, and are added by multiplication.
    """
    own, first, now = (_angles(rotation) for rotation in (source, rest, driver))
    yaw, pitch, roll = _times(_times(own, now), torch.stack([first[..., 0], -first[..., 1]], -1)).unbind(1)
    return _rotation_of(yaw, pitch, roll)


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
    ahead = torch.eye(3, dtype=points.dtype, device=points.device).expand(len(points), 3, 3)
    rotation = ahead if near is None else near
    for _ in range(STEPS if near is None else LAST_STEPS):
        rotation = _turned(rotation, wanted, body, weight)
    scale = _scale(wanted, (body @ rotation.mT)[..., :2], weight)
    shift = centre[:, 0] - scale[:, None] * (middle @ rotation.mT)[:, 0, :2]
    return FacePose(scale, rotation, shift)


def face_shape(points: Float[Tensor, "b n 2"], near: Float[Tensor, "b 3 3"] | None = None) -> FaceShape:
    """Of the face with these landmarks; `near` as in `fit_pose`."""
    return _shape_at(fit_pose(points, points.new_tensor(MEAN_FACE)[None], near), points)


def _shape_at(pose: FacePose, points: Float[Tensor, "b n 2"]) -> FaceShape:
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


def lips_apart_as(
    moved: Float[Tensor, "b n 2"], other: Float[Tensor, "b n 2"], share: float = 1.0
) -> Float[Tensor, "b n 2"]:
    """Displacements in a face's plane, with the lips as much further apart as others move them, about their middle;
    with a `share` below 1, that far on the way to it."""
    upper, lower = LIPS
    apart, wanted = (points[:, lower, 1] - points[:, upper, 1] for points in (moved, other))
    more = torch.stack([torch.zeros_like(apart), share * (wanted - apart) / 2], -1)
    parts = list(moved.unbind(1))
    parts[upper], parts[lower] = parts[upper] - more, parts[lower] + more
    return torch.stack(parts, dim=1)


def _from_image(rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 2 2"]:
    """`on_face` as a matrix."""
    return on_face(torch.eye(2, dtype=rotation.dtype, device=rotation.device).expand(len(rotation), 2, 2), rotation).mT


def possible(left: Float[Tensor, "b n 2"], opening: Float[Tensor, "#b"]) -> Float[Tensor, "b n 2"]:
    """What the turn leaves, as far as it can be an expression: openings of lids, and all of mouth, chin, brows, irises.

    `opening`: of the source's mouth, which cannot close by more than that.
    """
    parts = list(left.unbind(1))
    upper, lower = LIPS
    closing, most = left[:, upper, 1] - left[:, lower, 1], opening.clamp_min(0)
    share = torch.where(closing > most, most / closing, torch.ones_like(closing))
    for point in JAW:
        parts[point] = torch.stack([left[:, point, 0], share * left[:, point, 1]], -1)
    for upper, lower in LIDS:
        change = (left[:, upper] - left[:, lower]) * left.new_tensor([0.0, 0.5])
        parts[upper], parts[lower] = change, -change
    for point in BONE:
        parts[point] = torch.zeros_like(parts[point])
    return torch.stack(parts, dim=1)

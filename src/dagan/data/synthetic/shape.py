"""The shape of a procedural head: a star-shaped surface with face, ears and hair, and a neck and shoulders below it.

The head's frame: metres, x to the picture's right, y down, z away from the viewer; the face looks along -z and the
origin is in the middle of the head. Directions from it are named by longitude u (0 = front, right positive) and
latitude v (down positive), in radians.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

RINGS, SPOKES = 84, 136  # of the head's mesh; rings run round the middle of the face, closer together there
FACE_POLE = 0.2  # latitude of the point that the rings run round: the middle of the face
HAIRLINE = -0.72  # latitude of the front hairline of the mean head
MOUTH = 0.625  # latitude of the line between the lips

Points = Float[np.ndarray, "r s 3"]
Plane = Float[np.ndarray, "*r"]


class Sheet(NamedTuple):
    """A surface as a grid of points; `place` are the texture's (x, y) in [0, 1]; `closed`: spokes run all round."""

    points: Points
    place: Float[np.ndarray, "r s 2"]
    closed: bool


class HeadShape(NamedTuple):
    """What makes one head unlike another. Lengths in metres; factors are 1 for the mean head."""

    width: float = 0.077
    height: float = 0.116
    back: float = 0.104
    front: float = 0.086
    jaw: float = 0.2  # how much narrower the chin's level is
    nose: float = 1.0
    nose_width: float = 1.0
    sockets: float = 1.0
    brow: float = 1.0
    lips: float = 1.0
    chin: float = 1.0
    cheeks: float = 1.0
    ears: float = 1.0
    hair: float = 0.012
    hair_seed: int = 0
    hairline: float = HAIRLINE
    curtain: float = 0.0  # length of hair that hangs beside the neck; 0: none
    neck: float = 0.054
    shoulders: float = 0.21
    asymmetry: float = 0.0


class Expression(NamedTuple):
    """Small movements of one frame, each 0 to 1 (the smile -1 to 1)."""

    jaw: float = 0.0
    smile: float = 0.0
    blink: float = 0.0
    brows: float = 0.0


def random_shape(numbers: np.random.Generator) -> HeadShape:
    """A head within the usual spread of adults; about a third have long hair."""
    mean = HeadShape()

    def about(value: float, spread: float) -> float:
        return float(value * np.exp(spread * np.clip(numbers.standard_normal(), -2, 2)))

    return HeadShape(
        width=about(mean.width, 0.04),
        height=about(mean.height, 0.04),
        back=about(mean.back, 0.05),
        front=about(mean.front, 0.04),
        jaw=about(mean.jaw, 0.15),
        **{
            name: about(1.0, 0.2)
            for name in ("nose", "nose_width", "sockets", "brow", "lips", "chin", "cheeks", "ears")
        },
        hair=about(mean.hair, 0.5),
        hair_seed=int(numbers.integers(2**31)),
        hairline=float(mean.hairline + numbers.uniform(-0.15, 0.12)),
        curtain=float(numbers.uniform(0.1, 0.24) if numbers.random() < 0.35 else 0.0),
        neck=about(mean.neck, 0.08),
        shoulders=about(mean.shoulders, 0.08),
        asymmetry=float(numbers.normal(0, 0.03)),
    )


def directions(ring: Plane, spoke: Plane) -> Float[np.ndarray, "*r 3"]:
    """Unit vectors at angle `ring` from the middle of the face, turned by `spoke` about it."""
    pole = np.array([0, np.sin(FACE_POLE), -np.cos(FACE_POLE)])
    down = np.array([0, np.cos(FACE_POLE), np.sin(FACE_POLE)])
    around = np.cos(spoke)[..., None] * np.array([1.0, 0, 0]) + np.sin(spoke)[..., None] * down
    return np.asarray(np.cos(ring)[..., None] * pole + np.sin(ring)[..., None] * around)


def longitude_latitude(direction: Float[np.ndarray, "*r 3"]) -> tuple[Plane, Plane]:
    x, y, z = np.moveaxis(direction, -1, 0)
    return np.arctan2(x, -z), np.arcsin(np.clip(y, -1, 1))


def blob(u: Plane, v: Plane, at_u: float, at_v: float, su: float, sv: float) -> Plane:
    """A Gaussian bump of height 1 on the sphere of directions."""
    return np.exp(-(((u - at_u) / su) ** 2) - ((v - at_v) / sv) ** 2)


def smooth_step(value: Plane, low: float, high: float) -> Plane:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def hair_cover(u: Plane, v: Plane, shape: HeadShape) -> Plane:
    """1 on the hair, 0 on the face, ears and nape, with a soft edge."""
    side = np.abs(u)
    line = shape.hairline + 0.55 * smooth_step(side, 0.7, 1.25) + 0.75 * smooth_step(side, 1.5, 2.1)
    return smooth_step(line - v, -0.06, 0.06)


def head_radius(direction: Float[np.ndarray, "*r 3"], shape: HeadShape) -> Plane:
    """Distance from the head's origin to its surface along unit vectors, in metres."""
    u, v = longitude_latitude(direction)
    x, y, z = np.moveaxis(direction, -1, 0)
    narrowing = 1 - shape.jaw * smooth_step(v, 0.1, 1.2)
    depth = np.where(z > 0, shape.back, shape.front)
    radius = 1 / np.sqrt((x / (shape.width * narrowing)) ** 2 + (y / shape.height) ** 2 + (z / depth) ** 2)
    return np.asarray(radius + _face(u + shape.asymmetry * np.sin(3 * v), v, shape) + _hair(u, v, shape))


def _face(u: Plane, v: Plane, shape: HeadShape) -> Plane:
    """Relief of the face and ears over the skull, in metres."""
    side = np.abs(u)
    down = np.clip((v + 0.08) / 0.44, 0, 1)  # along the nose, from the bridge to the tip
    ridge = (0.004 + 0.019 * down) * (1 - smooth_step(v, 0.36, 0.47)) * smooth_step(v, -0.2, -0.02)
    nose = ridge * np.exp(-((u / (shape.nose_width * (0.085 + 0.045 * down))) ** 2))
    wings = 0.006 * blob(side, v, 0.13 * shape.nose_width, 0.36, 0.07, 0.07)
    sockets = -0.010 * blob(side, v, 0.36, 0.0, 0.19, 0.13) + 0.004 * blob(side, v, 0.37, 0.01, 0.12, 0.07)
    brow = 0.005 * blob(side, v, 0.33, -0.19, 0.3, 0.07)
    lips = 0.0065 * blob(u, v, 0.0, MOUTH - 0.055, 0.2, 0.045) + 0.0065 * blob(u, v, 0.0, MOUTH + 0.06, 0.17, 0.05)
    crease = -0.004 * blob(u, v, 0.0, MOUTH, 0.24, 0.018) - 0.005 * blob(u, v, 0.0, 0.8, 0.25, 0.06)
    chin = 0.010 * blob(u, v, 0.0, 0.98, 0.28, 0.15)
    cheeks = 0.005 * blob(side, v, 0.58, 0.26, 0.28, 0.2)
    rim = 0.022 * blob(side, v - 0.1 * (side - 1.6), 1.62, 0.07, 0.11, 0.27)
    shell = -0.008 * blob(side, v, 1.55, 0.07, 0.06, 0.15)
    return np.asarray(
        shape.nose * (nose + wings)
        + shape.sockets * sockets
        + shape.brow * brow
        + shape.lips * (lips + crease)
        + shape.chin * chin
        + shape.cheeks * cheeks
        + shape.ears * (rim + shell)
    )


def _hair(u: Plane, v: Plane, shape: HeadShape) -> Plane:
    phase = np.random.default_rng(shape.hair_seed).uniform(0, 2 * np.pi, 4)
    waves = np.sin(5 * u + phase[0]) * np.sin(6 * v + phase[1]) + 0.5 * np.sin(11 * u + 9 * v + phase[2])
    near_pole = np.cos(v)  # longitude means nothing at the top of the head
    return np.asarray(hair_cover(u, v, shape) * shape.hair * (1 + 0.25 * waves * near_pole))


def head_sheet(shape: HeadShape, expression: Expression) -> Sheet:
    """The head's surface with an expression on it."""
    s = np.linspace(0, 1, RINGS)
    ring, spoke = np.meshgrid(np.pi * (0.55 * s + 0.45 * s**2), np.arange(SPOKES) * (2 * np.pi / SPOKES), indexing="ij")
    direction = directions(ring, spoke)
    points = direction * head_radius(direction, shape)[..., None]
    return Sheet(points + _expressed(direction, expression), texture_place(ring, spoke), closed=True)


def texture_place(ring: Plane, spoke: Plane) -> Float[np.ndarray, "*r 2"]:
    """Where a direction lies in the head's texture: the distance from its middle is the angle from the face's."""
    away = np.stack([np.cos(spoke), np.sin(spoke)], -1)
    return np.asarray(0.5 + 0.5 * (ring / np.pi)[..., None] * away)


def texture_direction(size: int) -> Float[np.ndarray, "size size 3"]:
    """The direction of every texel: the inverse of `texture_place`."""
    centre = (2 * np.arange(size) + 1) / size - 1
    y, x = np.meshgrid(centre, centre, indexing="ij")
    return directions(np.pi * np.minimum(np.hypot(x, y), 1), np.arctan2(y, x))


def _expressed(direction: Float[np.ndarray, "*r 3"], expression: Expression) -> Float[np.ndarray, "*r 3"]:
    """Displacement of the skin in metres: the lower jaw drops, the mouth's corners spread, the brows rise."""
    u, v = longitude_latitude(direction)
    below = smooth_step(v, MOUTH - 0.012, MOUTH + 0.012) * np.exp(-((u / 0.75) ** 2)) * (1 - smooth_step(v, 1.0, 1.5))
    middle = 1 - 0.8 * smooth_step(np.abs(u), 0.1, 0.3) * (1 - smooth_step(v, MOUTH + 0.05, MOUTH + 0.25))
    corner = blob(np.abs(u), v, 0.24, MOUTH, 0.13, 0.1)
    x = 0.005 * expression.smile * corner * np.sign(u)
    y = 0.014 * expression.jaw * below * middle - 0.004 * expression.smile * corner
    y = y - 0.004 * expression.brows * blob(np.abs(u), v, 0.33, -0.25, 0.3, 0.12)
    z = 0.004 * expression.jaw * below
    return np.stack([x, y, z], -1)


def neck_sheet(shape: HeadShape, body: Float[np.ndarray, "3 4"]) -> Sheet:
    """The neck: its upper end belongs to the head, its lower end to the shoulders. `body`: shoulders to head frame."""
    down = np.linspace(0, 1, 14)[:, None]
    turn = np.arange(48) * (2 * np.pi / 48)
    radius = shape.neck * (1 + 0.35 * down**4)
    ring = np.stack(np.broadcast_arrays(np.sin(turn) * radius, 0.05 + 0.13 * down, 0.022 - np.cos(turn) * radius), -1)
    with_body = ring @ body[:, :3].T + body[:, 3]
    return Sheet(ring + down[..., None] * (with_body - ring), _unrolled(14, 48), closed=True)


def shoulder_sheet(shape: HeadShape, body: Float[np.ndarray, "3 4"]) -> Sheet:
    """Shoulders and chest, a rounded box, in the head's frame."""
    fall, turn = np.meshgrid(np.linspace(0, 0.62 * np.pi, 36), np.arange(72) * (2 * np.pi / 72), indexing="ij")
    direction = np.stack([np.sin(fall) * np.sin(turn), -np.cos(fall), -np.sin(fall) * np.cos(turn)], -1)
    size = np.array([shape.shoulders, 0.26, 0.1])
    radius = 1 / (np.abs(direction / size) ** 2.6).sum(-1) ** (1 / 2.6)
    slope = np.array([0, 0.05, 0]) * (np.abs(direction[..., :1]) * radius[..., None] / shape.shoulders) ** 1.2
    points = direction * radius[..., None] + slope + np.array([0, 0.128 + 0.26, 0.045])
    return Sheet(points @ body[:, :3].T + body[:, 3], _unrolled(36, 72), closed=True)


def curtain_sheet(shape: HeadShape) -> Sheet:
    """Hair that hangs round the back and sides of the head, open at the face."""
    down, turn = np.meshgrid(np.linspace(0, 1, 30), np.linspace(-1, 1, 90), indexing="ij")
    angle = turn * 0.68 * np.pi  # 0 = the back
    thick = 1 + 0.05 * np.sin(9 * angle + shape.hair_seed % 7) + 0.1 * down
    x = np.sin(angle) * (shape.width + 0.6 * shape.hair + 0.006) * thick
    z = np.cos(angle) * (shape.back + 0.5 * shape.hair) * thick * np.where(np.cos(angle) < 0, 0.3, 1)
    y = -0.045 + (0.045 + shape.curtain) * down
    return Sheet(np.stack([x, y, z], -1), _unrolled(30, 90), closed=False)


def _unrolled(rings: int, spokes: int) -> Float[np.ndarray, "r s 2"]:
    y, x = np.meshgrid(np.linspace(0, 1, rings), np.linspace(0, 1, spokes), indexing="ij")
    return np.stack([x, y], -1)

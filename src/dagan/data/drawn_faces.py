"""A small moving face drawn flat by formula: for tests and smoke training. With known depth: `data.synthetic`."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

FRAME_RATE = 25.0  # frames per second that the motion is meant for
Plane = Float[np.ndarray, "h w"]
Colour = tuple[float, float, float]


class _Pose(NamedTuple):
    """Head turn in units of the head's half width, roll in radians, mouth and eyes 0 (closed) to 1 (open)."""

    yaw: float
    pitch: float
    roll: float
    mouth: float
    eyes: float


class _Look(NamedTuple):
    skin: Colour
    hair: Colour
    iris: Colour
    shirt: Colour
    backdrop: Float[np.ndarray, "h w 3"]
    freckles: Plane


def drawn_clip(num_frames: int, size: int, seed: int) -> UInt8[np.ndarray, "t size size 3"]:
    """A face that turns, nods, tilts, talks and blinks before a still, textured background; each seed a new person."""
    numbers = np.random.default_rng(seed)
    look, motion = _look(numbers, size), _motion(numbers, num_frames)
    return np.stack([_draw(pose, look, size) for pose in motion])


def _look(numbers: np.random.Generator, size: int) -> _Look:
    tone = numbers.uniform(0.35, 0.9)
    hair, shirt, iris = numbers.uniform(0.05, 0.45), numbers.uniform(0.1, 0.8, 3), numbers.uniform(0.05, 0.5, 3)
    return _Look(
        skin=(tone, tone * 0.78, tone * 0.66),
        hair=(hair, hair * 0.75, hair * 0.5),
        iris=_rgb(iris),
        shirt=_rgb(shirt),
        backdrop=np.stack([0.15 + 0.7 * _noise(numbers, size, 6) for _ in range(3)], -1),
        freckles=_noise(numbers, size, 24) - 0.5,
    )


def _rgb(values: Float[np.ndarray, "3"]) -> Colour:
    return float(values[0]), float(values[1]), float(values[2])


def _noise(numbers: np.random.Generator, size: int, cells: int) -> Plane:
    """Smooth random values in [0, 1] with about `cells` bumps across."""
    coarse = Image.fromarray(numbers.integers(0, 256, (cells, cells), dtype=np.uint8))
    bumps: Plane = np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC)) / 255.0
    return bumps


def _motion(numbers: np.random.Generator, num_frames: int) -> list[_Pose]:
    seconds = np.arange(num_frames) / FRAME_RATE

    def wave(low_hz: float, high_hz: float) -> Float[np.ndarray, "t"]:
        """Two sines of random phase, in [-1, 1]."""
        hertz, phase = numbers.uniform(low_hz, high_hz, 2), numbers.uniform(0, 2 * np.pi, 2)
        fast, slow = np.sin(2 * np.pi * hertz * seconds[:, None] + phase).T
        return np.asarray(0.65 * fast + 0.35 * slow)

    yaw, pitch, roll = 0.32 * wave(0.2, 0.6), 0.14 * wave(0.2, 0.6), 0.16 * wave(0.1, 0.4)
    mouth = np.clip(0.4 + 0.6 * wave(0.8, 2.0), 0, 1)
    blink = np.cos(np.pi * np.clip((seconds + numbers.uniform(0, 2)) % 2.0 / 0.16 - 1, -1, 1)) * 0.5 + 0.5
    return [_Pose(*map(float, values)) for values in zip(yaw, pitch, roll, mouth, 1 - blink, strict=True)]


def _sample(texture: Plane, u: Plane, v: Plane) -> Plane:
    """Texture values at coordinates in [-1, 1], bilinear; beyond the edges the texture is mirrored."""
    size = len(texture)
    column, row = (np.abs((c + 1) % 4 - 2) / 2 * (size - 1) for c in (u, v))
    x, y = np.minimum(column.astype(int), size - 2), np.minimum(row.astype(int), size - 2)
    right, down = column - x, row - y
    top = texture[y, x] * (1 - right) + texture[y, x + 1] * right
    bottom = texture[y + 1, x] * (1 - right) + texture[y + 1, x + 1] * right
    return np.asarray(top * (1 - down) + bottom * down)


def _draw(pose: _Pose, look: _Look, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Paints from back to front: each part covers what is behind it by its soft mask."""
    centres = (2 * np.arange(size) + 1) / size - 1
    y, x = np.meshgrid(centres, centres, indexing="ij")
    soft = 1.5 / size  # half the width of an edge: anti-aliased over about three pixels

    def ellipse(u: Plane, v: Plane, cx: float, cy: float, rx: float, ry: float) -> Plane:
        """1 inside, 0 outside, smooth between."""
        radius = np.hypot((u - cx) / rx, (v - cy) / ry)
        return np.clip((1 - radius) * min(rx, ry) / soft * 0.5 + 0.5, 0, 1)

    image = look.backdrop.copy()

    def paint(mask: Plane, colour: Colour, shade: Plane | float = 1.0) -> None:
        nonlocal image
        painted = np.asarray(colour) * np.asarray(shade)[..., None]
        image = image + mask[..., None] * (painted - image)

    # Head axes (u, v): shifted with the turn, then rolled about the neck at (0, 0.7).
    cos, sin = np.cos(pose.roll), np.sin(pose.roll)
    shifted_x, shifted_y = x - 0.25 * pose.yaw, y - 0.25 * pose.pitch - 0.7
    u, v = cos * shifted_x + sin * shifted_y, -sin * shifted_x + cos * shifted_y + 0.7
    turn, nod = 0.5 * pose.yaw, 0.5 * pose.pitch  # features move further than the outline, as on a ball

    paint(ellipse(x, y, 0.0, 1.25, 0.85, 0.6), look.shirt, 1 - 0.3 * np.abs(x))
    paint(ellipse(u, v, 0.0, 0.62, 0.22, 0.4), look.skin, 0.8)
    freckles = _sample(look.freckles, u - turn, v - nod)  # fixed to the head, as its texture is
    paint(ellipse(u, v, -0.3 * turn, -0.2, 0.6, 0.66), look.hair, 0.9 + 0.6 * freckles)
    head = ellipse(u, v, 0.0, 0.02, 0.5, 0.66)
    hairline = ellipse(u, v, 0.6 * turn, -0.72 + 0.4 * nod, 0.56, 0.34)
    light = 1.08 - 0.35 * (u - turn + 0.1) ** 2 - 0.25 * (v - nod) ** 2 + 0.12 * freckles
    paint(head * (1 - hairline), look.skin, light)
    for side in (-1, 1):
        near = 1 - 0.3 * side * turn  # the far half of the face is narrower
        eye = turn + 0.22 * side * near, -0.1 + nod
        paint(head * ellipse(u, v, eye[0], eye[1] - 0.15, 0.13 * near, 0.025), look.hair)
        white = head * ellipse(u, v, *eye, 0.1 * near, 0.012 + 0.053 * pose.eyes)
        paint(white, (0.95, 0.95, 0.93))
        paint(white * ellipse(u, v, eye[0] + 0.1 * turn, eye[1], 0.045, 0.045), look.iris)
        paint(white * ellipse(u, v, eye[0] + 0.1 * turn, eye[1], 0.02, 0.02), (0.02, 0.02, 0.02))
    paint(head * ellipse(u, v, 1.25 * turn, 0.08 + 1.2 * nod, 0.045, 0.13), look.skin, 1.12)
    paint(head * ellipse(u, v, 1.25 * turn, 0.2 + 1.2 * nod, 0.09, 0.025), look.skin, 0.7)
    opening = 0.03 + 0.1 * pose.mouth
    lips = turn, 0.36 + nod + 0.5 * opening
    paint(head * ellipse(u, v, *lips, 0.2 - 0.05 * pose.mouth, opening + 0.025), (0.65, 0.25, 0.25))
    paint(head * ellipse(u, v, *lips, 0.16 - 0.05 * pose.mouth, opening - 0.02), (0.18, 0.04, 0.05))
    pixels: UInt8[np.ndarray, "size size 3"] = np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
    return pixels

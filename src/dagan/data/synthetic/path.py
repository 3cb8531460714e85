"""Camera, light and movement of one clip, from a seed."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dagan.data.synthetic.shape import Expression

FRAME_RATE = 25.0  # frames per second
NECK = np.array([0.0, 0.1, 0.025])  # in the head's frame: what the head turns about
USUAL_TURN = 0.14  # radians
HEAD_HEIGHT = 0.24  # metres, for how far away the camera stands


class Light(NamedTuple):
    """A lamp far away and the light of the room: `direction` points from the head to the lamp (camera axes)."""

    direction: Float[np.ndarray, "3"]
    lamp: Float[np.ndarray, "3"]
    room: Float[np.ndarray, "3"]


class Moment(NamedTuple):
    """One frame: a point x of the head is at R x + t before the camera; the shoulders have their own R and t."""

    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, "3"]
    body: Float[np.ndarray, "3 4"]
    expression: Expression
    light: Light


def random_camera(numbers: np.random.Generator, size: int) -> tuple[Float[np.ndarray, "3 3"], float]:
    """Intrinsics in pixels (centres at integer + 0.5), and the head's distance that fills a good half of the frame."""
    focal = float(np.exp(numbers.uniform(np.log(1.5), np.log(2.8))))  # image sides: 37 to 20 degrees of view
    centre = size * (0.5 + numbers.uniform(-0.03, 0.03, 2))
    intrinsics = np.array([[focal * size, 0, centre[0]], [0, focal * size, centre[1]], [0, 0, 1.0]])
    return intrinsics, HEAD_HEIGHT * focal / float(numbers.uniform(0.52, 0.72))


def random_moments(
    numbers: np.random.Generator, num_frames: int, distance: float, turned: float = USUAL_TURN
) -> list[Moment]:
    """A person who looks about, sways a little and talks, in light that drifts. More frames go on where fewer end.

    `turned`: spread in radians of the yaw about which the head moves.
    """
    seconds = np.arange(num_frames) / FRAME_RATE

    def wave(low_hz: float, high_hz: float) -> Float[np.ndarray, " t"]:
        """Two sines of random phase, in [-1, 1]."""
        hertz, phase = numbers.uniform(low_hz, high_hz, 2), numbers.uniform(0, 2 * np.pi, 2)
        fast, slow = np.sin(2 * np.pi * hertz * seconds[:, None] + phase).T
        return np.asarray(0.65 * fast + 0.35 * slow)

    rest = numbers.normal(0, (turned, 0.05, 0.03))  # how the head is held
    span = numbers.uniform((0.18, 0.07, 0.04), (0.5, 0.2, 0.16))
    yaw, pitch, roll = (r + s * wave(0.2, 0.6) for r, s in zip(rest, span, strict=True))
    place = np.array([0, -0.005, distance]) + numbers.normal(0, (0.02, 0.015, 0.0))
    sway = np.stack([0.016 * wave(0.1, 0.4), 0.007 * wave(0.1, 0.4), 0.02 * wave(0.1, 0.3)], -1)
    jaw, smile = np.clip(0.3 + 0.6 * wave(0.8, 2.2), 0, 1) * numbers.uniform(0.2, 1), wave(0.1, 0.4)
    blink = np.clip(12 * np.cos(2 * np.pi * (seconds / numbers.uniform(2, 4) + numbers.random())) - 11, 0, 1)
    brows = np.clip(wave(0.2, 0.7), 0, 1)
    bright = 1 + numbers.uniform(0.0, 0.1) * wave(0.1, 0.5)
    drift = 0.2 * np.stack([wave(0.05, 0.2) for _ in range(3)], -1)
    lamp, tint = random_light(numbers), numbers.uniform(0.93, 1.07, 3)
    moments = []
    for i in range(num_frames):
        rotation = rotation_of(yaw[i], pitch[i], roll[i])
        shoulders = rotation_of(0.15 * yaw[i], 0.05 * pitch[i], 0.1 * roll[i])
        position = place + sway[i] + NECK
        translation = position - rotation @ NECK
        # from the shoulders' frame, which is the head's at rest, into the head's
        into_head = rotation.T @ np.concatenate([shoulders, (position - shoulders @ NECK - translation)[:, None]], 1)
        towards = lamp.direction + drift[i]
        light = Light(towards / np.linalg.norm(towards), lamp.lamp * tint * bright[i], lamp.room * tint * bright[i])
        expression = Expression(float(jaw[i]), float(smile[i]), float(blink[i]), float(brows[i]))
        moments.append(Moment(rotation, translation, into_head, expression, light))
    return moments


def random_light(numbers: np.random.Generator) -> Light:
    direction = np.array([numbers.uniform(-0.8, 0.8), numbers.uniform(-0.9, 0.1), -numbers.uniform(0.5, 1.0)])
    strength = numbers.uniform(0.35, 0.65)
    return Light(direction, np.full(3, strength), np.full(3, 1.1 - strength))


def rotation_of(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """Head turned to the picture's right, then up, then tilted clockwise, by radians."""

    def about(axis: int, angle: float) -> Float[np.ndarray, "3 3"]:
        turn, (i, j) = np.eye(3), [(1, 2), (2, 0), (0, 1)][axis]
        turn[[i, j], [i, j]] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        return turn

    # the face looks along -z: a positive turn about y (down) swings it to the left, so signs follow the picture
    return np.asarray(about(2, roll) @ about(1, -yaw) @ about(0, -pitch))

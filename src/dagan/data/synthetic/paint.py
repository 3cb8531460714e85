"""Colours of a procedural head and of what stands behind it: textures by formula and from a seed, RGB in [0, 1]."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from dagan.data.synthetic.shape import (
    MOUTH,
    HeadShape,
    blob,
    hair_cover,
    longitude_latitude,
    smooth_step,
    texture_direction,
)

HEAD_TEXTURE = 640  # texels a side: about 100 to the radian
CLOTH_TEXTURE = 192

Texture = Float[np.ndarray, "th tw c"]
Plane = Float[np.ndarray, "th tw"]
Colour = Float[np.ndarray, "3"]


class Paint(NamedTuple):
    """Textures of one head. `head` has six channels: the colours with open eyes, then those with closed eyes."""

    head: Texture
    hair: Texture
    neck: Texture
    shirt: Texture


def noise(numbers: np.random.Generator, height: int, width: int, cells_y: int, cells_x: int) -> Plane:
    """Smooth random values in [0, 1], about `cells` bumps across, bicubic between them."""
    coarse = Image.fromarray(numbers.integers(0, 256, (max(2, cells_y), max(2, cells_x)), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / np.float32(255)


def grain(numbers: np.random.Generator, side: int, *cells: int) -> Plane:
    """Noise of several sizes with equal contrast, about zero mean, within about +-0.5."""
    layers = [noise(numbers, side, side, count, count) - 0.5 for count in cells]
    return np.asarray(np.mean(layers, axis=0) * np.sqrt(len(layers)))


def random_paint(numbers: np.random.Generator, shape: HeadShape) -> Paint:
    """The looks of one person."""
    skin = _skin_colour(numbers)
    hair = _hair_colour(numbers)
    head = _head(numbers, shape, skin, hair)
    side = CLOTH_TEXTURE
    strands = noise(numbers, side, side, 6, 90) - 0.5
    neck = skin * 0.82 * (1 + 0.16 * grain(numbers, side, 8, 24, 60))[..., None]
    return Paint(head, np.clip(hair * (1 + 0.9 * strands)[..., None], 0, 1), np.clip(neck, 0, 1), _shirt(numbers))


def _skin_colour(numbers: np.random.Generator) -> Colour:
    light, dark = np.array([0.93, 0.76, 0.66]), np.array([0.36, 0.22, 0.15])
    mix = numbers.beta(1.6, 0.9)
    return np.asarray((light * mix + dark * (1 - mix)) * numbers.uniform(0.95, 1.05, 3))


def _hair_colour(numbers: np.random.Generator) -> Colour:
    kinds = np.array([[0.07, 0.06, 0.05], [0.22, 0.14, 0.08], [0.45, 0.3, 0.16], [0.7, 0.55, 0.33], [0.55, 0.53, 0.5]])
    return np.asarray(kinds[numbers.choice(5, p=(0.35, 0.3, 0.15, 0.1, 0.1))] * numbers.uniform(0.85, 1.15, 3))


def _shirt(numbers: np.random.Generator) -> Texture:
    side = CLOTH_TEXTURE
    first, second = numbers.uniform(0.05, 0.9, (2, 3))
    y, x = np.meshgrid(np.arange(side) / side, np.arange(side) / side, indexing="ij")
    stripes = 0.5 + 0.5 * np.sin(2 * np.pi * (numbers.uniform(-20, 20) * x + numbers.uniform(5, 30) * y))
    pattern = (noise(numbers, side, side, 9, 25), stripes, np.zeros((side, side)))[int(numbers.integers(3))]
    folds = 1 + 0.5 * grain(numbers, side, 5, 12) + 0.25 * grain(numbers, side, 40, 80)
    colour = first + np.clip(2 * pattern - 0.5, 0, 1)[..., None] * (second - first)
    return np.asarray(np.clip(colour * folds[..., None], 0, 1))


def _head(numbers: np.random.Generator, shape: HeadShape, skin: Colour, hair: Colour) -> Texture:
    """Skin, then what is on it from the back to the front; the eyes once open and once closed."""
    u, v = longitude_latitude(texture_direction(HEAD_TEXTURE))
    u = u + shape.asymmetry * np.sin(3 * v)
    colour = _skin(numbers, u, v, skin)
    colour = _mouth(colour, u, v, skin)
    colour = _beard(numbers, colour, u, v, hair)
    brow = smooth_step(blob(np.abs(u), v + 0.07 * (np.abs(u) - 0.33), 0.35, -0.19, 0.2, 0.032), 0.3, 0.75)
    colour = _over(colour, 0.75 * brow, hair * 0.8)
    shut, opened = _eyes(colour, u, v, skin, numbers.uniform(0.03, 0.45, 3) * np.array([1, 0.9, 0.9]))
    cover = hair_cover(u, v, shape)
    strands = hair * (1 + 0.8 * _streaks(numbers, u))[..., None]
    both = np.concatenate([_over(opened, cover, strands), _over(shut, cover, strands)], -1)
    return np.asarray(np.clip(both, 0, 1), np.float32)


def _streaks(numbers: np.random.Generator, u: Plane) -> Plane:
    """Strands that run from the crown down: noise of the longitude, bent and broken by slower noise."""
    side = HEAD_TEXTURE
    bent = u + 0.35 * grain(numbers, side, 9, 20)
    table = numbers.uniform(-0.5, 0.5, 256)
    strands = np.interp((bent / (2 * np.pi) % 1) * 255, np.arange(256), table)
    return np.asarray(0.7 * strands + 0.5 * grain(numbers, side, 16, 70))


def _skin(numbers: np.random.Generator, u: Plane, v: Plane, skin: Colour) -> Texture:
    side = np.abs(u)
    mottle = 0.14 * grain(numbers, HEAD_TEXTURE, 14, 34) + 0.09 * grain(numbers, HEAD_TEXTURE, 80, 160)
    freckles = smooth_step(noise(numbers, HEAD_TEXTURE, HEAD_TEXTURE, 150, 150), 0.72, 0.95) * numbers.uniform(0, 0.5)
    shade = 1 + mottle - freckles
    shade = shade - 0.25 * blob(side, v, 0.33, 0.02, 0.2, 0.12)  # hollows are darker than light alone makes them
    shade = shade - 0.35 * blob(side, v, 0.1, 0.43, 0.055, 0.03) - 0.2 * blob(u, v, 0.0, 0.465, 0.2, 0.04)
    shade = (
        shade - 0.12 * blob(u, v, 0.0, 0.79, 0.2, 0.05) - 0.16 * blob(side - 0.55 * (v - 0.4), v, 0.24, 0.5, 0.04, 0.14)
    )
    shade = shade + 0.08 * blob(u, v, 0.0, 0.3, 0.05, 0.2)
    colour = skin * shade[..., None]
    blush = 0.25 * blob(side, v, 0.5, 0.3, 0.25, 0.18) + 0.2 * blob(u, v, 0.0, 0.37, 0.12, 0.1)
    return _over(colour, blush, skin * np.array([1.0, 0.7, 0.65]))


def _mouth(colour: Texture, u: Plane, v: Plane, skin: Colour) -> Texture:
    arch = v + 0.10 * u**2
    half = np.clip(1 - (u / 0.25) ** 2, 0, 1)
    upper = smooth_step(half - 1.2 * np.abs(arch - (MOUTH - 0.035)) / 0.075, -0.1, 0.25)
    lower = smooth_step(half - 1.2 * np.abs(arch - (MOUTH + 0.045)) / 0.085, -0.1, 0.25)
    colour = _over(colour, 0.8 * np.maximum(upper, lower), skin * np.array([0.85, 0.5, 0.5]))
    gap = smooth_step(1 - (u / 0.23) ** 2 - np.abs(v - MOUTH) / 0.014, -0.3, 0.6)
    return _over(colour, 0.9 * gap, np.array([0.16, 0.05, 0.05]))


def _beard(numbers: np.random.Generator, colour: Texture, u: Plane, v: Plane, hair: Colour) -> Texture:
    if numbers.random() > 0.25:
        return colour
    lower_face = smooth_step(v - 0.25 * (1 - np.clip(np.abs(u) / 1.2, 0, 1)), 0.3, 0.45) * smooth_step(
        -np.abs(u), -1.5, -1.25
    )
    lips = blob(u, v, 0.0, MOUTH + 0.01, 0.26, 0.1)
    stubble = numbers.uniform(0.3, 0.85) * (0.8 + 0.6 * grain(numbers, HEAD_TEXTURE, 120))
    return _over(colour, np.clip(lower_face * (1 - smooth_step(lips, 0.3, 0.6)) * stubble, 0, 1), hair)


def _eyes(colour: Texture, u: Plane, v: Plane, skin: Colour, iris: Colour) -> tuple[Texture, Texture]:
    """The face with closed and with open eyes."""
    side = np.abs(u)
    lid = v - 0.005
    almond = smooth_step(1 - ((side - 0.36) / 0.135) ** 2 - (lid / 0.06) ** 2, -0.1, 0.25)
    outline = smooth_step(1 - ((side - 0.36) / 0.155) ** 2 - ((lid + 0.006) / 0.075) ** 2, -0.1, 0.2)
    lash = smooth_step(1 - ((side - 0.36) / 0.14) ** 2 - np.abs(v - 0.035) / 0.014, -0.2, 0.5)
    shut = _over(_over(colour, outline, skin * 0.85), 0.8 * lash, np.array([0.1, 0.07, 0.06]))
    ball = np.hypot(side - 0.36, v + 0.002)
    opened = _over(_over(colour, 0.75 * outline, skin * 0.4), almond, np.array([0.88, 0.87, 0.85]))
    opened = _over(opened, almond * smooth_step(0.062 - ball, -0.008, 0.008), iris)
    return shut, _over(opened, almond * smooth_step(0.028 - ball, -0.008, 0.008), np.array([0.02, 0.02, 0.02]))


def _over(below: Texture, cover: Plane, colour: Float[np.ndarray, "*c"]) -> Texture:
    return np.asarray(below + cover[..., None] * (colour - below))


def sample(texture: Texture, place: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n c"]:
    """Bilinear values at (x, y) in [0, 1], edges at 0 and 1, the border repeated."""
    height, width = texture.shape[:2]
    at = np.clip(place * [width, height] - 0.5, 0, [width - 1.001, height - 1.001])
    corner = at.astype(np.int64)
    part = (at - corner).astype(texture.dtype)
    x, y = corner.T
    flat = texture.reshape(-1, texture.shape[-1])
    index = y * width + x
    top = flat[index] * (1 - part[:, :1]) + flat[index + 1] * part[:, :1]
    bottom = flat[index + width] * (1 - part[:, :1]) + flat[index + width + 1] * part[:, :1]
    return np.asarray(top * (1 - part[:, 1:]) + bottom * part[:, 1:])

"""A short loop in which the camera moves round a portrait: its depth made visible."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.depth.estimate import DepthPicture
from dagan.geometry.camera import back_project, project, rotation_from_axis_angle
from dagan.geometry.jumps import hidden_layer, sharpen_jumps, widen_outlines
from dagan.geometry.relief import middle_depth
from dagan.geometry.splat import fill_holes, splat

RATE = Fraction(25)
SECONDS = 3
NUM_FRAMES = round(SECONDS * RATE)
SWING = 6.0  # degrees to either side
NOD = 0.5  # of the swing: the path is an ellipse, since heads are turned more than they are tilted
MARGIN = 0.01  # of a side per degree of swing: how much closer the camera looks, so that the border stays out
HIDDEN_REACH = 0.08  # of the longer side: how far the background is continued behind the head
FOLD_MARGIN = 1.5  # how much steeper than the camera's swing a surface must be to be taken for two


class Scene(NamedTuple):
    """Coloured points in the camera's space, and the camera that they are seen with from around `pivot`."""

    points: Float[Tensor, "1 3 n 1"]
    colour: Float[Tensor, "3 n"]
    intrinsics: Float[Tensor, "1 3 3"]
    pivot: Float[Tensor, "3"]
    height: int
    width: int


def build_scene(
    image: Float[Tensor, "1 3 h w"],
    depth: Float[Tensor, "1 1 h w"],
    intrinsics: Float[Tensor, "1 3 3"],
    swing: float = SWING,
) -> Scene:
    """Every pixel as a point, and behind the outlines of the head the background, continued.

    The pivot is the middle of the picture at the depth of the face: what the camera keeps looking at.
    """
    height, width = depth.shape[2:]
    focal = float(intrinsics[0, 0, 0])
    steepest = FOLD_MARGIN / math.tan(math.radians(swing))
    sharp = widen_outlines(sharpen_jumps(depth, focal, steepest), focal, steepest)
    hidden = hidden_layer(image, sharp, focal, round(HIDDEN_REACH * max(height, width)), steepest)
    inverse = torch.linalg.inv(intrinsics)
    behind = hidden.mask.flatten()
    points = [back_project(sharp, inverse).flatten(2), back_project(hidden.depth, inverse).flatten(2)[..., behind]]
    colour = [image.flatten(2)[0], hidden.image.flatten(2)[0][:, behind]]
    pivot = image.new_tensor([0.0, 0.0, middle_depth(depth)])
    closer = 1 + MARGIN * swing
    zoom = intrinsics.new_tensor([[closer, closer, 1], [closer, closer, 1], [1, 1, 1]])
    return Scene(torch.cat(points, 2)[..., None], torch.cat(colour, 1), intrinsics * zoom, pivot, height, width)


def render(scene: Scene, axis_angle: Float[Tensor, "1 3"]) -> Float[Tensor, "1 3 h w"]:
    """The scene after the camera went round the pivot: a rotation of the points about it, in radians."""
    rotation = rotation_from_axis_angle(axis_angle)[0]
    pivot = scene.pivot[:, None, None]
    moved = torch.einsum("ij,bjnk->bink", rotation, scene.points - pivot) + pivot
    at = project(moved, scene.intrinsics)[0, :, 0].T.contiguous()
    image, cover = splat(at, moved[0, 2, :, 0], scene.colour, scene.height, scene.width)
    return fill_holes(image, cover).clamp(0, 1)


def orbit(num_frames: int, swing: float = SWING) -> Iterator[Float[Tensor, "1 3"]]:
    """Axis-angles of a closed elliptic path, evenly in time; the last is a step before the first. Swing in degrees."""
    across = math.radians(swing)
    for index in range(num_frames):
        phase = 2 * math.pi * index / num_frames
        yield torch.tensor([[NOD * across * math.cos(phase), across * math.sin(phase), 0.0]])


def parallax_frames(picture: DepthPicture, swing: float = SWING) -> Iterator[Float[Tensor, "1 3 h w"]]:
    """The frames of the loop, `SECONDS` at `RATE`, each made when it is asked for. Swing in degrees to either side."""
    scene = build_scene(picture.image, picture.depth, picture.intrinsics, swing)
    return (render(scene, axis_angle) for axis_angle in orbit(NUM_FRAMES, swing))

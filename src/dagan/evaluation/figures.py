"""The rows of the paper's figures: depth maps and point clouds (Fig. 9), attention (Figs. 1c, 10, 12), comparisons
(Figs. 8, 13, 14). `figure_page.compose` makes a page of them."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from dagan.errors import UserError
from dagan.evaluation.model_systems import same_video_rendering
from dagan.geometry.camera import back_project, project, rotation_from_axis_angle
from dagan.geometry.relief import middle_depth
from dagan.geometry.splat import splat
from dagan.images import SIDE, Tile, colour_map, draw_attention, draw_displacement, with_points
from dagan.inference.animator import Animator
from dagan.models.depth import depth_from_disparity
from dagan.models.family import Family
from dagan.models.matte import load_matte
from dagan.types import View

FigureMotion = Literal["absolute", "registered"]
PORTRAIT_FOCAL = 2.0  # image sides, as stage 1 expects of a portrait (`PoseConfig.portrait_focal`)
CLOUD_SIDE = 384  # pixels that a cloud is drawn at
CLOUD_DENSITY = 2  # points per pixel across and down: slanted surfaces stay closed
CLOUD_DISTANCE = 1.1  # the camera steps back, so that the turned cloud stays inside
CLOUD_TURNS = (-25.0, 25.0)  # degrees about the vertical
CLOUD_TILT = 8.0  # degrees from above
HEAD_SHARE = 0.45  # of the way from the farthest to the nearest disparity: what is farther is left out as background
FACE_QUERIES = ((0.0, 0.31), (-0.25, -0.17), (0.0, 0.05))  # mouth, an eye, nose of a face framed as in the clips


class Pair(NamedTuple):
    """A source and a driving image."""

    source: Float[Tensor, "1 3 h w"]
    driving: Float[Tensor, "1 3 h w"]


@torch.inference_mode()
def depth_row(depth: nn.Module, image: Float[Tensor, "1 3 h w"]) -> list[Tile]:
    """Image and disparity, bright = near."""
    return [image[0], colour_map(depth(image))[0]]


@torch.inference_mode()
def cloud_row(depth: nn.Module, image: Float[Tensor, "1 3 h w"]) -> list[Tile]:
    """Image, disparity, and the point cloud seen from either side (Fig. 9)."""
    disparity = depth(image).float()
    return [image[0], colour_map(disparity)[0], *(draw_cloud(image, disparity, turn)[0] for turn in CLOUD_TURNS)]


def draw_cloud(
    image: Float[Tensor, "1 3 h w"], disparity: Float[Tensor, "1 1 h w"], turn: float, side: int = CLOUD_SIDE
) -> Float[Tensor, "1 3 side side"]:
    """The back-projected pixels of the head (Eq. 3, inner part), turned by `turn` degrees, on white."""
    fine = side * CLOUD_DENSITY
    image, disparity = (
        F.interpolate(x, (fine, fine), mode="bilinear", align_corners=False) for x in (image, disparity)
    )
    depth, low, high = depth_from_disparity(disparity), disparity.amin(), disparity.amax()
    is_head = (disparity >= low + HEAD_SHARE * (high - low)).flatten()
    points = back_project(depth, torch.linalg.inv(_camera(fine, depth))).flatten(2)[0][:, is_head]  # 3 n
    colour = image.flatten(2)[0][:, is_head]
    pivot = depth.new_tensor([[0.0], [0.0], [middle_depth(depth)]])
    tilted, turned = (
        rotation_from_axis_angle(depth.new_tensor([angles]))[0]
        for angles in ([math.radians(CLOUD_TILT), 0.0, 0.0], [0.0, math.radians(turn), 0.0])
    )
    moved = tilted @ turned @ (points - pivot) + CLOUD_DISTANCE * pivot
    at = project(moved[None, :, :, None], _camera(side, depth))[0, :, 0]
    drawn, cover = splat(at.T, moved[2], colour, side, side)
    return drawn * cover + (1 - cover)


def _camera(side: int, like: Tensor) -> Float[Tensor, "1 3 3"]:
    focal = PORTRAIT_FOCAL * side
    return like.new_tensor([[[focal, 0.0, side / 2], [0.0, focal, side / 2], [0.0, 0.0, 1.0]]])


@torch.inference_mode()
def attention_row(model: Family, pair: Pair, queries: Sequence[tuple[float, float]], side: int = SIDE) -> list[Tile]:
    """Source, driving, generated, then for each query position where it looks (a row of A, Eq. 9).

    Each map is scaled to its own maximum. Positions are of the generated image, (x, y) in [-1, 1].

    Raises:
        UserError: the model has no attention.
    """
    animator = Animator(model, "torch", "fp32", motion="absolute")
    animator.set_source(pair.source)
    rendering = animator.render(pair.driving, with_attention=True)
    if rendering.attention is None:
        raise UserError("this model has no attention to draw; give one with CAM or SA, such as the preset dagan")
    maps = [draw_attention(rendering.generated, rendering.attention, query, side) for query in queries]
    return [pair.source[0], pair.driving[0], rendering.generated[0], *maps]


LAYER_TITLES = (
    "source image",
    "driving image",
    "matte",
    "plate",
    "flow",
    "warped matte",
    "share of photo",
    "painted",
    "result",
)


@torch.inference_mode()
def layers_row(model: Family, pair: Pair) -> list[Tile]:
    """What a picture is put together from (`models/composition.py`), under `LAYER_TITLES`."""
    source = model.encode(model.view(pair.source))
    layers = model.layers(source, model.view(pair.driving).code)
    backdrop = model.composition.backdrop(pair.source, load_matte().to(pair.source.device)(pair.source))
    planes = model.composition.planes(layers, backdrop.matte)
    grey = (backdrop.matte, planes.matte, planes.shown)
    matte, warped, shown = (plane[0].expand(3, -1, -1) for plane in grey)
    flow = draw_displacement(rearrange(planes.moved, "b d h w -> b h w d"))[0]
    made = model.composition(layers, backdrop)[0]
    tiles = (pair.source[0], pair.driving[0], matte, backdrop.plate[0], flow, warped, shown, planes.painted[0], made)
    return list(tiles)


@torch.inference_mode()
def comparison_row(
    models: Mapping[str, Family],
    pair: Pair,
    depth: nn.Module | None,
    side: int = SIDE,
    motion: FigureMotion = "absolute",
) -> list[Tile]:
    """Source and driving image with the last model's keypoints, if it has some, their depths, and each model's image
    (Figs. 13, 14)."""
    shown = list(models.values())[-1]
    row: list[Tile] = []
    for image in pair:
        view = shown.view(image)
        row.append(with_points(image[0], view.keypoints.position[0], side) if isinstance(view, View) else image[0])
        if depth is not None:
            row.append(colour_map(depth(image))[0])
    return [*row, *(generated(model, pair, motion) for model in models.values())]


@torch.inference_mode()
def ablation_row(
    models: Mapping[str, Family], pair: Pair, depth: nn.Module | None, motion: FigureMotion = "absolute"
) -> list[Tile]:
    """Source, driving, the source's depth if there is a network for it, then each variant's image (Fig. 8)."""
    seen = [colour_map(depth(pair.source))[0]] if depth is not None else []
    return [pair.source[0], pair.driving[0], *seen, *(generated(model, pair, motion) for model in models.values())]


def generated(model: Family, pair: Pair, motion: FigureMotion) -> Float[Tensor, "3 h w"]:
    """The source with the driving image's pose. "registered" is for two frames of one video: background and torso move
    as they did between them."""
    animator = Animator(model, "torch", "fp32", motion="absolute")
    animator.set_source(pair.source)
    rendering = same_video_rendering(animator, *pair) if motion == "registered" else animator.render(pair.driving)
    return rendering.generated[0]

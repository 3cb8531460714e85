"""Clips of procedural heads with everything known: depth, parts, pose, camera, optical flow and occlusion."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from dagan.data.synthetic.backdrop import SUPERSAMPLING, Backdrop, random_backdrop
from dagan.data.synthetic.paint import Paint, random_paint, sample
from dagan.data.synthetic.path import USUAL_TURN, Light, Moment, random_camera, random_moments
from dagan.data.synthetic.raster import Fragments, grid_normals, grid_triangles, interpolate, rasterise
from dagan.data.synthetic.shape import (
    HeadShape,
    Sheet,
    curtain_sheet,
    head_sheet,
    neck_sheet,
    random_shape,
    shoulder_sheet,
)

BACKGROUND, BODY, HEAD = (
    0,
    1,
    2,
)  # values of `SyntheticClip.part`; hair and ears belong to the head, the neck to the body
OCCLUSION_MARGIN = 0.004  # metres: how much nearer another surface must be to hide a point


class SyntheticClip(NamedTuple):
    """A clip and its truth. Depth is in metres along the optical axis; a head's point x is at R x + t in the camera.

    `flow` is where each pixel's surface point goes by the next frame, in pixels (x right, y down); `occluded` is true
    where the next frame does not show that point. `part`: BACKGROUND, BODY or HEAD.
    """

    frames: UInt8[np.ndarray, "t h w 3"]
    depth: Float[np.ndarray, "t h w"]
    part: UInt8[np.ndarray, "t h w"]
    flow: Float[np.ndarray, "u h w 2"]
    occluded: Bool[np.ndarray, "u h w"]
    rotation: Float[np.ndarray, "t 3 3"]
    translation: Float[np.ndarray, "t 3"]
    intrinsics: Float[np.ndarray, "3 3"]


class Mesh(NamedTuple):
    """All surfaces of one frame before the camera, corner by corner. `surface` numbers the textures of `Paint`."""

    points: Float[np.ndarray, "v 3"]
    normals: Float[np.ndarray, "v 3"]
    place: Float[np.ndarray, "v 2"]
    triangles: Int[np.ndarray, "m 3"]
    surface: Int[np.ndarray, " m"]


SURFACE_PARTS = np.array([HEAD, HEAD, BODY, BODY], np.uint8)  # head, curtain of hair, neck, shoulders


def synthetic_clip(
    num_frames: int, size: int, identity: int, clip: int = 0, turned: float = USUAL_TURN
) -> SyntheticClip:
    """Frames of the person `identity` in the situation `clip`: each pair of seeds is one clip, always the same.

    A longer clip begins as a shorter one does. `turned`: spread in radians of how far to a side heads are held.
    """
    shape, paint = person(identity)
    numbers = np.random.default_rng((identity, clip, 1))
    intrinsics, distance = random_camera(numbers, size)
    backdrop = random_backdrop(numbers, size, distance)
    moments = random_moments(np.random.default_rng((identity, clip, 2)), num_frames, distance, turned)
    return film(shape, paint, backdrop, moments, intrinsics)


def person(identity: int) -> tuple[HeadShape, Paint]:
    """Shape and looks of one person."""
    numbers = np.random.default_rng((identity, 0))
    shape = random_shape(numbers)
    return shape, random_paint(numbers, shape)


def film(
    shape: HeadShape,
    paint: Paint,
    backdrop: Backdrop,
    moments: list[Moment],
    intrinsics: Float[np.ndarray, "3 3"],
) -> SyntheticClip:
    """Renders every moment, then follows each frame's points into the next."""
    size = backdrop.depth.shape[0]
    meshes = [pose_mesh(shape, moment) for moment in moments]
    frames = [shade(mesh, paint, backdrop, moment, intrinsics) for mesh, moment in zip(meshes, moments, strict=True)]
    seen = [rasterise(pixels(mesh, intrinsics), mesh.points[:, 2], mesh.triangles, size, size) for mesh in meshes]
    maps = [geometry(mesh, at, backdrop) for mesh, at in zip(meshes, seen, strict=True)]
    steps = [
        follow(here, there, at, following, intrinsics)
        for here, there, at, following in zip(meshes, meshes[1:], seen, maps[1:], strict=False)
    ]
    return SyntheticClip(
        frames=np.stack(frames),
        depth=np.stack([depth for depth, _ in maps]),
        part=np.stack([part for _, part in maps]),
        flow=np.stack([flow for flow, _ in steps]) if steps else np.zeros((0, size, size, 2), np.float32),
        occluded=np.stack([hidden for _, hidden in steps]) if steps else np.zeros((0, size, size), bool),
        rotation=np.stack([moment.rotation for moment in moments]).astype(np.float32),
        translation=np.stack([moment.translation for moment in moments]).astype(np.float32),
        intrinsics=intrinsics.astype(np.float32),
    )


def pose_mesh(shape: HeadShape, moment: Moment) -> Mesh:
    """The person's surfaces before the camera."""
    sheets = [head_sheet(shape, moment.expression)]
    sheets.append(curtain_sheet(shape) if shape.curtain > 0 else Sheet(np.zeros((0, 2, 3)), np.zeros((0, 2, 2)), False))
    sheets += [neck_sheet(shape, moment.body), shoulder_sheet(shape, moment.body)]
    triangles, surface, first = [], [], 0
    for number, sheet in enumerate(sheets):
        rings, spokes = sheet.points.shape[:2]
        ours = grid_triangles(rings, spokes, sheet.closed) if rings else np.zeros((0, 3), np.int64)
        triangles.append(ours + first)
        surface.append(np.full(len(ours), number))
        first += rings * spokes
    points = np.concatenate([sheet.points.reshape(-1, 3) for sheet in sheets])
    normals = [grid_normals(s.points, s.closed).reshape(-1, 3) for s in sheets if len(s.points)]
    return Mesh(
        points @ moment.rotation.T + moment.translation,
        np.concatenate(normals) @ moment.rotation.T,
        np.concatenate([sheet.place.reshape(-1, 2) for sheet in sheets]),
        np.concatenate(triangles),
        np.concatenate(surface),
    )


def pixels(mesh: Mesh, intrinsics: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "v 2"]:
    projected = mesh.points @ intrinsics.T
    return np.asarray(projected[:, :2] / np.maximum(projected[:, 2:], 1e-6))


def shade(
    mesh: Mesh, paint: Paint, backdrop: Backdrop, moment: Moment, intrinsics: Float[np.ndarray, "3 3"]
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture, averaged over `SUPERSAMPLING` squared samples a pixel."""
    side = backdrop.colour.shape[0]
    at = rasterise(pixels(mesh, intrinsics) * SUPERSAMPLING, mesh.points[:, 2], mesh.triangles, side, side)
    brightness = 1 + 0.5 * (moment.light.lamp + moment.light.room - 1)  # the room's light changes a little, too
    picture = (backdrop.colour * brightness).reshape(-1, 3)
    picture[at.pixel] = lit(mesh, paint, at, moment)
    small = picture.reshape(side // SUPERSAMPLING, SUPERSAMPLING, side // SUPERSAMPLING, SUPERSAMPLING, 3).mean((1, 3))
    return np.asarray(np.round(255 * np.clip(small, 0, 1)).astype(np.uint8))


def lit(mesh: Mesh, paint: Paint, at: Fragments, moment: Moment) -> Float[np.ndarray, "n 3"]:
    """Texture times Lambert's light, with a little gloss on the head."""
    place = interpolate(mesh.place, mesh.triangles, at)
    surface = mesh.surface[at.triangle]
    colour = np.zeros((len(place), 3))
    textures = (blinking(paint, moment.expression.blink), paint.hair, paint.neck, paint.shirt)
    for number, texture in enumerate(textures):
        ours = surface == number
        colour[ours] = sample(texture, place[ours])
    normal = interpolate(mesh.normals, mesh.triangles, at)
    view = interpolate(mesh.points, mesh.triangles, at)
    normal *= -np.sign((normal * view).sum(-1, keepdims=True))  # a sheet of hair is seen from both sides
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    return np.asarray(
        colour * received(normal, moment.light) + gloss(normal, view, moment.light) * (surface == 0)[:, None]
    )


def blinking(paint: Paint, blink: float) -> Float[np.ndarray, "th tw 3"]:
    opened, shut = paint.head[..., :3], paint.head[..., 3:]
    return opened if blink == 0 else opened + np.float32(blink) * (shut - opened)


def received(normal: Float[np.ndarray, "n 3"], light: Light) -> Float[np.ndarray, "n 3"]:
    """Light that falls on a surface: from the lamp, and from the room, of which less comes from below."""
    lamp = np.clip(normal @ light.direction, 0, None)[:, None] * light.lamp
    return np.asarray(1.25 * lamp + light.room * (0.9 - 0.25 * normal[:, 1:2]))


def gloss(normal: Float[np.ndarray, "n 3"], view: Float[np.ndarray, "n 3"], light: Light) -> Float[np.ndarray, "n 1"]:
    half = light.direction - view / np.linalg.norm(view, axis=-1, keepdims=True)
    half /= np.linalg.norm(half, axis=-1, keepdims=True)
    return np.asarray(0.08 * np.clip((normal * half).sum(-1, keepdims=True), 0, 1) ** 24)


def geometry(
    mesh: Mesh, at: Fragments, backdrop: Backdrop
) -> tuple[Float[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]:
    """Depth and part at every pixel centre."""
    depth, part = backdrop.depth.copy().reshape(-1), np.full(backdrop.depth.size, BACKGROUND, np.uint8)
    depth[at.pixel] = at.depth
    part[at.pixel] = SURFACE_PARTS[mesh.surface[at.triangle]]
    return depth.reshape(backdrop.depth.shape).astype(np.float32), part.reshape(backdrop.depth.shape)


def follow(
    here: Mesh,
    there: Mesh,
    at: Fragments,
    next_map: tuple[Float[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]],
    intrinsics: Float[np.ndarray, "3 3"],
) -> tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]:
    """Flow and occlusion: where each visible point is in the next frame, and whether something nearer hides it."""
    next_depth, there_part = next_map
    height, width = next_depth.shape
    y, x = np.divmod(np.arange(height * width), width)
    start = np.stack([x + 0.5, y + 0.5], -1)
    moved = interpolate(there.points, there.triangles, at)
    landed = moved @ intrinsics.T
    goal, depth = start.copy(), np.full(height * width, np.inf)  # the background is behind everything
    goal[at.pixel], depth[at.pixel] = landed[:, :2] / landed[:, 2:], moved[:, 2]
    outside = ((goal < 0) | (goal >= [width, height])).any(-1)
    seen = np.where(
        np.isinf(depth), np.where(there_part.reshape(-1) == BACKGROUND, np.inf, 0), farthest(next_depth, goal)
    )
    hidden = outside | (seen < depth - OCCLUSION_MARGIN)
    return (goal - start).reshape(height, width, 2).astype(np.float32), hidden.reshape(height, width)


def farthest(depth: Float[np.ndarray, "h w"], at: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " n"]:
    """Largest depth of the four pixels round a position: what hides a point must be nearer than all of them."""
    height, width = depth.shape
    column, row = np.floor(at - 0.5).astype(np.int64).T
    around = [depth[np.clip(row + i, 0, height - 1), np.clip(column + j, 0, width - 1)] for i in (0, 1) for j in (0, 1)]
    return np.asarray(np.max(around, axis=0))

"""Triangles to pixels with a z-buffer, in NumPy: which triangle each pixel centre sees, and where on it."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

NEAREST = 0.05  # metres: a triangle with a corner nearer than this is left out
NOTHING = -1  # in `Fragments.triangle`: no triangle covers the pixel


class Fragments(NamedTuple):
    """The covered pixels of one picture, in no order.

    `pixel` counts row by row; `weights` are the surface weights of the triangle's corners (perspective-correct, they
    sum to 1), so that any value of the corners is interpolated as it lies on the surface; `depth` is along the axis.
    """

    pixel: Int[np.ndarray, " n"]
    triangle: Int[np.ndarray, " n"]
    weights: Float[np.ndarray, "n 3"]
    depth: Float[np.ndarray, " n"]


def rasterise(
    projected: Float[np.ndarray, "v 2"],
    depth: Float[np.ndarray, " v"],
    triangles: Int[np.ndarray, "m 3"],
    height: int,
    width: int,
) -> Fragments:
    """The nearest triangle at every pixel centre (integer + 0.5). Both sides of a triangle are seen.

    `projected` are pixel coordinates (x, y) of the corners and `depth` their distances along the optical axis.
    """
    kept = _in_view(projected, depth, triangles, height, width)
    planes = _barycentric_planes(projected, triangles[kept])
    triangle, x, y = _candidates(projected, triangles[kept], height, width)
    first, second = (p[triangle, 0] * (x + 0.5) + p[triangle, 1] * (y + 0.5) + p[triangle, 2] for p in planes)
    third = 1 - first - second
    inside = np.flatnonzero((first >= 0) & (second >= 0) & (third >= 0))
    triangle, pixel = kept[triangle[inside]], y[inside] * width + x[inside]
    flat = np.stack([first[inside], second[inside], third[inside]], -1)
    inverse = flat / depth[triangles[triangle]]  # linear on the screen is 1 / depth, not depth
    total = inverse @ np.ones(3)
    far_to_near = np.argsort(total)
    winner = np.full(height * width, NOTHING)
    winner[pixel[far_to_near]] = far_to_near  # of equal pixels the last, nearest, one stays
    seen = winner[winner != NOTHING]
    return Fragments(pixel[seen], triangle[seen], inverse[seen] / total[seen, None], 1 / total[seen])


def interpolate(
    values: Float[np.ndarray, "v c"], triangles: Int[np.ndarray, "m 3"], at: Fragments
) -> Float[np.ndarray, "n c"]:
    """Values of the corners where the fragments lie."""
    return np.asarray(np.einsum("nk,nkc->nc", at.weights, values[triangles[at.triangle]]))


def _in_view(
    projected: Float[np.ndarray, "v 2"],
    depth: Float[np.ndarray, " v"],
    triangles: Int[np.ndarray, "m 3"],
    height: int,
    width: int,
) -> Int[np.ndarray, " k"]:
    x, y = projected[:, 0][triangles], projected[:, 1][triangles]
    touches = (_largest(x) > 0) & (_largest(y) > 0) & (_least(x) < width) & (_least(y) < height)
    return np.flatnonzero(touches & (_least(depth[triangles]) > NEAREST) & (np.abs(_twice_area(x, y)) > 1e-9))


def _candidates(
    projected: Float[np.ndarray, "v 2"], triangles: Int[np.ndarray, "m 3"], height: int, width: int
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Triangle, column and row of every pixel centre inside a triangle's bounding box."""
    start, count = [], []
    for values, limit in ((projected[:, 0][triangles], width), (projected[:, 1][triangles], height)):
        first = np.clip(np.ceil(_least(values) - 0.5), 0, limit).astype(np.int64)
        last = np.clip(np.floor(_largest(values) - 0.5), -1, limit - 1).astype(np.int64)
        start.append(first)
        count.append(np.maximum(last - first + 1, 0))
    boxes = count[0] * count[1]
    triangle = np.repeat(np.arange(len(triangles)), boxes)
    rank = np.arange(len(triangle)) - np.repeat(np.cumsum(boxes) - boxes, boxes)
    row, column = np.divmod(rank, count[0][triangle])
    return triangle, start[0][triangle] + column, start[1][triangle] + row


def _barycentric_planes(
    projected: Float[np.ndarray, "v 2"], triangles: Int[np.ndarray, "m 3"]
) -> tuple[Float[np.ndarray, "m 3"], Float[np.ndarray, "m 3"]]:
    """a, b, c of the first two corners' weights a x + b y + c on the screen."""
    x, y = projected[:, 0][triangles].T, projected[:, 1][triangles].T
    area = _twice_area(x.T, y.T)
    planes = []
    for i, j in ((1, 2), (2, 0)):  # the edge opposite to the corner
        planes.append(np.stack([y[i] - y[j], x[j] - x[i], x[i] * y[j] - x[j] * y[i]], -1) / area[:, None])
    return planes[0], planes[1]


def _twice_area(x: Float[np.ndarray, "m 3"], y: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, " m"]:
    return np.asarray((x[:, 1] - x[:, 0]) * (y[:, 2] - y[:, 0]) - (y[:, 1] - y[:, 0]) * (x[:, 2] - x[:, 0]))


def _least(values: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, " m"]:
    """Row by row: far faster than a reduction over so short an axis."""
    return np.asarray(np.minimum(np.minimum(values[:, 0], values[:, 1]), values[:, 2]))


def _largest(values: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, " m"]:
    return np.asarray(np.maximum(np.maximum(values[:, 0], values[:, 1]), values[:, 2]))


def grid_triangles(rings: int, spokes: int, closed: bool) -> Int[np.ndarray, "m 3"]:
    """Two triangles for each cell of a grid of points, numbered ring by ring."""
    index = np.arange(rings * spokes).reshape(rings, spokes)
    index = np.concatenate([index, index[:, :1]], 1) if closed else index
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    return np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([b, d, c], -1).reshape(-1, 3)])


def grid_normals(points: Float[np.ndarray, "r s 3"], closed: bool) -> Float[np.ndarray, "r s 3"]:
    """Unit normals of a grid of points, pointing away from its middle."""
    along = np.gradient(points, axis=0)
    around = np.roll(points, -1, 1) - np.roll(points, 1, 1) if closed else np.gradient(points, axis=1)
    normal = np.cross(along, around)
    if closed:  # at the face's middle all spokes meet
        normal[0] = normal[1]
    normal *= np.where((normal * (points - points.mean((0, 1)))).sum() < 0, -1, 1)
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9))

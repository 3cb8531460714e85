"""Relative motion: where the source's keypoints go when the driver has moved from its rest frame (FOMM, Sec. 3.4)."""

from collections.abc import Callable
from typing import Protocol

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.local_motion import invert_2x2
from dagan.transfer.face_edit import PLAIN, FaceEdit
from dagan.types import Keypoints


def hull_area(position: Float[Tensor, "b k 2"]) -> Float[Tensor, " b"]:
    """Area of the convex hull of each image's keypoints, in squared [-1, 1] units (monotone chain, on the host)."""
    areas = [_polygon_area(_convex_hull([(float(x), float(y)) for x, y in points])) for points in position.cpu()]
    return torch.tensor(areas, dtype=position.dtype, device=position.device)


class Transfer(Protocol):
    """A way to transfer motion between people: `offset_transfer`, or another."""

    def __call__(
        self, source: Keypoints, initial: Keypoints, scale: Tensor | float = 1.0, edit: FaceEdit = PLAIN
    ) -> Callable[[Keypoints], Keypoints]:
        """Where a source's keypoints go, as a function of the driver's. Raises UserError for what it cannot edit."""
        ...

    def difference(self, source: Keypoints, driving: Keypoints) -> Float[Tensor, " t"]:
        """How differently a source and a driver in each of t frames hold themselves, 0 or more: where it is least,
        motion from one to the other is least."""
        ...


class OffsetTransfer:
    """FOMM's: x_s + scale * (x_d - x_d0), and J_d J_d0^-1 J_s."""

    def __call__(
        self,
        source: Keypoints,
        initial: Keypoints,
        scale: Float[Tensor, "b 1 1"] | float = 1.0,
        edit: FaceEdit = PLAIN,
    ) -> Callable[[Keypoints], Keypoints]:
        """A function of the driving keypoints: what is known of source and initial frame is found once."""
        scale = scale if edit is PLAIN else scale * edit.share_of_head()
        back = invert_2x2(initial.jacobian) if initial.jacobian is not None else None

        def moved(driving: Keypoints) -> Keypoints:
            position = source.position + scale * (driving.position - initial.position)
            if source.jacobian is None or driving.jacobian is None or back is None:
                return Keypoints(position)
            return Keypoints(position, driving.jacobian @ back @ source.jacobian)

        return moved

    def difference(self, source: Keypoints, driving: Keypoints) -> Float[Tensor, " t"]:
        """Squared distances of keypoints about their centres, in units of the square root of their hulls' areas."""
        ours, theirs = (_outline(keypoints.position) for keypoints in (source, driving))
        return (ours - theirs).square().sum((1, 2))


offset_transfer = OffsetTransfer()


LEAST_SIZE = 1e-3  # of a hull, when keypoints all but coincide


def _outline(position: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 2"]:
    size = hull_area(position).sqrt().clamp_min(LEAST_SIZE)
    return (position - position.mean(1, keepdim=True)) / size[:, None, None]


def transfer(
    source: Keypoints,
    driving: Keypoints,
    driving_initial: Keypoints,
    relative: bool = True,
    adapt_scale: bool = False,
) -> Keypoints:
    """The keypoints that move the source as the driver moved since its initial frame (FOMM's relative transfer).

    `adapt_scale` sets the scale of `offset_transfer` to the square root of the ratio of hull areas, source over initial
    driving frame. Not relative: the driving keypoints, scaled about nothing, as they are.
    """
    return mover(source, driving_initial, relative, adapt_scale)(driving)


def mover(
    source: Keypoints,
    driving_initial: Keypoints,
    relative: bool = True,
    adapt_scale: bool = False,
    way: Transfer = offset_transfer,
    edit: FaceEdit = PLAIN,
) -> Callable[[Keypoints], Keypoints]:
    """`transfer` as a function of the driving keypoints alone, in any way; `edit`: of relative motion."""
    if not relative:
        return lambda driving: driving
    scale = position_scale(source, driving_initial) if adapt_scale else torch.ones_like(source.position[:, 0, 0])
    device = scale.device.type
    with torch.autocast(device, enabled=False):  # bfloat16 does not place a pixel
        move = way(source, driving_initial, rearrange(scale, "b -> b 1 1"), edit)

    def moved(driving: Keypoints) -> Keypoints:
        with torch.autocast(device, enabled=False):
            return move(driving)

    return moved


def position_scale(source: Keypoints, driving_initial: Keypoints) -> Float[Tensor, " b"]:
    """How much larger the source's face is than the driver's: square root of the ratio of hull areas."""
    return (hull_area(source.position) / hull_area(driving_initial.position)).sqrt()


def _convex_hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    ordered = sorted(set(points))
    lower, upper = _half_hull(ordered), _half_hull(ordered[::-1])
    return lower[:-1] + upper[:-1]


def _half_hull(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    chain: list[tuple[float, float]] = []
    for point in points:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _polygon_area(corners: list[tuple[float, float]]) -> float:
    following = corners[1:] + corners[:1]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, following, strict=True))) / 2

"""Direct alignment: the rigid motion that best carries one image onto another for a given depth, by Gauss-Newton.

Stage 1 uses it to correct F_p's poses while F_p is still learning. Unlike a network trained on the reprojection error
it cannot conspire with the depth network to explain a moving mouth by a mouth that sticks out: what does not follow
the head is an outlier to it.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dagan.geometry.camera import NEAREST_DEPTH, back_project, project, rotation_from_axis_angle, scale_intrinsics
from dagan.types import CameraPose

OUTLIER = 0.06  # grey difference at which a pixel's say is down to a quarter
JUST_MOVING = 0.02  # grey difference between the unaligned images at which a pixel counts half
DAMPING = 1e-3  # in mean squared grey per squared radian or unit of depth: holds still what no pixel speaks for
LARGEST_STEP = 0.2  # radians or units of depth per iteration


@torch.no_grad()
def align(
    pose: CameraPose,
    depth: Float[Tensor, "b 1 h w"],
    frame: Float[Tensor, "b 3 h w"],
    neighbour: Float[Tensor, "b 3 h w"],
    levels: Sequence[int] = (3, 2, 1),
    steps: int = 3,
) -> CameraPose:
    """`pose` corrected so that `neighbour`, read where Eq. 3 says, looks like `frame`; the camera is kept.

    Coarse to fine over `levels` (halvings), `steps` iterations each. Only pixels that differ between the two images
    count, so a still background does not hold the head back. A sample that would get worse keeps its pose.
    """
    corrected = pose
    for level in levels:
        small = Alignment(depth, frame, neighbour, pose.intrinsics, level)
        for _ in range(steps):
            corrected = small.step(corrected)
    finest = Alignment(depth, frame, neighbour, pose.intrinsics, levels[-1])
    better = finest.cost(corrected) < finest.cost(pose)
    return pose._replace(
        rotation=torch.where(better[:, None, None], corrected.rotation, pose.rotation),
        translation=torch.where(better[:, None], corrected.translation, pose.translation),
    )


class Alignment:
    """The least-squares problem of one resolution."""

    def __init__(self, depth: Tensor, frame: Tensor, neighbour: Tensor, intrinsics: Tensor, level: int) -> None:
        self.frame = _grey(frame, level)
        grey = _grey(neighbour, level)
        self.neighbour = torch.cat([grey, *_slopes(grey)], 1)  # b 3 h w: the value and its slopes per pixel
        self.intrinsics = scale_intrinsics(intrinsics, 0.5**level)
        self.points = back_project(functional.avg_pool2d(depth, 2**level), torch.linalg.inv(self.intrinsics))
        change = functional.avg_pool2d((grey - self.frame).abs(), 3, 1, 1, count_include_pad=False)
        self.movement = change.square() / (change.square() + JUST_MOVING**2)

    def _residual(self, pose: CameraPose) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Moved points `b 3 h w`, residual `b 1 h w`, slopes where they land `b 2 h w`, weights `b 1 h w`."""
        moved = torch.einsum("bij,bjhw->bihw", pose.rotation, self.points) + pose.translation[:, :, None, None]
        height, width = self.frame.shape[-2:]
        grid = project(moved, self.intrinsics) * (2 / moved.new_tensor([width, height])) - 1
        seen = ((grid.abs() <= 1).all(-1) & (moved[:, 2] > NEAREST_DEPTH))[:, None]
        sampled = functional.grid_sample(self.neighbour, grid, padding_mode="border", align_corners=False)
        residual, slopes = sampled[:, :1] - self.frame, sampled[:, 1:]
        robust = (1 + (residual / OUTLIER).square()).pow(-2)
        return moved, residual, slopes, self.movement * robust * seen

    def cost(self, pose: CameraPose) -> Float[Tensor, "b"]:
        """Mean saturating error over what moves, each pixel between 0 and 1."""
        _, residual, _, weight = self._residual(pose)
        squared = (residual / OUTLIER).square()
        error = torch.where(weight > 0, squared / (1 + squared), 1)
        return (self.movement * error).mean((1, 2, 3))

    def step(self, pose: CameraPose) -> CameraPose:
        """One damped Gauss-Newton step: a small turn about the centre of what moves, and a small shift."""
        moved, residual, slopes, weight = self._residual(pose)
        total = weight.sum((2, 3)).clamp(min=1e-6)  # b 1
        centre = (moved * weight).sum((2, 3)) / total  # b 3
        jacobian = self._jacobian(moved, slopes, moved - centre[:, :, None, None])  # b 6 n
        weighted = jacobian * weight.flatten(2)
        normal = weighted @ jacobian.mT / total[:, :, None]
        right = weighted @ residual.flatten(2).mT / total[:, :, None]
        identity = torch.eye(6, device=normal.device, dtype=normal.dtype)
        delta = -torch.linalg.solve(normal + DAMPING * identity, right)[:, :, 0]  # b 6
        delta = delta.nan_to_num().clamp(-LARGEST_STEP, LARGEST_STEP)
        turn = rotation_from_axis_angle(delta[:, :3])
        translation = torch.einsum("bij,bj->bi", turn, pose.translation - centre) + centre + delta[:, 3:]
        return pose._replace(rotation=turn @ pose.rotation, translation=translation)

    def _jacobian(self, moved: Tensor, slopes: Tensor, arm: Tensor) -> Float[Tensor, "b 6 n"]:
        """Change of the sampled grey value per radian about each axis and per unit of shift."""
        focal = self.intrinsics[:, [0, 1], [0, 1]][:, :, None, None]
        depth = moved[:, 2:].clamp(min=NEAREST_DEPTH)
        across = slopes * focal / depth  # b 2 h w: d grey / d (x, y)
        along = -(across * moved[:, :2]).sum(1, keepdim=True) / depth  # d grey / d z
        shift = torch.cat([across, along], 1).flatten(2)  # b 3 n
        return torch.cat([torch.linalg.cross(arm.flatten(2), shift, dim=1), shift], 1)


def _grey(image: Tensor, level: int) -> Float[Tensor, "b 1 h w"]:
    return functional.avg_pool2d(image.float().mean(1, keepdim=True), 2**level)


def _slopes(grey: Float[Tensor, "b 1 h w"]) -> tuple[Tensor, Tensor]:
    """Central differences per pixel along x and y."""
    padded = functional.pad(grey, (1, 1, 1, 1), mode="replicate")
    return (
        (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2,
        (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2,
    )

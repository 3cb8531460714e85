"""Direct alignment: the rigid motion that best carries one image onto another for a given depth, by Gauss-Newton.

Stage 1 uses it to correct F_p's poses while F_p is still learning. Unlike a network trained on the reprojection error
it cannot conspire with the depth network to explain a moving mouth by a mouth that sticks out: what does not follow
the head is an outlier to it.

On synthetic heads with their true depth (docs/depth.md) the plain grey difference finds a third of a head's turn: the
shoulders stay behind, and the light stays where it is while the skin turns under it. Hence three things here. Images
are compared by their local contrast, which light hardly changes. Only a window of the frame counts where a portrait has
its head. And whole regions that the motion explains worse than no motion does have no say, not single pixels.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from dagan.geometry.camera import (
    NEAREST_DEPTH,
    back_project,
    pixel_centres,
    project,
    rotation_from_axis_angle,
    scale_intrinsics,
)
from dagan.types import CameraPose

CONTRAST_WINDOW = 5  # pixels of a level: what is wider is light, what is narrower is texture
CONTRAST_FLOOR = 0.05  # of grey: flatter than this is noise and stays small
CONTRAST_GAIN = 0.15  # brings local contrast back to about the spread of grey values
OUTLIER = 0.1  # difference of contrast at which a pixel's say is down to a quarter
REGION = 5  # pixels
REGION_OUTLIER = 0.03  # root mean squared difference at which a region's say is down to a quarter
JUST_MOVING = 0.03  # difference between the unaligned images at which a pixel counts half
DAMPING = 1e-3  # in mean squared contrast per squared radian or unit of depth: holds still what no pixel speaks for
LARGEST_STEP = 0.2  # radians or units of depth per iteration
LEVELS = (3, 2, 1, 1, 0)  # halvings of the image, one after the other
WINDOW_CENTRE, WINDOW_HALF_WIDTH, WINDOW_HALF_HEIGHT = -0.12, 0.5, 0.55  # of a portrait's head, in [-1, 1]


@torch.no_grad()
def align(
    pose: CameraPose,
    depth: Float[Tensor, "b 1 h w"],
    frame: Float[Tensor, "b 3 h w"],
    neighbour: Float[Tensor, "b 3 h w"],
    levels: Sequence[int] = LEVELS,
    steps: int = 3,
) -> CameraPose:
    """`pose` corrected so that `neighbour`, read where Eq. 3 says, looks like `frame`; the camera is kept.

    Coarse to fine over `levels` (halvings), `steps` iterations each. Only pixels that differ between the two images
    count, so a still background does not hold the head back. A sample that would get worse keeps its pose.
    """
    corrected, finest = pose, None
    for level in levels:
        finest = Alignment(depth, frame, neighbour, pose.intrinsics, level)
        for _ in range(steps):
            corrected = finest.step(corrected)
    if finest is None:
        return pose
    better = finest.cost(corrected) < finest.cost(pose)
    return pose._replace(
        rotation=torch.where(better[:, None, None], corrected.rotation, pose.rotation),
        translation=torch.where(better[:, None], corrected.translation, pose.translation),
    )


class Alignment:
    """The least-squares problem of one resolution."""

    def __init__(self, depth: Tensor, frame: Tensor, neighbour: Tensor, intrinsics: Tensor, level: int) -> None:
        self.frame, contrast = local_contrast(frame, level), local_contrast(neighbour, level)
        self.neighbour = torch.cat([contrast, *_slopes(contrast)], 1)  # b 3 h w: the value and its slopes per pixel
        self.intrinsics = scale_intrinsics(intrinsics, 0.5**level)
        self.points = back_project(functional.avg_pool2d(depth, 2**level), torch.linalg.inv(self.intrinsics))
        change = (contrast - self.frame).square()
        self.unmoved = _mean_around(change, REGION)
        near = _mean_around(change, 3)
        self.movement = near / (near + JUST_MOVING**2) * portrait_window(self.frame)

    def _residual(self, pose: CameraPose) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Moved points `b 3 h w`, residual `b 1 h w`, slopes where they land `b 2 h w`, weights `b 1 h w`."""
        moved = torch.einsum("bij,bjhw->bihw", pose.rotation, self.points) + pose.translation[:, :, None, None]
        height, width = self.frame.shape[-2:]
        grid = project(moved, self.intrinsics) * (2 / moved.new_tensor([width, height])) - 1
        seen = ((grid.abs() <= 1).all(-1) & (moved[:, 2] > NEAREST_DEPTH))[:, None]
        sampled = functional.grid_sample(self.neighbour, grid, padding_mode="border", align_corners=False)
        residual, slopes = sampled[:, :1] - self.frame, sampled[:, 1:]
        return moved, residual, slopes, self.movement * self._trust(residual) * seen

    def _trust(self, residual: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
        """Near 1 where a pixel and its region fit; near 0 in a region that fits better without moving."""
        around = _mean_around(residual.square(), REGION)
        pixel = (1 + (residual / OUTLIER).square()).pow(-2)
        region = (1 + around / REGION_OUTLIER**2).pow(-2)
        follows = self.unmoved / (self.unmoved + around + 1e-6)
        return pixel * region * follows.square()

    def cost(self, pose: CameraPose) -> Float[Tensor, "b"]:
        """Mean saturating error over what moves in the window, each pixel between 0 and 1."""
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
        """Change of the sampled contrast per radian about each axis and per unit of shift."""
        focal = self.intrinsics[:, [0, 1], [0, 1]][:, :, None, None]
        depth = moved[:, 2:].clamp(min=NEAREST_DEPTH)
        across = slopes * focal / depth  # b 2 h w: d contrast / d (x, y)
        along = -(across * moved[:, :2]).sum(1, keepdim=True) / depth  # d contrast / d z
        shift = torch.cat([across, along], 1).flatten(2)  # b 3 n
        return torch.cat([torch.linalg.cross(arm.flatten(2), shift, dim=1), shift], 1)


def local_contrast(image: Float[Tensor, "b 3 h w"], level: int) -> Float[Tensor, "b 1 _h _w"]:
    """Grey at 1 / 2^level of the size, less its local mean, over its local spread: texture without light."""
    grey = functional.avg_pool2d(image.float().mean(1, keepdim=True), 2**level)
    detail = grey - _mean_around(grey, CONTRAST_WINDOW)
    spread = (_mean_around(detail.square(), CONTRAST_WINDOW) + 1e-8).sqrt()
    return detail / (spread + CONTRAST_FLOOR) * CONTRAST_GAIN


def portrait_window(like: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "1 1 h w"]:
    """1 where a portrait has its head, falling to 0 towards the shoulders and the frame's sides."""
    height, width = like.shape[-2:]
    x, y = (pixel_centres(height, width, like) / like.new_tensor([width, height]) * 2 - 1).unbind(-1)
    squared = (x / WINDOW_HALF_WIDTH).square() + ((y - WINDOW_CENTRE) / WINDOW_HALF_HEIGHT).square()
    return torch.exp(-squared.square())[None, None]


def _mean_around(values: Float[Tensor, "b 1 h w"], side: int) -> Float[Tensor, "b 1 h w"]:
    return functional.avg_pool2d(values, side, 1, side // 2, count_include_pad=False)


def _slopes(contrast: Float[Tensor, "b 1 h w"]) -> tuple[Tensor, Tensor]:
    """Central differences per pixel along x and y."""
    padded = functional.pad(contrast, (1, 1, 1, 1), mode="replicate")
    return (
        (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2,
        (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2,
    )

"""Affine registration of two frames of one video by Gauss-Newton: how what is not the face moved.

A background follows the camera, a torso follows neither camera nor head, and keypoints on a face know of neither. MRAA
(Siarohin et al. 2021) trains a network to say from both frames how the background moved; here the pixels say it
themselves: six numbers, found anew for every pair, coarse to fine, by the window of the frame where a portrait has its
background or its torso. Pixels that do not follow the rest of the window have little say.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from dagan.geometry.grid import coordinate_grid
from dagan.types import Keypoints

Region = Literal["background", "torso"]

SIDES = (16, 32, 64)  # pixels of the coarse, middle and fine image
STEPS = 8  # of each
OUTLIER = 0.08  # difference of colour at which a pixel's say is down to a half
STIFFNESS = 2e-3  # pull of the linear part towards the identity, in squared colour: a bare wall has no shear
DAMPING = 1e-5  # for windows that no pixel speaks for
LARGEST_STEP = 0.15  # of any of the six numbers per step
LARGEST_CHANGE = 0.8  # of any of them in all: more is not a camera's motion within a portrait video
WORTH = 0.95  # a motion must bring the window's error down by 5 %, or the frame stands still: noise alone brings less


@torch.no_grad()
def register(
    source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], region: Region
) -> Float[Tensor, "b 2 3"]:
    """The affine motion [A t] from driving to source coordinates in [-1, 1]: source(A z + t) looks like driving(z) in
    the region. Where nothing moved, or nothing fits, it is exactly [I 0]. Images are RGB in [0, 1]; not differentiable.
    """
    identity = torch.eye(2, 3, device=source.device).expand(len(source), -1, -1)
    motion, level = identity, None
    with torch.autocast(source.device.type, enabled=False):
        for side in SIDES:
            level = _Level(source.float(), driving.float(), region, side)
            for _ in range(STEPS):
                motion = level.step(motion)
        assert level is not None
        small = (motion - identity).abs().amax((1, 2)) < LARGEST_CHANGE
        better = level.error(motion) < WORTH * level.error(identity)
    return torch.where((small & better)[:, None, None], motion, identity)


def affine_flow(motion: Float[Tensor, "b 2 3"], height: int, width: int) -> Float[Tensor, "b h w 2"]:
    """A z + t at every pixel centre z."""
    grid = coordinate_grid(height, width, motion)
    return einsum(motion[:, :, :2], grid, "b i j, h w j -> b h w i") + motion[:, None, None, :, 2]


def window(region: Region, height: int, width: int, like: Tensor) -> Float[Tensor, "h w"]:
    """1 where a portrait shows its background (top and sides) or its torso (the lowest fifth), else 0."""
    x, y = coordinate_grid(height, width, like).unbind(-1)
    above = y < 0.62
    inside = (above & ((x.abs() > 0.69) | (y < -0.81))) if region == "background" else ~above
    return inside.to(like.dtype)


class _Level:
    """The weighted least-squares problem at one size."""

    def __init__(self, source: Tensor, driving: Tensor, region: Region, side: int) -> None:
        small = [F.interpolate(image, (side, side), mode="area") for image in (source, driving)]
        self.driving = small[1]
        self.layers = torch.cat([small[0], *_slopes(small[0])], 1)  # b 9 s s: colours, then d/dx and d/dy of each
        self.window = window(region, side, side, source)
        z = rearrange(coordinate_grid(side, side, source), "h w d -> (h w) d")
        self.arm = torch.cat([z, torch.ones_like(z[:, :1])], 1)  # n 3: what A and t multiply
        self.side = side

    def _read(self, motion: Float[Tensor, "b 2 3"]) -> tuple[Tensor, Tensor, Tensor]:
        """Residual `b 3 n`, slopes `b 2 3 n` and weight `b n` at the pixels of the driving frame."""
        at = affine_flow(motion, self.side, self.side)
        read = F.grid_sample(self.layers, at, padding_mode="border", align_corners=False)
        residual = (read[:, :3] - self.driving).flatten(2)
        slopes = rearrange(read[:, 3:], "b (d c) h w -> b d c (h w)", d=2)
        seen = (at.abs() <= 1).all(-1).flatten(1)
        trust = 1 / (1 + residual.square().mean(1) / OUTLIER**2)
        return residual, slopes, trust * seen * self.window.flatten()

    def error(self, motion: Float[Tensor, "b 2 3"]) -> Float[Tensor, "b"]:
        """Mean absolute difference over the window; what lies outside the source is its border."""
        residual, _, _ = self._read(motion)
        error: Tensor = (residual.abs().mean(1) * self.window.flatten()).sum(1) / self.window.sum()
        return error

    def step(self, motion: Float[Tensor, "b 2 3"]) -> Float[Tensor, "b 2 3"]:
        """One damped Gauss-Newton step on the six numbers."""
        residual, slopes, weight = self._read(motion)
        jacobian = rearrange(einsum(slopes, self.arm, "b d c n, n a -> b d a c n"), "b d a c n -> b (d a) (c n)")
        weighted = jacobian * weight.repeat(1, 3)[:, None]
        total = 3 * weight.sum(1).clamp(min=1)[:, None, None]
        stiff = motion.new_tensor([STIFFNESS, STIFFNESS, 0, STIFFNESS, STIFFNESS, 0])
        bent = (motion - torch.eye(2, 3, device=motion.device)).flatten(1)[:, :, None]
        normal = weighted @ jacobian.mT / total + torch.diag(stiff + DAMPING)
        right = weighted @ residual.flatten(1)[:, :, None] / total + stiff[:, None] * bent
        delta = torch.linalg.solve_ex(normal, right)[0][:, :, 0].nan_to_num().clamp(-LARGEST_STEP, LARGEST_STEP)
        change: Tensor = rearrange(delta, "b (d a) -> b d a", d=2)
        return motion - change


def _slopes(image: Float[Tensor, "b c h w"]) -> Sequence[Float[Tensor, "b c h w"]]:
    """Central differences along x and y per unit of [-1, 1]; the border repeats."""
    height, width = image.shape[2:]
    padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
    across = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) * (width / 4)
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) * (height / 4)
    return across, down


def on_torso(source: Keypoints, driving: Keypoints, torso: Float[Tensor, "b 2 3"], num_face: int) -> Keypoints:
    """The driving keypoints, those after the first `num_face` where the torso carried the source's.

    `torso`: [A t] from driving to source coordinates (`registration.register`): x_d = A^-1 (x_s - t), J_d = A^-1 J_s.
    Where it is exactly [I 0], nothing was registered and the keypoints stay as they were found.
    """
    linear, shift = torso[:, :, :2], torso[:, None, :, 2]
    back = torch.linalg.inv_ex(linear)[0]
    position = (source.position[:, num_face:] - shift) @ back.mT
    registered = (torso != torch.eye(2, 3, dtype=torso.dtype, device=torso.device)).flatten(1).any(1)[:, None, None]
    found = driving.position[:, num_face:]
    placed = driving.position[:, :num_face], torch.where(registered, position, found)
    if source.jacobian is None or driving.jacobian is None:
        return Keypoints(torch.cat(placed, 1))
    frames = back[:, None] @ source.jacobian[:, num_face:]
    frames = torch.where(registered[..., None], frames, driving.jacobian[:, num_face:])
    return Keypoints(torch.cat(placed, 1), torch.cat([driving.jacobian[:, :num_face], frames], 1))

"""OSFV's driving code: head pose and expression, read from one image, and what they do to canonical keypoints."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.volume import rotations

NUM_BINS = 66  # of each angle, 3 degrees apart, from -99
BIN, FIRST_BIN = 3.0, -99.0
ANGLES = ("yaw", "pitch", "roll")
STAGES = (
    (3, False),
    (4, True),
    (6, True),
    (3, True),
)  # blocks of each stage; whether the first halves the size


class HeadCode(NamedTuple):
    """How a head is turned and where it is, and its expression as displacements of the keypoints in image axes."""

    rotation: Float[Tensor, "b 3 3"]
    translation: Float[Tensor, "b 3"]
    expression: Float[Tensor, "b k 3"]

    def named(self) -> dict[str, Tensor]:
        return self._asdict()

    def each(self, change: Callable[[Tensor], Tensor]) -> "HeadCode":
        return HeadCode(*map(change, self))

    def drawn(self) -> dict[str, Tensor]:
        return self._asdict()


def compose(canonical: Float[Tensor, "b k 3"], code: HeadCode) -> Float[Tensor, "b k 3"]:
    """Where the canonical points are under a code: x = R x_canonical + t + delta."""
    turned = einsum(code.rotation, canonical, "b i j, b k j -> b k i")
    return turned + code.translation[:, None] + code.expression


class Reading(NamedTuple):
    """What `PoseNet` predicts: bins of yaw, pitch and roll, translation, expression."""

    bins: Float[Tensor, "b 3 n"]
    translation: Float[Tensor, "b 3"]
    expression: Float[Tensor, "b k 3"]

    @property
    def degrees(self) -> Float[Tensor, "b 3"]:
        """Expected yaw, pitch and roll."""
        numbers = torch.arange(NUM_BINS, device=self.bins.device, dtype=self.bins.dtype)
        return BIN * (F.softmax(self.bins, dim=-1) * numbers).sum(-1) + FIRST_BIN


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """How yaw, pitch and roll in degrees make a rotation, and are found in one again.

    `half_turn`: what stands for 180 degrees; published models have 3.14.
    """

    half_turn: float = math.pi

    def matrix(self, degrees: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
        """R_x(pitch) R_y(yaw) R_z(roll)."""
        yaw, pitch, roll = (degrees * (self.half_turn / 180)).unbind(-1)
        return rotations(pitch)[0] @ rotations(yaw)[1] @ rotations(roll)[2]

    def degrees(self, rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3"]:
        """Yaw, pitch and roll; yaw within 90 degrees."""
        first, second, third = _x_y_z(rotation)
        return torch.stack([second, first, third], -1) * (180 / self.half_turn)


class BetaRotation(Rotation):
    """As the first published models turn heads: R_x(roll) R_y(pitch) R_z(yaw)."""

    def matrix(self, degrees: Float[Tensor, "b 3"]) -> Float[Tensor, "b 3 3"]:
        yaw, pitch, roll = (degrees * (self.half_turn / 180)).unbind(-1)
        return rotations(roll)[0] @ rotations(pitch)[1] @ rotations(yaw)[2]

    def degrees(self, rotation: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3"]:
        first, second, third = _x_y_z(rotation)
        return torch.stack([third, second, first], -1) * (180 / self.half_turn)


def _x_y_z(rotation: Float[Tensor, "b 3 3"]) -> tuple[Tensor, Tensor, Tensor]:
    """The angles of R_x R_y R_z in radians."""
    level = (rotation[:, 0, 0].square() + rotation[:, 0, 1].square()).sqrt()
    return (
        torch.atan2(-rotation[:, 1, 2], rotation[:, 2, 2]),
        torch.atan2(rotation[:, 0, 2], level),
        torch.atan2(-rotation[:, 0, 1], rotation[:, 0, 0]),
    )


RotationName = Literal["ours", "new", "beta"]
ROTATIONS: dict[str, Rotation] = {
    "ours": Rotation(),
    "new": Rotation(half_turn=3.14),
    "beta": BetaRotation(half_turn=3.14),
}


@dataclass(frozen=True, kw_only=True)
class PoseNetConfig:
    """The published sizes: stages of 256, 512, 1024 and 2048 channels."""

    width: int = 64

    def build(self, num_keypoints: int) -> "PoseNet":
        return PoseNet(self, num_keypoints)


class PoseBlock(nn.Module):
    """Convolutions 1x1, 3x3 (strided) and 1x1 through a quarter of the channels, plus the input."""

    def __init__(self, channels: int, stride: int):
        super().__init__()
        inner = channels // 4
        self.conv1, self.norm1 = nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner)
        self.conv2, self.norm2 = nn.Conv2d(inner, inner, 3, stride, 1), nn.BatchNorm2d(inner)
        self.conv3, self.norm3 = nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels)
        self.skip: nn.Module = nn.Identity()
        if stride > 1:
            self.skip = nn.Sequential(nn.Conv2d(channels, channels, 1, stride), nn.BatchNorm2d(channels))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        hidden = F.relu(self.norm1(self.conv1(x)))
        hidden = F.relu(self.norm2(self.conv2(hidden)))
        return F.relu(self.norm3(self.conv3(hidden)) + self.skip(x))


class PoseStage(nn.Module):
    """Convolution 1x1 to the stage's width, batch norm, ReLU; then its blocks."""

    def __init__(self, in_channels: int, channels: int, num_blocks: int, *, halves: bool):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(in_channels, channels, 1), nn.BatchNorm2d(channels)
        self.blocks = nn.Sequential(*(PoseBlock(channels, 2 if halves and i == 0 else 1) for i in range(num_blocks)))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        staged: Tensor = self.blocks(F.relu(self.norm(self.conv(x))))
        return staged


class PoseNet(nn.Module):
    """Image to head pose and expression."""

    def __init__(self, config: PoseNetConfig, num_keypoints: int):
        super().__init__()
        width = config.width
        self.conv, self.norm = nn.Conv2d(3, width, 7, 2, 3), nn.BatchNorm2d(width)
        widths = [width, *(4 * width * 2**i for i in range(len(STAGES)))]
        self.stages = nn.Sequential(
            *(PoseStage(widths[i], widths[i + 1], count, halves=halves) for i, (count, halves) in enumerate(STAGES))
        )
        self.angles = nn.ModuleDict({name: nn.Linear(widths[-1], NUM_BINS) for name in ANGLES})
        self.translation = nn.Linear(widths[-1], 3)
        self.expression = nn.Linear(widths[-1], 3 * num_keypoints)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Reading:
        x = F.max_pool2d(F.relu(self.norm(self.conv(image))), 3, 2, 1)
        pooled = self.stages(x).mean((2, 3))
        bins = torch.stack([self.angles[name](pooled) for name in ANGLES], dim=1).float()
        expression = self.expression(pooled).float()
        return Reading(bins, self.translation(pooled).float(), expression.unflatten(1, (-1, 3)))

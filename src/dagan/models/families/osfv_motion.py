"""OSFV's networks of three dimensions: canonical keypoints of a source, and the dense motion of its feature volume."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.volume import VOXELS, gaussians_3d
from dagan.models.keypoints import TEMPERATURE, Modality
from dagan.nn.blocks import DownBlock, FixedSize, ReleasedScaleBy, ScaleBy
from dagan.nn.volumes import Hourglass3d, UpBlock3d

VARIANCE = 0.01  # of the keypoint Gaussians
COMPRESSED = 4  # channels of the volume that the motion network sees
VoxelConvention = Literal["centres", "mixed"]


@dataclass(frozen=True, kw_only=True)
class CanonicalConfig:
    """Published: 15 points at a quarter of the image's size; the paper has 20. `modality`: rgbd with FDN."""

    num_keypoints: int = 15
    modality: Modality = Modality.RGB
    width: int = 32
    cap: int = 1024
    num_blocks: int = 5
    depth_size: int = 16  # slices
    voxels: VoxelConvention = "centres"
    resize: ScaleBy | FixedSize | ReleasedScaleBy = ScaleBy(factor=0.25)

    def build(self) -> "CanonicalDetector":
        return CanonicalDetector(self)


class CanonicalDetector(nn.Module):
    """Keypoints of a face as it would look from the front with a neutral expression, in three dimensions."""

    def __init__(self, config: CanonicalConfig):
        super().__init__()
        self.config, self.build_grid = config, VOXELS[config.voxels].grid
        self.resize = config.resize.build()
        widths = [min(config.cap, config.width * 2**i) for i in range(config.num_blocks + 1)]
        down = [config.modality.num_channels, *widths[1:]]
        self.down = nn.ModuleList(DownBlock(down[i], down[i + 1]) for i in range(config.num_blocks))
        self.lift = nn.Conv2d(widths[-1], widths[-1] * config.depth_size, 1)
        self.up = nn.ModuleList(UpBlock3d(widths[i + 1], widths[i]) for i in reversed(range(config.num_blocks)))
        self.heatmap = nn.Conv3d(widths[0], config.num_keypoints, 3, padding=1)

    def forward(
        self, image: Float[Tensor, "b 3 h w"], depth: Float[Tensor, "b 1 h w"] | None
    ) -> Float[Tensor, "b k 3"]:
        x = self.resize(self.config.modality.join(image, depth))
        sizes = []
        for down in self.down:
            sizes.append((x.shape[2], x.shape[3]))
            x = down(x)
        x = rearrange(self.lift(x), "b (c d) h w -> b c d h w", d=self.config.depth_size)
        for up, size in zip(self.up, reversed(sizes), strict=True):
            x = up(x, size)
        logits = self.heatmap(x).float() / TEMPERATURE
        with torch.autocast(image.device.type, enabled=False):
            heatmap = F.softmax(logits.flatten(2), dim=-1)
            grid = self.build_grid((logits.shape[2], logits.shape[3], logits.shape[4]), logits)
            return heatmap @ grid.flatten(0, 2)


class VolumeMotion(NamedTuple):
    """Where each voxel of the picture's volume comes from; `occlusion` is of its projection, 1 = visible."""

    flow: Float[Tensor, "b d h w 3"]
    mask: Float[Tensor, "b s d h w"]
    occlusion: Float[Tensor, "b 1 h w"]


@dataclass(frozen=True, kw_only=True)
class VolumeMotionConfig:
    """Published: an hourglass of width 32, kernels of 7."""

    width: int = 32
    cap: int = 1024
    num_blocks: int = 5
    kernel: int = 7
    voxels: VoxelConvention = "centres"

    def build(self, num_keypoints: int, channels: int, depth_size: int) -> "VolumeMotionNet":
        return VolumeMotionNet(self, num_keypoints, channels, depth_size)


class VolumeMotionNet(nn.Module):
    """Offsets of the keypoints in three dimensions, chosen among by a mask of the volume."""

    def __init__(self, config: VolumeMotionConfig, num_keypoints: int, channels: int, depth_size: int):
        super().__init__()
        self.voxels = VOXELS[config.voxels]
        self.compress, self.norm = nn.Conv3d(channels, COMPRESSED, 1), nn.BatchNorm3d(COMPRESSED)
        slots, pad = num_keypoints + 1, config.kernel // 2
        self.hourglass = Hourglass3d(slots * (1 + COMPRESSED), config.width, config.cap, config.num_blocks)
        maps = self.hourglass.out_channels
        self.mask = nn.Conv3d(maps, slots, config.kernel, padding=pad)
        self.occlusion = nn.Conv2d(maps * depth_size, 1, config.kernel, padding=pad)

    def forward(
        self,
        volume: Float[Tensor, "b c d h w"],
        source: Float[Tensor, "b k 3"],
        driving: Float[Tensor, "b k 3"],
    ) -> VolumeMotion:
        seen = F.relu(self.norm(self.compress(volume)))
        with torch.autocast(volume.device.type, enabled=False):
            grid = self.voxels.grid((volume.shape[2], volume.shape[3], volume.shape[4]), source)
            shifts = F.pad(source - driving, (0, 0, 1, 0))  # b s 3, the background's is 0
            slots = self._slots(seen.float(), grid, source, driving, shifts)
        features = self.hourglass(slots)
        mask = F.softmax(self.mask(features).float(), dim=1)
        occlusion = torch.sigmoid(self.occlusion(features.flatten(1, 2)).float())
        with torch.autocast(volume.device.type, enabled=False):
            flow = grid + einsum(mask, shifts, "b s d h w, b s i -> b d h w i")
            return VolumeMotion(flow, mask, occlusion)

    def _slots(
        self,
        seen: Float[Tensor, "b c d h w"],
        grid: Float[Tensor, "d h w 3"],
        source: Float[Tensor, "b k 3"],
        driving: Float[Tensor, "b k 3"],
        shifts: Float[Tensor, "b s 3"],
    ) -> Float[Tensor, "b c2 d h w"]:
        """[heatmap difference, the compressed volume moved] of the background and every keypoint."""
        ours, theirs = (gaussians_3d(points, grid, VARIANCE) for points in (source, driving))
        heatmaps = F.pad(theirs - ours, (0, 0, 0, 0, 0, 0, 1, 0))  # b s d h w
        count = shifts.shape[1]
        flows = grid + rearrange(shifts, "b s i -> (b s) 1 1 1 i")
        copies = repeat(seen, "b c d h w -> (b s) c d h w", s=count)
        warped = rearrange(self.voxels.warp(copies, flows), "(b s) c d h w -> b s c d h w", s=count)
        return rearrange(torch.cat([heatmaps[:, :, None], warped], dim=2), "b s c d h w -> b (s c) d h w")

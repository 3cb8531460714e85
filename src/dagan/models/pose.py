"""Pose network F_p: two frames to their relative pose and the camera's intrinsics (Eq. 2, Fig. 3)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.camera import rotation_from_axis_angle
from dagan.models.depth import INPUT_MEAN, INPUT_STD
from dagan.nn.blocks import ResizeTo
from dagan.nn.resnet import ResNetEncoder
from dagan.types import CameraPose


@dataclass(frozen=True, kw_only=True)
class PoseConfig:
    """Shape of F_p and the camera it starts from.

    `motion_scale` times the head's output is the motion, in radians and in units of depth. The release has 0.01; heads
    turn by some 0.1 rad between neighbours, so 0.05 gets there in fewer steps.
    `pivot_depth`: rotations turn about the point (0, 0, pivot_depth) on the optical axis. 0 is the camera itself, as
    in the paper, where turning the head needs a rotation and a translation that cancel almost exactly; 0.95, behind
    the face at some 0.85, is inside the head, and the two become independent. R and t are the same family either way.
    `focal_range`, `centre_range`: the focal length stays within a factor exp(+-focal_range) of `portrait_focal` image
    sides and the centre within +-centre_range of a side about the middle: free to move both ways, smoothly bounded.
    `working_size` as in `FaceDepthConfig`; intrinsics are in pixels of the frames as given all the same.
    """

    num_layers: int = 18
    base_width: int = 64
    head_width: int = 256
    motion_scale: float = 0.05
    working_size: int | None = None
    pivot_depth: float = 0.95
    portrait_focal: float = 2.0  # a 28 degree field of view: a head-and-shoulders shot
    focal_range: float = 0.7
    centre_range: float = 0.2

    def build(self) -> "PoseNet":
        return PoseNet(self)


class PoseNet(nn.Module):
    """F_p: (frame, neighbour) to the motion of points from the frame's camera to the neighbour's, and K (Eq. 2)."""

    def __init__(self, config: PoseConfig) -> None:
        super().__init__()
        self.config = config
        self.resize = nn.Identity() if config.working_size is None else ResizeTo(config.working_size)
        self.encoder = ResNetEncoder(config.num_layers, config.base_width, in_channels=6)
        self.squeeze = nn.Conv2d(self.encoder.channels[-1], config.head_width, 1)
        self.conv1 = nn.Conv2d(config.head_width, config.head_width, 3, padding=1)
        self.conv2 = nn.Conv2d(config.head_width, config.head_width, 3, padding=1)
        self.motion = nn.Conv2d(config.head_width, 6, 1)
        self.intrinsics = nn.Conv2d(config.head_width, 4, 3, padding=1)
        nn.init.zeros_(self.intrinsics.weight)  # start exactly at the portrait camera
        assert self.intrinsics.bias is not None
        nn.init.zeros_(self.intrinsics.bias)

    def forward(self, frame: Float[Tensor, "b 3 h w"], neighbour: Float[Tensor, "b 3 h w"]) -> CameraPose:
        """R, t and K (pixels of the given frames), in float32. Images are RGB in [0, 1]."""
        height, width = frame.shape[-2:]
        pair = self.resize(torch.cat([frame, neighbour], 1))
        squeezed = torch.relu(self.squeeze(self.encoder((pair - INPUT_MEAN) / INPUT_STD)[-1]))
        features = torch.relu(self.conv2(torch.relu(self.conv1(squeezed))))
        motion = self.motion(features).float().mean((2, 3)) * self.config.motion_scale  # b 6
        camera = self.intrinsics(squeezed).float().mean((2, 3))  # b 4
        with torch.autocast(frame.device.type, enabled=False):
            rotation, translation = self._motion_about_pivot(motion)
            return CameraPose(rotation, translation, self._intrinsic_matrix(camera, height, width))

    def _motion_about_pivot(self, motion: Float[Tensor, "b 6"]) -> tuple[Float[Tensor, "b 3 3"], Float[Tensor, "b 3"]]:
        """x' = R (x - c) + c + shift with c on the optical axis, written as R x + t."""
        rotation = rotation_from_axis_angle(motion[:, :3])
        pivot = motion.new_tensor([0.0, 0.0, self.config.pivot_depth])
        return rotation, pivot - rotation @ pivot + motion[:, 3:]

    def _intrinsic_matrix(self, camera: Float[Tensor, "b 4"], height: int, width: int) -> Float[Tensor, "b 3 3"]:
        size = camera.new_tensor([width, height])
        bounded = torch.tanh(camera)
        focal = size * self.config.portrait_focal * torch.exp(self.config.focal_range * bounded[:, :2])  # b 2
        centre = size * (0.5 + self.config.centre_range * bounded[:, 2:])  # b 2
        top_rows = torch.cat([torch.diag_embed(focal), centre[:, :, None]], 2)  # b 2 3
        last_row = camera.new_tensor([0.0, 0.0, 1.0]).expand(len(camera), 1, 3)
        return torch.cat([top_rows, last_row], 1)

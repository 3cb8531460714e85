"""Narrow models of the families, for 64x64 images."""

from typing import Any

from dagan.models.depth import FaceDepthConfig
from dagan.models.families.monkeynet import MonkeyNetConfig, MonkeyNetDiscriminatorConfig
from dagan.models.families.osfv import OsfvConfig, VolumeGeneratorConfig
from dagan.models.families.osfv_motion import CanonicalConfig, VolumeMotionConfig
from dagan.models.families.osfv_pose import PoseNetConfig
from dagan.models.families.x2face import X2FaceConfig
from dagan.nn.blocks import ScaleBy

NARROW_DEPTH = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8), working_size=32)
TINY: dict[str, Any] = {
    "monkeynet": MonkeyNetConfig(num_keypoints=4, width=8, cap=16, num_blocks=2, num_levels=3, num_res_blocks=1),
    "x2face": X2FaceConfig(width=8, cap=16, num_levels=5, vector=8),
    "osfv": OsfvConfig(
        keypoints=CanonicalConfig(
            num_keypoints=4, width=4, cap=8, num_blocks=2, depth_size=4, resize=ScaleBy(factor=0.5)
        ),
        pose=PoseNetConfig(width=4),
        motion=VolumeMotionConfig(width=4, cap=8, num_blocks=2, kernel=3),
        generator=VolumeGeneratorConfig(width=8, volume_channels=4, depth_size=4, num_volume_blocks=1),
    ),
}
TINY_MONKEYNET_JUDGE = MonkeyNetDiscriminatorConfig(width=4, cap=8, num_blocks=2, num_keypoints=4)

"""Other methods than DaGAN's: one file a family. A new one is entered here, so that model files can name it."""

from typing import Any, get_args

from dagan.models.depth import FaceDepthConfig
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.families.monkeynet import (
    GaussianKeypoints,
    MonkeyNet,
    MonkeyNetConfig,
    MonkeyNetDiscriminatorConfig,
)
from dagan.models.families.osfv import Osfv, OsfvConfig
from dagan.models.families.osfv_pose import HeadCode
from dagan.models.families.x2face import DrivingVector, X2Face, X2FaceConfig
from dagan.models.family import Family
from dagan.models.talking_head import TalkingHeadConfig

ModelConfig = TalkingHeadConfig | MonkeyNetConfig | X2FaceConfig | OsfvConfig
JudgeConfig = DiscriminatorConfig | MonkeyNetDiscriminatorConfig
FAMILIES: dict[type, type[Family]] = {MonkeyNetConfig: MonkeyNet, X2FaceConfig: X2Face, OsfvConfig: Osfv}
# what recorded motions can hold
CODES: dict[str, Any] = {code.__name__: code for code in (GaussianKeypoints, DrivingVector, HeadCode)}

CONFIGS: tuple[Any, ...] = get_args(ModelConfig)


def depth_of(config: ModelConfig) -> FaceDepthConfig | None:
    """The configuration of F_d, if the model has one."""
    depth: FaceDepthConfig | None = getattr(config, "depth", None)
    return depth

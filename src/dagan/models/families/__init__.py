"""Other methods than DaGAN's: one file a family. A new one is entered here, so that model files can name it."""

from typing import Any

from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.talking_head import TalkingHeadConfig

ModelConfig = TalkingHeadConfig
JudgeConfig = DiscriminatorConfig
CONFIGS: tuple[Any, ...] = (TalkingHeadConfig,)
CODES: dict[str, Any] = {}  # driving codes that recorded motions can hold, by the names of their classes

"""Runs before every test module: shapes are checked at call time, numbers are seeded, torch keeps to few threads."""

import random
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from jaxtyping import install_import_hook

if TYPE_CHECKING:
    from dagan.models.talking_head import TalkingHead, TalkingHeadConfig

# Must come before the first import of a dagan module: the hook rewrites modules as they are imported.
install_import_hook("dagan", "shape_checks.checked")

THREADS = 1  # the tensors here are tiny: more threads would wait for each other


def pytest_configure() -> None:
    torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def tiny_config() -> "TalkingHeadConfig":
    """The lite preset with every part, as narrow as it goes: for 64x64 images, built in 0.05 s."""
    from dagan.models.decoder import BlendDecoderConfig
    from dagan.models.depth import FaceDepthConfig
    from dagan.nn.blocks import FixedSize
    from dagan.presets import LITE

    narrow = {"width": 8, "cap": 16, "num_blocks": 2}
    return replace(
        LITE,
        depth=FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8), working_size=32),
        keypoints=replace(LITE.keypoints, num_keypoints=5, has_landmarks=False, resize=FixedSize(side=32), **narrow),
        motion=replace(LITE.motion, torso="found", face="parts", resize=FixedSize(side=16), **narrow),
        generator=replace(LITE.generator, width=8, cap=16, decoder=BlendDecoderConfig(num_res_blocks=1, last_width=8)),
    )


@pytest.fixture
def tiny_model(tiny_config: "TalkingHeadConfig") -> "TalkingHead":
    """An untrained model of `tiny_config` in evaluation mode: its keypoints already differ from image to image."""
    return tiny_config.build().eval()

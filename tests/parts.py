"""Small parts that several tests need: keypoints, narrow networks and presets, clips of drawn faces, landmarks."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dagan.data.clips import Clip, ClipFrames
from dagan.data.drawn_faces import drawn_clip
from dagan.geometry.grid import coordinate_grid
from dagan.losses.perceptual import PerceptualLoss
from dagan.models.composition import CompositionConfig
from dagan.models.decoder import BlendDecoderConfig
from dagan.models.depth import FaceDepthConfig
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.spade import SpadeDecoderConfig
from dagan.models.talking_head import TalkingHeadConfig
from dagan.nn.blocks import FixedSize
from dagan.nn.vgg import POOL, VGG
from dagan.presets import LITE, without_face
from dagan.training.forward import GenerationNetworks
from dagan.types import Keypoints


def random_keypoints(batch: int = 2, count: int = 5, *, with_jacobian: bool = False) -> Keypoints:
    """Points anywhere in the image; frames that are turned and stretched, but never near to singular."""
    position = torch.rand(batch, count, 2) * 1.6 - 0.8
    frames = torch.eye(2) + 0.15 * torch.randn(batch, count, 2, 2).clamp(-2, 2)
    return Keypoints(position, frames if with_jacobian else None)


def identity_flow(batch: int, height: int, width: int) -> Tensor:
    return coordinate_grid(height, width, torch.zeros(())).repeat(batch, 1, 1, 1)


def tiny_head() -> TalkingHeadConfig:
    """The lite preset with every part, as narrow as it goes: for 64x64 images, built in 0.05 s."""
    narrow: dict[str, Any] = {"width": 8, "cap": 16, "num_blocks": 2}
    lite = without_face(LITE)
    return replace(
        lite,
        depth=FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8), working_size=32),
        keypoints=replace(lite.keypoints, num_keypoints=5, resize=FixedSize(side=32), **narrow),
        motion=replace(lite.motion, resize=FixedSize(side=16), **narrow),
        generator=replace(lite.generator, width=8, cap=16, decoder=BlendDecoderConfig(num_res_blocks=1, last_width=8)),
        composition=CompositionConfig(rim=0.02, has_plate=False),  # the matte finds nobody in noise
        side=64,
    )


def tiny_vgg() -> VGG:
    """A VGG of five levels with a few channels and random weights."""
    return VGG((4, 4, POOL, 6, POOL, 8, POOL, 8, POOL, 8)).eval()


def tiny_perceptual(scales: tuple[float, ...] = (1.0, 0.5)) -> PerceptualLoss:
    return PerceptualLoss(tiny_vgg(), scales)


def tiny_networks(config: TalkingHeadConfig) -> GenerationNetworks:
    """Everything that stage 2 needs, in training mode."""
    return GenerationNetworks(config.build(), DiscriminatorConfig(width=4, cap=8).build(), tiny_perceptual())


def face_clips(count: int = 1, num_frames: int = 6, size: int = 64) -> list[ClipFrames]:
    """Clips of different drawn people."""
    clips = [Clip(Path(f"p{seed}__0.mp4"), f"p{seed}", f"p{seed}__0") for seed in range(count)]
    return [ClipFrames(drawn_clip(num_frames, size, seed), clip) for seed, clip in enumerate(clips)]


def write_landmarks(
    folder: Path,
    clips: list[ClipFrames],
    found: Callable[[int], bool] = lambda frame: True,
    nose: tuple[float, float] = (0.0, 0.0),
) -> None:
    """What `dagan landmarks` writes: the same landmarks in every frame, drawn at random but for the nose's tip."""
    numbers = np.random.default_rng(0)
    position, farther = numbers.uniform(-0.6, 0.6, (478, 2)), numbers.uniform(-0.3, 0.3, 478)
    position[1] = nose
    for clip in clips:
        count = len(clip)
        np.savez(
            folder / f"{clip.clip.name}.npz",
            landmarks=np.repeat(position[None], count, 0).astype(np.float16),
            farther=np.repeat(farther[None], count, 0).astype(np.float16),
            found=np.array([found(frame) for frame in range(count)]),
            blendshapes=np.full((count, 52), 0.2, np.float16),
        )


def narrowed(config: TalkingHeadConfig) -> TalkingHeadConfig:
    """The same parts with a few channels each: what a preset does, at a thousandth of its cost."""
    decoder = config.generator.decoder
    if isinstance(decoder, SpadeDecoderConfig):
        decoder = replace(decoder, width=16, up_widths=(8, 4), hidden=4)
    return replace(
        config,
        depth=config.depth and FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8)),
        keypoints=replace(config.keypoints, width=8, cap=16),
        motion=replace(config.motion, width=8, cap=16),
        generator=replace(config.generator, width=8, cap=16, decoder=decoder),
    )

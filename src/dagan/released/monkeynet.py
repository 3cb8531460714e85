"""Published Monkey-Nets: names and sizes. Weights are over (time, row, column) with one frame of time."""

from dataclasses import replace

from dagan.models.families.monkeynet import MonkeyNetConfig, MonkeyNetDiscriminatorConfig, NearestScaleBy
from dagan.nn.blocks import ScaleBy
from dagan.released.adapter import Adapter, cap_of, widths_of, without_time
from dagan.released.published import Published

NAMES = (
    ("kp_detector", "predictor.encoder.down_blocks.", "keypoints.hourglass.down."),
    ("kp_detector", "predictor.decoder.up_blocks.", "keypoints.hourglass.up."),
    ("kp_detector", "predictor.decoder.conv.", "keypoints.heatmap."),
    ("generator", "dense_motion_module.group_blocks.", "motion.groups."),
    ("generator", "dense_motion_module.hourglass.encoder.down_blocks.", "motion.hourglass.down."),
    ("generator", "dense_motion_module.hourglass.decoder.up_blocks.", "motion.hourglass.up."),
    ("generator", "dense_motion_module.hourglass.decoder.conv.", "motion.head."),
    ("generator", "appearance_encoder.down_blocks.", "generator.down."),
    ("generator", "video_decoder.up_blocks.", "generator.up."),
    ("generator", "refinement_module.conv-last.", "generator.last."),
    ("generator", "refinement_module.r", "generator.res."),
    ("discriminator", "down_blocks.", "discriminator.blocks."),
    ("discriminator", "conv.", "discriminator.prediction."),
)
RELEASED = MonkeyNetConfig(pixels="corners", resize=NearestScaleBy())
FULL = replace(RELEASED, resize=ScaleBy(factor=1.0))  # the configuration vox-full: detector and motion at full size


def sized(published: Published, variant: str) -> MonkeyNetConfig:
    """The published model of the checkpoint's widths; `variant`: vox, or vox-full, which has the same names."""
    down = widths_of(published, "kp_detector", "predictor.encoder.down_blocks.{}.conv.weight")
    last = f"predictor.decoder.up_blocks.{len(down) - 1}.conv.weight"
    width = published.shape("kp_detector", last)[0]
    levels = widths_of(published, "generator", "appearance_encoder.down_blocks.{}.conv.weight")
    widest = max([*down, *levels])
    return replace(
        FULL if variant == "vox-full" else RELEASED,
        num_keypoints=published.shape("kp_detector", "predictor.decoder.conv.weight")[0],
        width=width,
        cap=cap_of([widest], width * 2 ** max(len(down), len(levels)), RELEASED.cap),
        num_blocks=len(down),
        num_levels=len(levels),
        num_res_blocks=published.how_many("generator", "refinement_module.r{}.conv1.weight"),
    )


def sized_judge(published: Published, variant: str) -> MonkeyNetDiscriminatorConfig | None:
    if "discriminator" not in published.sections:
        return None
    widths = widths_of(published, "discriminator", "down_blocks.{}.conv.weight")
    first = published.shape("discriminator", "down_blocks.0.conv.weight")
    return MonkeyNetDiscriminatorConfig(
        width=first[0],
        cap=cap_of(widths, first[0] * 2 ** (len(widths) - 1), 256),
        num_blocks=len(widths),
        num_keypoints=first[1] - 3,
        pixels="corners",
    )


MONKEYNET = Adapter(NAMES, variants=("vox", "vox-full"), sized=sized, sized_judge=sized_judge, change=without_time)

"""Published OSFVs: names and sizes. Two heads of the pose network have each other's names: `fc_roll` gives the yaw."""

from dagan.models.decoder import PlainDecoderConfig
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.families.osfv import FeatureSpadeConfig, OsfvConfig, VolumeGeneratorConfig
from dagan.models.families.osfv_motion import CanonicalConfig, VolumeMotionConfig
from dagan.models.families.osfv_pose import STAGES, PoseNetConfig, RotationName
from dagan.nn.blocks import ReleasedScaleBy
from dagan.released.adapter import cap_of, widths_of
from dagan.released.published import Published

POSE = "he_estimator"


def _pose_names() -> list[tuple[str, str, str]]:
    """Convolution i + 2 widens stage i; its blocks are block 2i and 2i + 1, of which the first may stand alone."""
    lines = []
    for stage, (count, halves) in enumerate(STAGES):
        lines += [
            (POSE, f"conv{stage + 2}.", f"pose.stages.{stage}.conv."),
            (POSE, f"norm{stage + 2}.", f"pose.stages.{stage}.norm."),
        ]
        number = 2 * stage + 1  # of the blocks after the strided one
        later = range(1 if halves else 0, count)
        lines += [
            (POSE, f"block{number}.b{number}_{i}.", f"pose.stages.{stage}.blocks.{place}.")
            for i, place in enumerate(later)
        ]
        if halves:
            lines += [
                (POSE, f"block{number - 1}.skip.", f"pose.stages.{stage}.blocks.0.skip.0."),
                (POSE, f"block{number - 1}.norm4.", f"pose.stages.{stage}.blocks.0.skip.1."),
                (POSE, f"block{number - 1}.", f"pose.stages.{stage}.blocks.0."),
            ]
    return lines


NAMES = (
    ("kp_detector", "predictor.down_blocks.down", "keypoints.down."),
    ("kp_detector", "predictor.up_blocks.up", "keypoints.up."),
    ("kp_detector", "predictor.conv.", "keypoints.lift."),
    ("kp_detector", "kp.", "keypoints.heatmap."),
    (POSE, "fc_roll.", "pose.angles.yaw."),
    (POSE, "fc_pitch.", "pose.angles.pitch."),
    (POSE, "fc_yaw.", "pose.angles.roll."),
    (POSE, "fc_t.", "pose.translation."),
    (POSE, "fc_exp.", "pose.expression."),
    (POSE, "conv1.", "pose.conv."),
    (POSE, "norm1.", "pose.norm."),
    *_pose_names(),
    ("generator", "dense_motion_network.hourglass.encoder.down_blocks.", "motion.hourglass.down."),
    ("generator", "dense_motion_network.hourglass.decoder.up_blocks.", "motion.hourglass.up."),
    ("generator", "dense_motion_network.hourglass.decoder.", "motion.hourglass.last."),
    ("generator", "dense_motion_network.", "motion."),
    ("generator", "first.", "generator.first."),
    ("generator", "down_blocks.", "generator.down."),
    ("generator", "second.", "generator.second."),
    ("generator", "resblocks_3d.3dr", "generator.volume_res."),
    ("generator", "third.", "generator.third."),
    ("generator", "fourth.", "generator.fourth."),
    ("generator", "resblocks_2d.2dr", "generator.decoder.res."),
    ("generator", "up_blocks.", "generator.decoder.up."),
    ("generator", "final.", "generator.decoder.last."),
    ("generator", "decoder.fc.", "generator.decoder.expand."),
    ("generator", "decoder.G_middle_", "generator.decoder.blocks."),
    ("generator", "decoder.up_", "generator.decoder.up."),
    ("generator", "decoder.conv_img.", "generator.decoder.last."),
    ("discriminator", "discs.1.down_blocks.", "discriminator.blocks."),
    ("discriminator", "discs.1.conv.", "discriminator.prediction."),
)
UNUSED = (("kp_detector", "down.weight"),)  # the fixed Gaussian kernel


def sized(published: Published, variant: str) -> OsfvConfig:
    """The published model of the checkpoint's widths; `variant`: new or beta, by default what the detector's size
    says."""
    down = widths_of(published, "kp_detector", "predictor.down_blocks.down{}.conv.weight")
    up = widths_of(published, "kp_detector", "predictor.up_blocks.up{}.conv.weight")
    is_small = "down.weight" in published.sections["kp_detector"]
    slices = published.shape("kp_detector", "predictor.conv.weight")[0] // down[-1]
    keypoints = CanonicalConfig(
        num_keypoints=published.shape("kp_detector", "kp.weight")[0],
        width=up[-1],
        cap=cap_of(down, up[-1] * 2 ** len(down), 1024),
        num_blocks=len(down),
        depth_size=slices,
        voxels="mixed",
        resize=ReleasedScaleBy(factor=0.25 if is_small else 1.0),
    )
    prefix = "dense_motion_network.hourglass."
    encoder = widths_of(published, "generator", prefix + "encoder.down_blocks.{}.conv.weight")
    narrow = published.shape("generator", f"{prefix}decoder.up_blocks.{len(encoder) - 1}.conv.weight")[0]
    motion = VolumeMotionConfig(
        width=narrow,
        cap=cap_of(encoder, narrow * 2 ** len(encoder), 1024),
        num_blocks=len(encoder),
        kernel=published.shape("generator", "dense_motion_network.mask.weight")[-1],
        voxels="mixed",
    )
    rotation: RotationName = "beta" if variant == "beta" or (not variant and not is_small) else "new"
    pose = PoseNetConfig(width=published.shape(POSE, "conv1.weight")[0])
    return OsfvConfig(
        keypoints=keypoints, pose=pose, motion=motion, generator=_sized_generator(published, slices), rotation=rotation
    )


def _sized_generator(published: Published, slices: int) -> VolumeGeneratorConfig:
    first = published.shape("generator", "first.conv.weight")
    return VolumeGeneratorConfig(
        width=first[0],
        num_down=published.how_many("generator", "down_blocks.{}.conv.weight"),
        kernel=first[-1],
        volume_channels=published.shape("generator", "second.weight")[0] // slices,
        depth_size=slices,
        num_volume_blocks=published.how_many("generator", "resblocks_3d.3dr{}.conv1.weight"),
        decoder=_sized_decoder(published),
    )


def _sized_decoder(published: Published) -> PlainDecoderConfig | FeatureSpadeConfig:
    if "decoder.fc.weight" not in published.sections["generator"]:
        return PlainDecoderConfig(num_res_blocks=published.how_many("generator", "resblocks_2d.2dr{}.conv1.weight"))
    return FeatureSpadeConfig(
        width=published.shape("generator", "decoder.fc.weight")[0],
        num_blocks=published.how_many("generator", "decoder.G_middle_{}.conv_0.weight_orig"),
        up_widths=tuple(widths_of(published, "generator", "decoder.up_{}.conv_1.weight_orig")),
        hidden=published.shape("generator", "decoder.up_0.norm_0.mlp_shared.0.weight")[0],
    )


def sized_judge(published: Published, variant: str) -> DiscriminatorConfig | None:
    if "discriminator" not in published.sections:
        return None
    pattern = "discs.1.down_blocks.{}.conv.weight_orig"
    widths = widths_of(published, "discriminator", pattern)
    width = published.shape("discriminator", pattern.format(0))[0]
    cap = cap_of(widths, width * 2 ** (len(widths) - 1), 512)
    return DiscriminatorConfig(width=width, cap=cap, num_blocks=len(widths), spectral=True)

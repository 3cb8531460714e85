"""Published checkpoints as our models: tables from their names to ours, and sizes from their shapes.

Only names and shapes are read of a checkpoint's structure; what its networks compute is said by the configurations of
`presets.RELEASED` (docs/checkpoints.md).
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from dagan.data.file_checks import check_finite, check_stored
from dagan.errors import UserError
from dagan.geometry.warp import PixelConvention
from dagan.models.decoder import PlainDecoderConfig
from dagan.models.depth import FaceDepthConfig
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.keypoints import Modality
from dagan.models.spade import SpadeDecoderConfig
from dagan.models.talking_head import TalkingHeadConfig
from dagan.released.adapter import Adapter, cap_of, widths_of
from dagan.released.monkeynet import MONKEYNET
from dagan.released.osfv import NAMES as OSFV_NAMES
from dagan.released.osfv import UNUSED as OSFV_UNUSED
from dagan.released.osfv import sized as sized_osfv
from dagan.released.osfv import sized_judge as sized_osfv_judge
from dagan.released.published import Published
from dagan.released.x2face import X2FACE_ADAPTER

# section of the published files, how a name starts there, how it starts here; the first line that fits counts
NAMES = (
    ("kp_detector", "predictor.encoder.down_blocks.", "keypoints.hourglass.down."),
    ("kp_detector", "predictor.decoder.up_blocks.", "keypoints.hourglass.up."),
    ("kp_detector", "kp.", "keypoints.heatmap."),
    ("kp_detector", "jacobian.", "keypoints.jacobian.conv."),
    ("generator", "dense_motion_network.hourglass.encoder.down_blocks.", "motion.hourglass.down."),
    ("generator", "dense_motion_network.hourglass.decoder.up_blocks.", "motion.hourglass.up."),
    ("generator", "dense_motion_network.mask.", "motion.mask."),
    ("generator", "dense_motion_network.occlusion.", "motion.occlusion."),
    ("generator", "first.", "generator.encoder.first."),
    ("generator", "down_blocks.", "generator.encoder.down."),
    ("generator", "src_first.", "generator.depth_encoder.encoder.first."),
    ("generator", "src_down_blocks.", "generator.depth_encoder.encoder.down."),
    ("generator", "AttnModule.query_conv.", "generator.refine.query."),
    ("generator", "AttnModule.key_conv.", "generator.refine.key."),
    ("generator", "AttnModule.value_conv.", "generator.refine.value."),
    ("generator", "AttnModule.gamma", "generator.refine.merge.gamma"),
    ("generator", "bottleneck.r", "generator.decoder.res."),
    ("generator", "up_blocks.", "generator.decoder.up."),
    ("generator", "final.", "generator.decoder.last."),
    ("generator", "decoder.compress.", "generator.decoder.compress."),
    ("generator", "decoder.fc.", "generator.decoder.expand."),
    ("generator", "decoder.G_middle_", "generator.decoder.blocks."),
    ("generator", "decoder.up_", "generator.decoder.up."),
    ("generator", "decoder.conv_img.", "generator.decoder.last."),
    ("discriminator", "discs.1.down_blocks.", "discriminator.blocks."),
    ("discriminator", "discs.1.conv.", "discriminator.prediction."),
    ("encoder", "encoder.", "depth.encoder."),
    *(("decoder", f"decoder.{10 + scale}.", f"depth.decoder.heads.{scale}.") for scale in range(4)),
    ("decoder", "decoder.", "depth.decoder.blocks."),
)
INSIDE = (  # parts of names within SPADE blocks and spectral-normalised convolutions
    (".norm_s.", ".shortcut.norm."),
    (".conv_s.", ".shortcut.conv."),
    *((f".{part}_{index}.", f".{part}{index}.") for part in ("norm", "conv") for index in (0, 1)),
    (".mlp_shared.0.", ".shared."),
    (".mlp_gamma.", ".scale."),
    (".mlp_beta.", ".shift."),
    (".weight_orig", ".parametrizations.weight.original"),
    (".weight_u", ".parametrizations.weight.0._u"),
    (".weight_v", ".parametrizations.weight.0._v"),
)
UNUSED = (  # the fixed Gaussian kernels, which we compute, and the classifier that F_d's encoder came with
    ("kp_detector", "down.weight"),
    ("generator", "dense_motion_network.down.weight"),
    ("encoder", "encoder.fc."),
)
DAGAN = Adapter(NAMES, INSIDE, UNUSED)
OSFV = Adapter(OSFV_NAMES, INSIDE, OSFV_UNUSED, ("new", "beta"), sized_osfv, sized_osfv_judge)
FAMILIES = {"monkeynet": MONKEYNET, "x2face": X2FACE_ADAPTER, "osfv": OSFV}
COUNTER = "num_batches_tracked"  # of a batch norm; old files may lack it, and nothing reads it


def convert(published: Published, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The checkpoint's tensors under our names, float32, exactly those of `shapes`.

    Raises:
        UserError: a tensor is missing, has another shape, has no place, or holds NaN or infinity.
    """
    state: dict[str, Tensor] = {}
    adapter = adapter_of(published)
    for section, tensors in published.sections.items():
        for name, given in tensors.items():
            ours, tensor = _translated(published, section, name), adapter.change(given)
            if ours is None:
                continue
            if ours not in shapes:
                raise UserError(f"{published.path} does not fit {published.title}: no place for {section} {name}")
            if tensor.shape != shapes[ours]:
                found, wanted = ("x".join(map(str, shape)) for shape in (tensor.shape, shapes[ours]))
                told = f"{section} {name} is {found or 'one number'}, expected {wanted or 'one number'}"
                raise UserError(f"{published.path} does not fit {published.title}: {told}")
            check_stored(f"{section} {name}", tensor, published.path)
            state[ours] = tensor.float() if tensor.is_floating_point() else tensor
    for name in shapes.keys() - state.keys():
        if not name.endswith(COUNTER):
            raise UserError(f"{published.path} is not a whole {published.title} checkpoint: it lacks our {name}")
        state[name] = torch.zeros((), dtype=torch.long)
    check_finite(state, published.path)
    return state


def _translated(published: Published, section: str, name: str) -> str | None:
    try:
        return adapter_of(published).translate(section, name)
    except KeyError:
        raise UserError(f"{published.path} does not fit {published.title}: no place for {section} {name}") from None


def shapes_of(**configs: Any) -> dict[str, torch.Size]:
    """Names and shapes of what configs would build, without building it; the keyword starts names, but for `model`."""
    shapes: dict[str, torch.Size] = {}
    with torch.device("meta"):
        for part, config in configs.items():
            prefix = "" if part == "model" else f"{part}."
            shapes |= {f"{prefix}{name}": value.shape for name, value in config.build().state_dict().items()}
    return shapes


def sized_model(published: Published, preset: TalkingHeadConfig) -> TalkingHeadConfig:
    """The preset with the checkpoint's widths and counts: the published ones, or those of someone's own training."""
    detector = _hourglass(published, "kp_detector", "predictor.", preset.keypoints.cap)
    estimator = _hourglass(published, "generator", "dense_motion_network.hourglass.", preset.motion.cap)
    weight = published.shape("kp_detector", "kp.weight")
    first = published.shape("kp_detector", "predictor.encoder.down_blocks.0.conv.weight")
    has_jacobian = "jacobian.weight" in published.sections["kp_detector"]
    keypoints = replace(
        preset.keypoints,
        num_keypoints=weight[0],
        kernel=weight[-1],
        has_jacobian=has_jacobian,
        modality=Modality.RGBD if first[1] == Modality.RGBD.num_channels else Modality.RGB,
        width=detector.width,
        cap=detector.cap,
        num_blocks=detector.num_blocks,
    )
    motion = replace(
        preset.motion,
        kernel=published.shape("generator", "dense_motion_network.mask.weight")[-1],
        local_motion="affine" if has_jacobian else "offset",
        width=estimator.width,
        cap=estimator.cap,
        num_blocks=estimator.num_blocks,
    )
    width = published.shape("generator", "first.conv.weight")[0]
    widths = widths_of(published, "generator", "down_blocks.{}.conv.weight")
    generator = replace(
        preset.generator,
        width=width,
        num_down=len(widths),
        cap=cap_of(widths, width * 2 ** len(widths), preset.generator.cap),
        decoder=_sized_decoder(published, preset),
    )
    depth = sized_depth(published) if preset.depth is not None else None
    return replace(preset, depth=depth, keypoints=keypoints, motion=motion, generator=generator)


def _sized_decoder(published: Published, preset: TalkingHeadConfig) -> PlainDecoderConfig | SpadeDecoderConfig:
    if not isinstance(preset.generator.decoder, SpadeDecoderConfig):
        return PlainDecoderConfig(num_res_blocks=published.how_many("generator", "bottleneck.r{}.conv1.weight"))
    return SpadeDecoderConfig(
        width=published.shape("generator", "decoder.fc.weight")[0],
        num_blocks=published.how_many("generator", "decoder.G_middle_{}.conv_0.weight_orig"),
        up_widths=tuple(widths_of(published, "generator", "decoder.up_{}.conv_1.weight_orig")),
        hidden=published.shape("generator", "decoder.up_0.norm_0.mlp_shared.0.weight")[0],
        guide_channels=published.shape("generator", "decoder.compress.weight")[0],
    )


def with_pixels(config: TalkingHeadConfig, pixels: PixelConvention) -> TalkingHeadConfig:
    """The model with another meaning of its coordinates, in all its parts."""
    return replace(
        config,
        keypoints=replace(config.keypoints, pixels=pixels),
        motion=replace(config.motion, pixels=pixels),
        generator=replace(config.generator, pixels=pixels),
    )


def sized_depth(published: Published) -> FaceDepthConfig:
    """The depth network of the checkpoint's ResNet and widths."""
    widths = [published.shape("decoder", f"decoder.{2 * i}.conv.conv.weight")[0] for i in range(5)]
    return FaceDepthConfig(
        num_layers=published.num_layers,
        base_width=published.shape("encoder", "encoder.conv1.weight")[0],
        decoder_widths=(widths[4], widths[3], widths[2], widths[1], widths[0]),
    )


def sized_discriminator(
    published: Published, preset: DiscriminatorConfig, pixels: PixelConvention
) -> DiscriminatorConfig | None:
    """The checkpoint's discriminator, None when it has none."""
    if "discriminator" not in published.sections:
        return None
    spectral = "discs.1.down_blocks.0.conv.weight_orig" in published.sections["discriminator"]
    pattern = "discs.1.down_blocks.{}.conv.weight" + ("_orig" if spectral else "")
    widths = widths_of(published, "discriminator", pattern)
    first = published.shape("discriminator", pattern.format(0))
    return replace(
        preset,
        width=first[0],
        cap=cap_of(widths, first[0] * 2 ** (len(widths) - 1), preset.cap),
        num_blocks=len(widths),
        num_keypoints=first[1] - 3,
        pixels=pixels,
        spectral=spectral,
    )


class _Sizes(NamedTuple):
    width: int
    cap: int
    num_blocks: int


def _hourglass(published: Published, section: str, prefix: str, cap: int) -> _Sizes:
    down = widths_of(published, section, f"{prefix}encoder.down_blocks.{{}}.conv.weight")
    width = published.shape(section, f"{prefix}decoder.up_blocks.{len(down) - 1}.conv.weight")[0]
    return _Sizes(width, cap_of(down, width * 2 ** len(down), cap), len(down))


def adapter_of(published: Published) -> Adapter:
    """What is known of this kind of checkpoint; DaGAN and FOMM share one."""
    return FAMILIES.get(published.kind, DAGAN)

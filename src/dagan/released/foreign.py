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
from dagan.released.published import Published

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
COUNTER = "num_batches_tracked"  # of a batch norm; old files may lack it, and nothing reads it


def translate(section: str, name: str) -> str | None:
    """Our name of a published tensor; None where we have no use for it. Raises KeyError for a name of neither kind."""
    if any(section == there and name.startswith(start) for there, start in UNUSED):
        return None
    for there, start, ours in NAMES:
        if section == there and name.startswith(start):
            translated = ours + name.removeprefix(start)
            for old, new in INSIDE:
                translated = translated.replace(old, new)
            return translated
    raise KeyError(name)


def convert(published: Published, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The checkpoint's tensors under our names, float32, exactly those of `shapes`.

    Raises:
        UserError: a tensor is missing, has another shape, has no place, or holds NaN or infinity.
    """
    state: dict[str, Tensor] = {}
    for section, tensors in published.sections.items():
        for name, tensor in tensors.items():
            ours = _translated(published, section, name)
            if ours is None:
                continue
            if ours not in shapes:
                raise UserError(f"{published.path} does not fit {published.title}: no place for {section} {name}")
            if tensor.shape != shapes[ours]:
                given, wanted = ("x".join(map(str, shape)) for shape in (tensor.shape, shapes[ours]))
                told = f"{section} {name} is {given or 'one number'}, expected {wanted or 'one number'}"
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
        return translate(section, name)
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
    widths = _widths(published, "generator", "down_blocks.{}.conv.weight")
    generator = replace(
        preset.generator,
        width=width,
        num_down=len(widths),
        cap=_cap(widths, width * 2 ** len(widths), preset.generator.cap),
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
        up_widths=tuple(_widths(published, "generator", "decoder.up_{}.conv_1.weight_orig")),
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
    widths = _widths(published, "discriminator", pattern)
    first = published.shape("discriminator", pattern.format(0))
    return replace(
        preset,
        width=first[0],
        cap=_cap(widths, first[0] * 2 ** (len(widths) - 1), preset.cap),
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
    down = _widths(published, section, f"{prefix}encoder.down_blocks.{{}}.conv.weight")
    width = published.shape(section, f"{prefix}decoder.up_blocks.{len(down) - 1}.conv.weight")[0]
    return _Sizes(width, _cap(down, width * 2 ** len(down), cap), len(down))


def _widths(published: Published, section: str, pattern: str) -> list[int]:
    """Output channels of the convolutions that `pattern` gives for 0, 1, ..."""
    return [published.shape(section, pattern.format(i))[0] for i in range(published.how_many(section, pattern))]


def _cap(widths: list[int], uncapped: int, usual: int) -> int:
    """What limits the widths: their last where it stayed behind doubling, else the usual limit or more."""
    last = max(widths, default=0)
    return last if last < uncapped else max(usual, last)

"""Published checkpoints of any width, made up: names and shapes as the files have them, filled by the fixtures' rule.

Written from the list of names alone, apart from `dagan.released.foreign`, so that one checks the other; a `data` test
compares it with the whole list of the real files.
"""

import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
State = dict[str, Tensor]


class Widths(NamedTuple):
    """What may differ between two checkpoints of one kind; the defaults are the published DaGAN's."""

    keypoints: int = 15
    detector: int = 32
    motion: int = 64
    cap: int = 1024
    levels: int = 5
    generator: int = 64
    res_blocks: int = 6
    spade: int = 512
    spade_hidden: int = 128
    judge: int = 64
    resnet: int = 64
    depth: tuple[int, ...] = (16, 32, 64, 128, 256)


PUBLISHED = Widths()
NARROW = Widths(
    keypoints=3,
    detector=4,
    motion=4,
    cap=16,
    levels=3,
    generator=8,
    res_blocks=2,
    spade=16,
    spade_hidden=4,
    judge=4,
    resnet=8,
    depth=(4, 4, 8, 8, 8),
)


def conv(name: str, out: int, into: int, kernel: int) -> Shapes:
    return {f"{name}.weight": (out, into, kernel, kernel), f"{name}.bias": (out,)}


def spectral(name: str, out: int, into: int, kernel: int, bias: bool = True) -> Shapes:
    shapes: Shapes = {f"{name}.bias": (out,)} if bias else {}
    vectors = {f"{name}.weight_u": (out,), f"{name}.weight_v": (into * kernel**2,)}
    return shapes | {f"{name}.weight_orig": (out, into, kernel, kernel)} | vectors


def norm(name: str, channels: int) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def block(name: str, out: int, into: int, kernel: int = 3) -> Shapes:
    return conv(f"{name}.conv", out, into, kernel) | norm(f"{name}.norm", out)


def hourglass(prefix: str, into: int, width: int, cap: int, levels: int) -> Shapes:
    widths = [into] + [min(cap, width * 2 ** (i + 1)) for i in range(levels)]
    shapes: Shapes = {}
    for i in range(levels):
        shapes |= block(f"{prefix}encoder.down_blocks.{i}", widths[i + 1], widths[i])
    channels = widths[-1]
    for index, level in enumerate(reversed(range(levels))):
        out = min(cap, width * 2**level)
        shapes |= block(f"{prefix}decoder.up_blocks.{index}", out, channels)
        channels = out + widths[level]
    return shapes


def kp_detector(channels: int, sizes: Widths) -> Shapes:
    maps = sizes.detector + channels
    return (
        hourglass("predictor.", channels, sizes.detector, sizes.cap, sizes.levels)
        | conv("kp", sizes.keypoints, maps, 7)
        | conv("jacobian", 4 * sizes.keypoints, maps, 7)
        | {"down.weight": (channels, 1, 13, 13)}
    )


def generator(kind: str, sizes: Widths) -> Shapes:
    slots, w = sizes.keypoints + 1, sizes.generator
    maps = sizes.motion + 4 * slots
    motion = "dense_motion_network"
    shapes = (
        hourglass(f"{motion}.hourglass.", 4 * slots, sizes.motion, sizes.cap, sizes.levels)
        | conv(f"{motion}.mask", slots, maps, 7)
        | conv(f"{motion}.occlusion", 1, maps, 7)
        | {f"{motion}.down.weight": (3, 1, 13, 13)}
    )
    for prefix, channels in (("", 3), ("src_", 1))[: 1 if kind == "fomm" else 2]:
        shapes |= block(f"{prefix}first", w, channels, 7)
        shapes |= block(f"{prefix}down_blocks.0", 2 * w, w) | block(f"{prefix}down_blocks.1", 4 * w, 2 * w)
    if kind != "fomm":
        shapes |= {"AttnModule.gamma": (1,)} | conv("AttnModule.value_conv", 4 * w, 4 * w, 1)
        shapes |= conv("AttnModule.query_conv", w // 2, 4 * w, 1) | conv("AttnModule.key_conv", w // 2, 4 * w, 1)
    return shapes | (spade_decoder(sizes) if kind == "spade" else plain_decoder(sizes))


def plain_decoder(sizes: Widths) -> Shapes:
    w = sizes.generator
    shapes = block("up_blocks.0", 2 * w, 4 * w) | block("up_blocks.1", w, 2 * w) | conv("final", 3, w, 7)
    for i in range(sizes.res_blocks):
        for half in (1, 2):
            shapes |= conv(f"bottleneck.r{i}.conv{half}", 4 * w, 4 * w, 3) | norm(f"bottleneck.r{i}.norm{half}", 4 * w)
    return shapes


def spade_decoder(sizes: Widths) -> Shapes:
    w, wide, hidden = sizes.generator, sizes.spade, sizes.spade_hidden

    def spade(name: str, channels: int) -> Shapes:
        shared = conv(f"{name}.mlp_shared.0", hidden, 7, 3)
        return shared | conv(f"{name}.mlp_gamma", channels, hidden, 3) | conv(f"{name}.mlp_beta", channels, hidden, 3)

    def spade_block(name: str, into: int, out: int) -> Shapes:
        middle = min(into, out)
        shapes = spectral(f"{name}.conv_0", middle, into, 3) | spectral(f"{name}.conv_1", out, middle, 3)
        shapes |= spade(f"{name}.norm_0", into) | spade(f"{name}.norm_1", middle)
        if into != out:
            shapes |= spectral(f"{name}.conv_s", out, into, 1, bias=False) | spade(f"{name}.norm_s", into)
        return shapes

    shapes = conv("decoder.compress", 4, 4 * w, 3) | conv("decoder.fc", wide, 4 * w, 3)
    for i in range(3):
        shapes |= spade_block(f"decoder.G_middle_{i}", wide, wide)
    shapes |= spade_block("decoder.up_0", wide, 4 * w) | spade_block("decoder.up_1", 4 * w, w)
    return shapes | conv("decoder.conv_img", 3, w, 3)


def discriminator(channels: int, sizes: Widths, *, constrained: bool) -> Shapes:
    make = spectral if constrained else conv
    widths = [channels] + [sizes.judge * 2**i for i in range(4)]
    shapes: Shapes = {}
    for i in range(4):
        name = f"discs.1.down_blocks.{i}"
        shapes |= make(f"{name}.conv", widths[i + 1], widths[i], 4)
        if i > 0:
            shapes |= {f"{name}.norm.weight": (widths[i + 1],), f"{name}.norm.bias": (widths[i + 1],)}
    return shapes | make("discs.1.conv", 1, widths[-1], 1)


def depth_encoder(layers: int, sizes: Widths) -> Shapes:
    expansion, counts = {18: (1, (2, 2, 2, 2)), 50: (4, (3, 4, 6, 3))}[layers]
    w = sizes.resnet
    shapes: Shapes = {"encoder.conv1.weight": (w, 3, 7, 7)} | norm("encoder.bn1", w)
    into = w
    for layer, count in enumerate(counts):
        width, out = w * 2**layer, w * 2**layer * expansion
        kernels = ((width, 3), (width, 3)) if layers == 18 else ((width, 1), (width, 3), (out, 1))
        for index in range(count):
            name, channels = f"encoder.layer{layer + 1}.{index}", into
            for i, (wide, kernel) in enumerate(kernels, 1):
                shapes |= {f"{name}.conv{i}.weight": (wide, channels, kernel, kernel)} | norm(f"{name}.bn{i}", wide)
                channels = wide
            if index == 0 and (layer > 0 or layers == 50):
                shapes |= {f"{name}.downsample.0.weight": (out, into, 1, 1)} | norm(f"{name}.downsample.1", out)
            into = out
    return shapes | {"encoder.fc.weight": (1000, into), "encoder.fc.bias": (1000,)}


def depth_decoder(layers: int, sizes: Widths) -> Shapes:
    expansion, w, widths = {18: 1, 50: 4}[layers], sizes.resnet, sizes.depth
    skips = [0, w, *(w * 2**i * expansion for i in range(3))]
    into, shapes = w * 8 * expansion, {}
    for index, level in enumerate(reversed(range(5))):
        shapes |= conv(f"decoder.{2 * index}.conv.conv", widths[level], into, 3)
        shapes |= conv(f"decoder.{2 * index + 1}.conv.conv", widths[level], widths[level] + skips[level], 3)
        into = widths[level]
    for scale in range(4):
        shapes |= conv(f"decoder.{10 + scale}.conv", 1, widths[scale], 3)
    return shapes


def shapes_of_kind(kind: str, sizes: Widths) -> dict[str, Shapes]:
    """The sections of `dagan`, `spade` or `fomm`, whose numbers of keypoints are those of `sizes`."""
    judged = 3 if kind == "fomm" else 3 + sizes.keypoints
    return {
        "generator": generator(kind, sizes),
        "kp_detector": kp_detector(3 if kind == "fomm" else 4, sizes),
        "discriminator": discriminator(judged, sizes, constrained=kind == "fomm"),
    }


def rule_tensor(name: str, shape: tuple[int, ...], salt: str = "") -> Tensor:
    """The value that `rule_weights.py` of the fixtures gives a learned tensor."""
    noise = np.random.default_rng(zlib.crc32((salt + name).encode())).standard_normal(shape, dtype=np.float32)
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "running_var":
        noise = 1.0 + 0.5 * np.abs(noise)
    elif leaf == "gamma":
        noise = 0.5 + 0.1 * noise
    elif len(shape) >= 2:
        gain = 16.0 if "query_conv" in name or "key_conv" in name else 1.6
        noise = noise * np.float32(np.sqrt(gain / int(np.prod(shape[1:]))))
    else:
        noise = 1.0 + 0.2 * noise if leaf == "weight" else 0.1 * noise
    return torch.from_numpy(np.asarray(noise, np.float32))


def filled(shapes: Shapes, salt: str = "") -> State:
    """A state dict of these shapes as `rule_weights.fill` leaves a fresh one: means 0, kernels untouched (here 0)."""
    state: State = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.zeros(shape, dtype=torch.long)
        elif name.endswith(("down.weight", "running_mean", "weight_u", "weight_v")):
            state[name] = torch.zeros(shape)
        else:
            state[name] = rule_tensor(name, shape, salt)
    for name in [name for name in state if name.endswith("weight_orig")]:
        weight = state[name].flatten(1).double()
        u = torch.linalg.eigh(weight @ weight.T)[1][:, -1]  # as a singular value decomposition, ten times as fast
        v = weight.T @ u
        state[name.replace("_orig", "_u")] = u.float()
        state[name.replace("_orig", "_v")] = (v / v.norm()).float()
    return state


def write_published(
    folder: Path, kind: str, sizes: Widths = NARROW, *, prefix: str = "", zipped: bool = True, salt: str = ""
) -> Path:
    """A checkpoint as its authors saved it, optimizer and all."""
    content: dict[str, Any] = {
        section: {f"{prefix}{name}": value for name, value in filled(shapes, salt).items()}
        for section, shapes in shapes_of_kind(kind, sizes).items()
    }
    content |= {"optimizer_generator": {"state": {}, "param_groups": [{"lr": 2e-4, "params": [0]}]}, "epoch": 99}
    path = folder / f"{kind}.pth.tar"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def write_published_depth(folder: Path, layers: int = 18, sizes: Widths = NARROW) -> tuple[Path, Path]:
    """encoder.pth, with its plain entries, and depth.pth."""
    encoder: dict[str, Any] = filled(depth_encoder(layers, sizes))
    encoder |= {"height": 256, "width": 256, "use_stereo": False}
    paths = folder / f"encoder{layers}.pth", folder / f"depth{layers}.pth"
    torch.save(encoder, paths[0])
    torch.save(filled(depth_decoder(layers, sizes)), paths[1])
    return paths


def largest_difference(ours: Tensor, theirs: Tensor) -> float:
    """Between tensors of one shape, but for axes of length 1."""
    ours, theirs = ours.squeeze(), theirs.squeeze()
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max())

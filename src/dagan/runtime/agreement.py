"""How near the pictures of each precision are to those of float32: measured once, kept in the model file.

Measured in PyTorch, which rounds as int8 of OpenVINO and bfloat16 of PyTorch do on any processor, so that a model file
says the same wherever it was packed. `dagan bench` shows what the engines themselves give on this machine.
"""

from collections.abc import Callable, Iterable
from functools import partial

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from dagan.data.drawn_faces import drawn_clip
from dagan.models.family import Family
from dagan.runtime.fold import fold
from dagan.runtime.quantize import quantize
from dagan.runtime.samples import show_samples
from dagan.runtime.torch_engine import HalfConv, change_convolutions_of
from dagan.types import Agreement

HEADS = range(100, 108)  # seeds of drawn people; int8 is calibrated on others
NUM_FRAMES, EVERY = 25, 12  # of a head: one second, of which the first frame is the source
EQUAL = 1e-12  # mean squared error that counts as none: 120 dB


@torch.inference_mode()
def measure_agreement(model: Family, size: int = 256, heads: Iterable[int] | None = None) -> dict[str, Agreement]:
    """Median and least PSNR, over drawn heads that move as themselves, of the precisions that are not float32."""
    rounded = {precision: rounds(model, size) for precision, rounds in ROUNDED.items()}
    found: dict[str, list[float]] = {precision: [] for precision in rounded}
    for seed in tqdm(
        HEADS if heads is None else heads, desc="measuring precisions", unit="head", leave=False, disable=None
    ):
        image, *driving = _frames(size, seed)
        source = model.encode(model.view(image))
        for frame in driving:
            expected = model.render(source, model.view(frame).code).generated
            for precision, ours in rounded.items():
                picture = ours.render(source, ours.view(frame).code).generated
                found[precision].append(psnr(picture, expected))
    return {precision: Agreement(float(np.median(values)), min(values)) for precision, values in found.items()}


def psnr(picture: Float[Tensor, "1 3 h w"], expected: Float[Tensor, "1 3 h w"]) -> float:
    """In dB, of values in [0, 1]."""
    error = float((picture.float() - expected).square().mean())
    return float(-10 * np.log10(max(error, EQUAL)))


def _frames(size: int, seed: int) -> list[Float[Tensor, "1 3 h w"]]:
    """A source image of a drawn person, and driving frames."""
    drawn = torch.from_numpy(drawn_clip(NUM_FRAMES, size, seed)[::EVERY].copy())
    return list(rearrange(drawn, "t h w c -> t 1 c h w").float() / 255)


def _in_whole_numbers(model: Family, size: int) -> Family:
    return quantize(fold(model, size), partial(show_samples, size=size))


def _in_bfloat16(model: Family, size: int) -> Family:
    folded = fold(model, size)
    change_convolutions_of(folded, HalfConv)
    return folded


ROUNDED: dict[str, Callable[[Family, int], Family]] = {"int8": _in_whole_numbers, "bf16": _in_bfloat16}

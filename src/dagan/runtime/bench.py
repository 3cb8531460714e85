"""How fast each installed engine animates on this machine: interleaved rounds, of which the medians count."""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from dagan.models.composition import flat_image
from dagan.models.family import Family
from dagan.runtime.agreement import psnr
from dagan.runtime.choice import build_engine
from dagan.runtime.engine import Choice, Engine
from dagan.runtime.samples import portrait_frames

NUM_DRIVING = 6  # different driving frames, repeated


class Timing(NamedTuple):
    """One engine: milliseconds a frame, seconds until it was ready, and PSNR in dB to the model's own picture."""

    engine: Choice
    milliseconds: float
    ready: float
    agreement: float


@torch.inference_mode()
def time_engines(
    model: Family, choices: Sequence[Choice], size: int = 256, num_rounds: int = 3, num_frames: int = 16
) -> list[Timing]:
    """Each engine on `num_frames` frames of the bundled portrait, in turn, `num_rounds` times after one to warm up."""
    image, driving = portrait_frames(size, NUM_DRIVING)
    source = model.encode(model.view(image))
    expected = model.render(source, model.view(driving[-1]).code).generated
    engines, ready, agreement = [], [], []
    for choice in choices:
        started = time.perf_counter()
        engines.append(build_engine(model, source, *choice))
        layers = engines[-1].layers(engines[-1].keypoints(driving[-1]))
        agreement.append(psnr(flat_image(layers, image), expected))
        ready.append(time.perf_counter() - started)
    rounds = [[_milliseconds(engine, driving, num_frames) for engine in engines] for _ in range(num_rounds + 1)]
    medians = [statistics.median(times) for times in zip(*rounds[1:], strict=True)]
    return [Timing(*values) for values in zip(choices, medians, ready, agreement, strict=True)]


def _milliseconds(engine: Engine, driving: Sequence[Tensor], num_frames: int) -> float:
    """Of a frame, as in an animation: as many at once as the engine has workers."""

    @torch.inference_mode()
    def draw(index: int) -> None:
        engine.layers(engine.keypoints(driving[index % len(driving)]))

    with ThreadPoolExecutor(engine.num_workers) as pool:
        started = time.perf_counter()
        list(pool.map(draw, range(num_frames)))
        return (time.perf_counter() - started) / num_frames * 1e3

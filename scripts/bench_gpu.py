"""One frame's latency (CUDA graph) and batched throughput on a GPU, by network shares of the card's measured peak.

Started by scripts/bench_gpu.sh. Prints one JSON object. Not yet run on a GPU.
"""

import argparse
import json
import statistics
from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dagan.models.weights import load
from dagan.presets import PRESETS
from dagan.runtime.fold import fold
from dagan.runtime.graphs import FrameGraph, flat_appearance, flat_keypoints, signature_of
from dagan.runtime.torch_engine import HalfConv, change_convolutions_of

WARM_UP, REPEATS = 10, 50


def milliseconds(call: Callable[[], object]) -> float:
    """Median on the device's own clock."""
    for _ in range(WARM_UP):
        call()
    times = []
    for _ in range(REPEATS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def peak_tflops() -> float:
    """bfloat16 convolution, 512 channels, channels last: what the card does at its best for such networks."""
    conv = nn.Conv2d(512, 512, 3, padding=1).cuda().to(torch.bfloat16, memory_format=torch.channels_last)
    image = torch.rand(32, 512, 64, 64, device="cuda", dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    return 2 * 32 * 512 * 512 * 9 * 64 * 64 / milliseconds(lambda: conv(image)) / 1e9


def captured(call: Callable[[], torch.Tensor]) -> Callable[[], None]:
    """The same work as a CUDA graph: one launch for all kernels."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


@torch.inference_mode()
def graph_of(preset: str) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """The per-frame graph of a preset in bfloat16, and what a source leaves for it."""
    model = (load() if preset == "lite" else PRESETS[preset].build().eval()).cuda()
    image = torch.rand(1, 3, 256, 256, device="cuda")
    source = model.encode(model.view(image))
    folded = fold(model, 256, narrow=False)
    change_convolutions_of(folded, HalfConv)
    folded = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    points = flat_keypoints(source.keypoints)
    return FrameGraph(folded, signature_of(source)), (image, *points, *flat_appearance(source), *points)


@torch.inference_mode()
def measure(graph: nn.Module, kept: tuple[torch.Tensor, ...], batch: int) -> tuple[float, float]:
    """Milliseconds of a batch, its transfer from pinned memory included, and TFLOP/s."""
    pinned = torch.rand(batch, 3, 256, 256).pin_memory()
    frames = pinned.cuda()
    with FlopCounterMode(display=False) as counter:
        graph(frames, *kept)
    replay = captured(lambda: graph(frames, *kept))

    def step() -> None:
        frames.copy_(pinned, non_blocking=True)
        replay()

    taken = milliseconds(step)
    return taken, counter.get_total_flops() / taken / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presets", default="lite,dagan_released")
    parser.add_argument("--batches", default="1,8,32")
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    peak, rows = peak_tflops(), []
    for preset in args.presets.split(","):
        graph, kept = graph_of(preset)
        for batch in map(int, args.batches.split(",")):
            taken, tflops = measure(graph, kept, batch)
            rows.append({"preset": preset, "batch": batch, "ms": taken, "tflops": tflops, "share": tflops / peak})
    print(json.dumps({"device": torch.cuda.get_device_name(), "peak_tflops": peak, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()

"""Seconds of a step of stage 2: as `dagan train` makes it, beside the same step as one writes it down, interleaved.

    python benchmarks/train_step.py [--preset dagan] [--recipe paper] [--batch 4] [--size 256] [--rounds 3]

The straightforward step computes in float32, keeps channels first and convolves enlarged images; it runs through the
same code, so the ratio counts nothing that this code saves in any precision. Images are random, VGG too. A round is an
untimed step and a timed one of each. Peak memory is the process's before the straightforward step exists; on a GPU that
of its tensors.
"""

import argparse
import copy
import resource
import statistics
import time

import torch
from torch.nn.functional import interpolate

from dagan.losses.objective import Objective, needing_landmarks
from dagan.losses.perceptual import PerceptualLoss
from dagan.nn.upsampled import UpsampledConv
from dagan.nn.vgg import VGG, VGG_19
from dagan.presets import PRESETS, TRAINING
from dagan.training import generation_stage as stage
from dagan.training.allocator import keep_freed_memory
from dagan.training.recipes import RECIPES
from dagan.training.step import StepConfig, pick_precision


def step_of(networks, terms, batch, config: StepConfig, layout: torch.memory_format):
    """A function that makes one step and gives its seconds, of the clock and of the processor."""
    networks = networks.to(batch[0].device).to(memory_format=layout)
    optimizers, objective = stage.generation_optimizers(networks), Objective(terms)
    pair = stage.PairBatch(*(image.contiguous(memory_format=layout) for image in batch))

    def step() -> tuple[float, float]:
        clock, processor = time.perf_counter(), time.process_time()
        stage.generation_step(networks, optimizers, objective, pair, config)
        if pair.source.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter() - clock, time.process_time() - processor

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="dagan", choices=PRESETS)
    parser.add_argument("--recipe", default="paper", choices=RECIPES, help="whose losses")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.manual_seed(0)
    keep_freed_memory()
    device, config = torch.device(args.device), PRESETS[args.preset]
    batch = [interpolate(torch.rand(args.batch, 3, 8, 8), args.size, mode="bilinear").to(device) for _ in range(2)]
    objective = RECIPES[args.recipe].phases[-1].objective
    guided = needing_landmarks(name for name, _ in objective)
    terms = tuple((name, weight) for name, weight in objective if name not in guided)
    judge = TRAINING[args.preset].discriminator
    networks = stage.GenerationNetworks(config.build(), judge.build(), PerceptualLoss(VGG(VGG_19).eval()))
    plain = copy.deepcopy(networks)
    for module in plain.modules():
        if isinstance(module, UpsampledConv):
            module.worthwhile = 2**62  # never in four small convolutions
    ours = step_of(networks, terms, batch, StepConfig(precision=pick_precision(device)), torch.channels_last)
    ours()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else peak
    straightforward = step_of(plain, terms, batch, StepConfig(), torch.contiguous_format)
    rounds = [(ours(), ours(), straightforward(), straightforward())[1::2] for _ in range(args.rounds)]
    print(f"| {args.preset}, {args.size} px, batch {args.batch} | s/step | processor s | samples/s |\n|{' --- |' * 4}")
    for name, times in zip(("dagan train", "straightforward"), zip(*rounds, strict=True), strict=True):
        clock, processor = map(statistics.median, zip(*times, strict=True))
        print(f"| {name} | {clock:.3f} | {processor:.3f} | {args.batch / clock:.3f} |")
    print(f"peak memory {peak / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()

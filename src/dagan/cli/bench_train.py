"""`dagan bench train`: a step of stage 2 on this machine, beside the straightforward step of the same model."""

import argparse
import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagan.cli.device import add_device_argument, pick_device
from dagan.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dagan.losses.values import PairBatch
    from dagan.nn.vgg import VGG
    from dagan.training.step_bench import StepBench, StepTimes

SIZE_STEP = 32  # the networks halve an image up to five times


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default="dagan", help="model preset (default: dagan; see dagan config list)")
    parser.add_argument("--recipe", help="whose losses: paper, lite or released (default: the preset's)")
    parser.add_argument("--batch", type=int, default=4, help="samples a step (default: 4)")
    parser.add_argument("--size", type=int, default=256, help="side of the images (default: 256)")
    parser.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="auto: bf16 where native")
    parser.add_argument("--perceptual", help="VGG file, vgg19 or vgg16 (default: a VGG-19 with random weights)")
    parser.add_argument("--perceptual-side", type=int, default=0, help="largest side that VGG sees (0: whole images)")
    parser.add_argument("--rounds", type=int, default=3, help="timed steps, of which the median counts (default: 3)")
    parser.add_argument("--threads", type=int, help="CPU threads (default: all cores)")
    parser.add_argument("--compile", action="store_true", help="torch.compile our step")
    parser.add_argument("--no-straightforward", action="store_true", help="time our step alone")
    parser.add_argument("--clips", type=Path, help="take the samples from clips and time the wait for them")
    parser.add_argument("--workers", type=int, default=1, help="processes that load samples of --clips")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    import torch

    from dagan.training.step_bench import measure_step

    check(args)
    if args.threads:
        torch.set_num_threads(args.threads)
    device = pick_device(args.device)
    bench, vgg = plan(args, device), pick_vgg(args)
    batches = clip_batches(args) if args.clips else None
    report = facts(args, bench, measure_step(bench, vgg, batches, device), device)
    print(json.dumps(report, indent=2) if args.json else as_text(report))
    return 0


def check(args: argparse.Namespace) -> None:
    """Raises UserError for what cannot be measured."""
    from dagan.presets import PRESETS
    from dagan.training.recipes import RECIPES

    if args.preset not in PRESETS:
        raise UserError(f"unknown preset {args.preset!r}; known: {', '.join(PRESETS)}")
    if args.recipe is not None and args.recipe not in RECIPES:
        raise UserError(f"unknown recipe {args.recipe!r}; known: {', '.join(RECIPES)}")
    if args.size < 2 * SIZE_STEP or args.size % SIZE_STEP:
        raise UserError(f"--size {args.size}: the networks need a multiple of {SIZE_STEP}, {2 * SIZE_STEP} or more")
    for name, least in (("batch", 1), ("rounds", 1), ("perceptual_side", 0), ("workers", 0)):
        if getattr(args, name) < least:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(args, name)}; it must be {least} or more")


def plan(args: argparse.Namespace, device: Any) -> "StepBench":
    from dagan.losses.objective import NEED_LANDMARKS
    from dagan.models.discriminator import DiscriminatorConfig
    from dagan.presets import PRESETS, RELEASED_DISCRIMINATORS
    from dagan.training.recipes import RECIPES
    from dagan.training.step import pick_precision
    from dagan.training.step_bench import StepBench

    config = PRESETS[args.preset]
    recipe = args.recipe or ("lite" if args.preset == "lite" else "paper")
    terms = dict(RECIPES[recipe][-1].objective)
    if config.keypoints.has_jacobian:
        terms.setdefault("jacobian_equivariance", 10.0)
    narrow = DiscriminatorConfig(width=32, cap=256) if recipe == "lite" else DiscriminatorConfig()
    return StepBench(
        model=config,
        discriminator=RELEASED_DISCRIMINATORS.get(args.preset, narrow),
        objective=tuple((name, weight) for name, weight in terms.items() if name not in NEED_LANDMARKS),
        precision=pick_precision(device, args.precision),
        batch_size=args.batch,
        image_size=args.size,
        perceptual_side=args.perceptual_side or None,
        rounds=args.rounds,
        straightforward=not args.no_straightforward,
        compiled=args.compile,
    )


def pick_vgg(args: argparse.Namespace) -> "VGG":
    from dagan.nn.vgg import VGG, VGG_19
    from dagan.nn.vgg_files import find_vgg

    return find_vgg(args.perceptual).load() if args.perceptual else VGG(VGG_19).eval()


def clip_batches(args: argparse.Namespace) -> "Iterator[PairBatch]":
    """Samples as training loads them, in processes of their own."""
    import tempfile

    from torch.utils.data import DataLoader

    from dagan.data.opening import open_clips
    from dagan.data.sampling import SourceDrivingPairs
    from dagan.losses.values import PairBatch
    from dagan.training.pair_dataset import PairDataset

    with tempfile.TemporaryDirectory() as cache:
        clips = open_clips(args.clips, cache, args.size, "seek")
        length = (2 * args.rounds + 2) * args.batch
        pairs = PairDataset(SourceDrivingPairs(clips, length, seed=0), None)
        for source, driving in DataLoader(pairs, batch_size=args.batch, num_workers=args.workers):
            yield PairBatch(source, driving)


def facts(args: argparse.Namespace, bench: "StepBench", times: "StepTimes", device: Any) -> dict[str, Any]:
    """The measurement as plain data; seconds are medians."""
    import platform

    import torch

    step = statistics.median(times.step)
    report: dict[str, Any] = {
        "preset": args.preset,
        "losses": [name for name, _ in bench.objective],
        "batch": bench.batch_size,
        "size": bench.image_size,
        "precision": str(bench.precision).removeprefix("torch."),
        "perceptual": args.perceptual or "vgg19 (random weights)",
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "step_seconds": step,
        "step_processor_seconds": statistics.median(times.processor[0]),
        "samples_per_second": bench.batch_size / step,
        "data_wait_seconds": statistics.median(times.data_wait) if args.clips else None,
        "peak_memory_bytes": times.memory,
    }
    if times.straightforward:
        other = statistics.median(times.straightforward)
        report |= {"straightforward_seconds": other, "straightforward_samples_per_second": bench.batch_size / other}
        report |= {
            "straightforward_processor_seconds": statistics.median(times.processor[1]),
            "ratio": times.ratio,
            "processor_ratio": times.processor_ratio,
        }
    whole = sum(share.seconds for share in times.shares.values())
    report["shares"] = {
        name: {"share": share.seconds / whole, "forward_seconds": share.forward, "backward_seconds": share.backward}
        for name, share in times.shares.items()
    }
    return report


def as_text(report: dict[str, Any]) -> str:
    """The report for reading."""
    lines = [
        f"{report['preset']}, {report['size']} px, batch {report['batch']}, {report['precision']}, {report['device']}",
        f"losses: {', '.join(report['losses'])}; perceptual network: {report['perceptual']}",
        f"step: {report['step_seconds']:.3f} s, {report['samples_per_second']:.3f} samples/s",
    ]
    if "ratio" in report:
        lines += [
            f"straightforward float32 step: {report['straightforward_seconds']:.3f} s, "
            f"{report['straightforward_samples_per_second']:.3f} samples/s",
            f"ratio: {report['ratio']:.2f}",
            f"processor seconds: {report['step_processor_seconds']:.3f} and "
            f"{report['straightforward_processor_seconds']:.3f}, ratio {report['processor_ratio']:.2f}",
        ]
    wait = report["data_wait_seconds"]
    lines.append(
        "data wait: not measured (random images; give --clips)" if wait is None else f"data wait: {wait:.3f} s"
    )
    lines.append(f"peak memory: {report['peak_memory_bytes'] / 2**30:.2f} GiB")
    lines.append(f"{'part of the step':32}{'share':>8}{'forward':>10}{'backward':>10}")
    for name, share in report["shares"].items():
        seconds = f"{share['forward_seconds']:9.3f}s{share['backward_seconds']:9.3f}s"
        lines.append(f"{name:32}{share['share']:8.1%}{seconds}")
    return "\n".join(lines)

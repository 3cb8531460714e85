"""`dagan bench [MODEL]`: how fast this machine animates, by each runtime and precision that is installed."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.sizes import check_size
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.models.family import Family

DEFAULT_SIZE = 256
ROW = "{:<20}{:>10}{:>10}{:>10}{:>12}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, nargs="?", help="weights (default: those of the package)")
    add("--size", metavar="PIXELS", type=int, default=DEFAULT_SIZE, help=f"side of the images (default {DEFAULT_SIZE})")
    add("--rounds", metavar="N", type=int, default=3, help="rounds, of which the median counts (default 3)")
    add("--frames", metavar="N", type=int, default=16, help="frames of each engine in a round (default 16)")
    add("--threads", metavar="N", type=int, help="CPU threads (default: all cores)")
    add("--json", action="store_true", help="print one JSON object")
    add(
        "--store",
        action="store_true",
        help="measure how near each precision is to float32 on drawn heads and write it into MODEL: "
        "`dagan animate` uses bf16 and int8 by itself only where a model file says that they are near enough",
    )


def run(args: argparse.Namespace) -> int:
    check_size(args.size)
    if min(args.rounds, args.frames, 1 if args.threads is None else args.threads) < 1:
        raise UserError("--rounds, --frames and --threads must be at least 1")
    if args.store and args.model is None:
        raise UserError("--store writes into a model file: give MODEL")
    import torch

    from dagan.models.weights import load
    from dagan.runtime.bench import time_engines
    from dagan.runtime.choice import choose, installed_choices

    if args.threads:
        torch.set_num_threads(args.threads)
    model, device = load(args.model), torch.device("cpu")
    timings = time_engines(model, installed_choices(device), args.size, args.rounds, args.frames)
    if args.json:
        rows = [{**timing._asdict(), "engine": str(timing.engine)} for timing in timings]
        print(json.dumps({"size": args.size, "threads": torch.get_num_threads(), "engines": rows}, indent=2))
        return _store(args.model, model) if args.store else 0
    print(ROW.format("engine", "ms/frame", "frames/s", "ready s", "agreement"))
    for engine, milliseconds, ready, agreement in timings:
        rate = f"{1000 / milliseconds:.1f}"
        print(ROW.format(str(engine), f"{milliseconds:.1f}", rate, f"{ready:.1f}", f"{agreement:.1f} dB"))
    if args.store:
        _store(args.model, model)
        for precision, measured in model.agreement.items():
            print(f"{precision}: {measured.median:.1f} dB to float32 on drawn heads, {measured.least:.1f} at the least")
    print(f"`dagan animate` uses {choose(model, device)}")
    return 0


def _store(path: Path, model: "Family") -> int:
    from dagan.models.weights import store_agreement
    from dagan.runtime.agreement import measure_agreement

    model.agreement = measure_agreement(model)
    store_agreement(path, model.agreement)
    return 0

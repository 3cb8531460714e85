"""`dagan bench animate`: milliseconds a frame, the straightforward way beside each engine, and the floor."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.inference.bench import Timing

MODES = "torch:fp32,torch:bf16,onnx:fp32,openvino:fp32,openvino:bf16,openvino:int8"
PRECISIONS = ("fp32", "bf16", "int8")
COLUMNS = (
    *("preset", "mode", "ms/frame", "frames/s", "times naive", "CPU ms", "GMAC", "floor ms", "floor/measured"),
    *("peak MiB", "largest difference", "agreement"),
)
BEGIN, END = "<!-- dagan bench animate: {} -->", "<!-- end: {} -->"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--preset", default="lite", help="lite has its weights, others random ones (default: lite)")
    add("--modes", default=MODES, help=f"runtime:precision, joined by commas (default: {MODES})")
    add("--size", type=int, default=256, help="side of the images (default: 256)")
    add("--rounds", type=int, default=5, help="interleaved rounds, of which the medians count (default: 5)")
    add("--frames", type=int, default=16, help="frames a round (default: 16; naive: a quarter)")
    add("--threads", type=int, help="CPU threads (default: all cores)")
    add("--json", action="store_true", help="print one JSON object")
    add("--page", type=Path, help="put the table into this page, between the preset's marks")


def run(args: argparse.Namespace) -> int:
    import torch

    from dagan.inference.bench import measure
    from dagan.inference.bench_subject import Subject

    modes = [mode for mode in args.modes.split(",") if mode]
    if not modes or any(mode.count(":") != 1 or mode.split(":")[1] not in PRECISIONS for mode in modes):
        raise UserError(f"--modes takes runtime:precision such as {MODES}; got {args.modes}")
    threads = torch.get_num_threads() if args.threads is None else args.threads
    if min(args.rounds, args.frames, threads) < 1 or args.size < 32 or args.size % 32:
        raise UserError("--rounds, --frames and --threads must be at least 1, and --size a multiple of 32")
    timings = measure(Subject(args.preset, args.size, threads), modes, args.rounds, args.frames)
    if args.json:
        print(json.dumps({"preset": args.preset, "modes": [timing._asdict() for timing in timings]}, indent=2))
    else:
        print(as_table(args.preset, timings))
    if args.page:
        put_into(args.page, args.preset, as_table(args.preset, timings))
    return 0


def as_table(preset: str, timings: "list[Timing]") -> str:
    naive = timings[0].milliseconds
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + " --- |" * len(COLUMNS)]
    for timing in timings:
        values = [
            preset,
            timing.mode,
            f"{timing.milliseconds:.1f}",
            f"{1000 / timing.milliseconds:.1f}",
            f"{naive / timing.milliseconds:.2f}",
            f"{timing.cpu:.1f}",
            f"{timing.gigamacs:.2f}",
            f"{timing.floor:.1f}",
            f"{timing.floor / timing.milliseconds:.2f}",
            f"{timing.peak_mib:.0f}",
            f"{timing.difference:.1e}",
            f"{timing.agreement:.1f} dB",
        ]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines)


def put_into(page: Path, preset: str, table: str) -> None:
    """Replaces what stands between the preset's marks. Raises UserError where there are none."""
    from dagan.files import write_text

    begin, end = BEGIN.format(preset), END.format(preset)
    text = page.read_text() if page.is_file() else ""
    if begin not in text or end not in text:
        raise UserError(f"{page} has no lines {begin} and {end} to put the table between")
    before, after = text.split(begin)[0], text.split(end)[1]
    write_text(page, f"{before}{begin}\n{table}\n{end}{after}")

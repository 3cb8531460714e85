"""`dagan export MODEL -o DIR --format onnx`: a model as graphs that run without PyTorch."""

import argparse
import time
from pathlib import Path

from dagan.cli.sizes import check_size

DEFAULT_SIZE = 256
DEFAULT_TOLERANCE = 5e-4  # between ONNX Runtime's and PyTorch's values; pixels are in [0, 1]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="?", help="weights (default: those of the package)")
    add("-o", "--output", metavar="DIR", type=Path, required=True, help="folder for source.onnx and frame.onnx")
    add("--format", choices=["onnx"], default="onnx", help="what to write (default onnx)")
    add("--size", metavar="PIXELS", type=int, default=DEFAULT_SIZE, help=f"side of the images (default {DEFAULT_SIZE})")
    add("--tolerance", metavar="T", type=float, default=DEFAULT_TOLERANCE, help="largest difference (default 5e-4)")


def run(args: argparse.Namespace) -> int:
    check_size(args.size)
    from dagan.files import check_folder, check_output
    from dagan.models.weights import load
    from dagan.runtime.onnx_graphs import OPSET, animation_graphs, write_graphs
    from dagan.runtime.samples import portrait_frames

    check_folder(args.output)
    for name in ("source", "frame"):
        check_output(args.output / f"{name}.onnx", [Path(args.model)] if args.model else [])
    print("reading the model", flush=True)
    model = load(args.model)
    image, _ = portrait_frames(args.size, 0)  # what the graphs are checked with
    graphs = animation_graphs(model, image)
    started = time.perf_counter()

    def say(step: str) -> None:
        print(f"{time.perf_counter() - started:5.1f} s  {step}", flush=True)

    differences = write_graphs(graphs, args.output, args.tolerance, say)
    for name, difference in differences.items():
        path = args.output / f"{name}.onnx"
        size = path.stat().st_size / 2**20
        print(f"{path}: opset {OPSET}, {size:.1f} MiB, differs from PyTorch by {difference:.1e} at most")
        print(f"  inputs {', '.join(graphs[name].inputs)}; outputs {', '.join(graphs[name].outputs)}")
    return 0

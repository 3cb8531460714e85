"""`dagan ablate`: Table 4 trained and measured again. A loop over presets and seeds that runs `dagan train` and
`dagan evaluate`, and one table of what came out."""

import argparse
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev

from dagan.cli.building import check_bundled_depth
from dagan.cli.plugins import add_plugin_argument, load_plugins
from dagan.cli.settings import picked, training_of
from dagan.cli.sizes import check_size
from dagan.errors import UserError

ROWS = ("baseline", "baseline_fdn", "baseline_cam", "dagan_sa", "dagan", "fomm", "fomm_fdn", "fomm_cam", "fomm_fdn_cam")
PROTOCOLS = ("self", "cross")
MOTION = {
    "self": "registered",
    "cross": "absolute",
}  # as the paper's tables have it: variants without a face reader too
TRAINING_OPTIONS = ["--no-tensorboard", "--keep", "1", "--validation", "0"]
Results = dict[str, list[dict[str, float]]]  # for each preset, the metrics of each seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("clips", type=Path, nargs="+", metavar="CLIPS", help="folders of face clips to train on")
    add("-o", "--run", type=Path, required=True, help="folder of all runs; the same command goes on where it stopped")
    add(
        "--presets",
        default=",".join(f"lite_{name}" for name in ROWS),
        help="comma-separated presets, a row each (default: Table 4 at the widths of lite; dagan config list)",
    )
    add("--seeds", type=int, default=1, metavar="N", help="train each preset N times, with seeds 0 to N-1 (default 1)")
    add("--steps", type=int, help="training steps of each run (default: the recipe's)")
    add("--recipe", help="recipe of every row (default: each preset's own, dagan config list)")
    add("--size", type=int, help="side of the images in pixels (default: each recipe's)")
    add("--depth", type=Path, help="depth network of every row that has one (default: the package's, for lite ones)")
    add_plugin_argument(parser)
    add("--perceptual", help="VGG of the perceptual loss, as for `dagan train`")
    add("--evaluate", type=Path, required=True, metavar="CLIPS", help="folder of clips of other people to measure on")
    add("--device", help="cpu or cuda (default: cuda if there is one)")
    add("--train-options", default="", metavar="OPTIONS", help="more options for `dagan train`: --train-options='...'")
    add("--evaluate-options", default="", metavar="OPTIONS", help="more options for `dagan evaluate`")


def run(args: argparse.Namespace) -> int:
    load_plugins(args.plugin)
    presets = args.presets.split(",")
    check(args, presets)
    results: Results = {preset: [] for preset in presets}
    for seed in range(args.seeds):  # all presets with one seed before the next: a run that is cut short still compares
        for preset in presets:
            folder = args.run / preset / f"seed{seed}"
            command("train", *train_arguments(args, preset, seed, folder))
            metrics: dict[str, float] = {}
            for protocol in PROTOCOLS:
                metrics |= measured(args, protocol, folder, size_of(args, preset))
            results[preset].append(metrics)
            write_table(args.run, results)
    print(table_of(results), end="")
    print(f"wrote {args.run / 'table.md'} and table.json")
    return 0


def check(args: argparse.Namespace, presets: Sequence[str]) -> None:
    """Raises UserError for what would only be found out after hours."""
    from dagan.files import check_output
    from dagan.models.families import depth_of
    from dagan.nn.vgg_files import find_vgg
    from dagan.presets import PRESETS
    from dagan.training.recipes import RECIPES

    for name in presets:
        config = picked(PRESETS, name, "preset")
        picked(RECIPES, args.recipe or training_of(name).recipe, "recipe")
        check_size(size_of(args, name))
        if (depth := depth_of(config)) is not None and args.depth is None:
            check_bundled_depth(depth, name)
    check_output(args.run, [*args.clips, args.evaluate])
    if args.seeds < 1:
        raise UserError(f"--seeds is {args.seeds}; it must be 1 or more")
    if not args.evaluate.is_dir():
        raise UserError(f"no such folder of clips to measure on: {args.evaluate}")
    args.perceptual = args.perceptual or str(find_vgg().path)


def train_arguments(args: argparse.Namespace, preset: str, seed: int, folder: Path) -> list[object]:
    """The options of `dagan train` for one row and seed."""
    from dagan.models.families import depth_of
    from dagan.presets import PRESETS

    where: list[object] = [*args.clips, "-o", folder, "--cache", args.run / "cache", "--size", size_of(args, preset)]
    what = ["--preset", preset, "--seed", seed, *TRAINING_OPTIONS]
    given = {"recipe": args.recipe, "steps": args.steps, "perceptual": args.perceptual, "device": args.device}
    if depth_of(PRESETS[preset]) is not None:
        given["depth"] = args.depth
    options = [word for name, value in given.items() if value is not None for word in (f"--{name}", value)]
    return [*where, *what, *options, *shlex.split(args.train_options)]


def size_of(args: argparse.Namespace, preset: str) -> int:
    """The side of the images of a row, in training and in evaluation."""
    from dagan.training.recipes import RECIPES

    size: int = args.size or RECIPES[args.recipe or training_of(preset).recipe].size
    return size


def measured(args: argparse.Namespace, protocol: str, folder: Path, size: int) -> dict[str, float]:
    """The means of `dagan evaluate`, measured unless they are there: {"self PSNR": 25.1}."""
    result = folder / protocol / "evaluation.json"
    if not result.is_file():
        device = ["--device", args.device] if args.device else []
        what = ["--model", folder / "model.safetensors", "--protocol", protocol, "--motion", MOTION[protocol]]
        what += ["--size", size]
        options = [*what, *device, *shlex.split(args.evaluate_options)]
        command("evaluate", args.evaluate, "-o", result.parent, *options)
    summary = json.loads(result.read_text(encoding="utf-8"))["summary"]
    values = {name: row["generated"] for name, row in summary.items()}
    return {f"{protocol} {name}": value for name, value in values.items() if isinstance(value, int | float)}


def command(name: str, *words: object) -> None:
    """Runs `dagan NAME` in this process, and shows how to do the same by hand. Raises UserError as the command does."""
    from importlib import import_module

    module = import_module(f"dagan.cli.{name}")
    parser = argparse.ArgumentParser(prog=f"dagan {name}")
    module.add_arguments(parser)
    print(f"dagan {name} {shlex.join(map(str, words))}", flush=True)
    module.run(parser.parse_args([str(word) for word in words]))


def write_table(folder: Path, results: Results) -> None:
    """table.md for people, and table.json with the metrics of each seed."""
    from dagan.files import write_text

    write_text(folder / "table.md", table_of(results))
    write_text(folder / "table.json", json.dumps(results, indent=1) + "\n")


def table_of(results: Results) -> str:
    """A Markdown table: a row for each preset, its means ± standard deviations over seeds; then the noise of seeds."""
    rows = {preset: seeds for preset, seeds in results.items() if seeds}
    metrics = list(dict.fromkeys(name for seeds in rows.values() for metrics in seeds for name in metrics))
    lines = [["preset", "seeds", *metrics]]
    for preset, seeds in rows.items():
        lines.append(
            [preset, str(len(seeds)), *(spread([row[name] for row in seeds if name in row]) for name in metrics)]
        )
    if any(len(seeds) > 1 for seeds in rows.values()):
        lines.append(["seed noise", "", *(f"{value:.3g}" for value in seed_noise(rows, metrics).values())])
    head, *body = (f"| {' | '.join(line)} |" for line in lines)
    return "\n".join([head, "|" + " --- |" * len(lines[0]), *body]) + "\n"


def spread(values: Sequence[float]) -> str:
    """`0.512 ± 0.003`; without a spread for one value, `-` for none."""
    if len(values) < 2:
        return f"{values[0]:.4g}" if values else "-"
    return f"{mean(values):.4g} ± {stdev(values):.2g}"


def seed_noise(rows: Mapping[str, Sequence[Mapping[str, float]]], metrics: Sequence[str]) -> dict[str, float]:
    """The standard deviation between seeds of one preset, pooled over presets: a smaller difference says nothing."""
    noise = {}
    for name in metrics:
        groups = [[row[name] for row in seeds if name in row] for seeds in rows.values()]
        squares = [((len(group) - 1) * stdev(group) ** 2, len(group) - 1) for group in groups if len(group) > 1]
        freedom = sum(count for _, count in squares)
        noise[name] = (sum(square for square, _ in squares) / freedom) ** 0.5 if freedom else float("nan")
    return noise

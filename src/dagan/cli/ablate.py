"""`dagan ablate`: the paper's Table 4, trained and measured again in one command."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, pick_device
from dagan.cli.evaluate import add_evaluator_arguments, evaluator_config, positive
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.evaluation.ablation import Cell, Examination
    from dagan.training.ablation import AblationConfig, Materials

FEW_SECONDS = 0.5  # between the starts of two processes, so that the first claims the first cell


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", metavar="DATA", nargs="?", type=Path, help="folder of clips, or of train/ and test/")
    parser.add_argument("-o", "--run", type=Path, help="run folder; what is unfinished there goes on")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--count", action="store_true", help="print each variant's parameters and multiply-adds, and end")
    what.add_argument("--report", metavar="PAGE", type=Path, help="write the page of what is in RUN, and end")
    train = parser.add_argument_group("training, the same for each variant")
    train.add_argument("--variants", help="comma-separated rows of Table 4 (default: all nine)")
    train.add_argument("--seeds", metavar="N", type=positive, default=1, help="runs of each variant (default: 1)")
    train.add_argument("--budget", help="of each run: a time (20m, 1.5h) or steps (400-steps, 5k-steps)")
    train.add_argument("--widths", choices=("lite", "paper"), default="lite")
    train.add_argument("--size", type=int, help="side of the images in pixels (default: lite 128, paper 256)")
    train.add_argument("--batch-size", type=positive, help="default: lite 8, paper 4")
    train.add_argument("--perceptual", type=Path, help="VGG-16 or VGG-19 safetensors for L_P")
    train.add_argument("--perceptual-side", type=int, help="largest side that VGG sees; 0: whole images")
    train.add_argument("--depth", type=Path, help="F_d of all, from `dagan train-depth` (default: the package's)")
    train.add_argument("--cache", type=Path, help="folder for decoded frames (default: RUN/cache)")
    train.add_argument("--validation", type=float, default=0.03, help="share of people held out to follow the runs")
    work = parser.add_argument_group("work")
    work.add_argument("--workers", metavar="N", type=positive, default=1, help="processes that share the runs")
    work.add_argument("--threads", type=positive, help="CPU threads of each process (default: cores / workers)")
    work.add_argument("--loaders", metavar="N", type=int, default=0, help="processes that load samples, of each run")
    add_device_argument(parser)
    test = parser.add_argument_group("measuring")
    test.add_argument("--test", type=Path, help="clips of other people (default: DATA/test)")
    test.add_argument("--pairs-per-clip", metavar="N", type=positive, default=4)
    test.add_argument("--limit", metavar="N", type=positive, help="only the first N test clips")
    add_evaluator_arguments(parser)


def run(args: argparse.Namespace) -> int:
    if args.count:
        return _count(args)
    if args.run is None:
        raise UserError("give the run folder with -o")
    if args.report is not None:
        return _report(args.run, args.report)
    _check(args)
    from dagan.evaluation.ablation import keep_settings
    from dagan.training.run_folder import prepare_folder

    prepare_folder(args.run)
    keep_settings(args.run, _settings(args))
    if args.workers == 1:
        left = _work(args)
    else:
        _materials(args)  # decodes the clips once, and finds mistakes, before there are several of us
        _work_in_processes(args)
        left = []
    if left:
        print(f"left to other processes: {', '.join(f'{cell.variant} seed {cell.seed}' for cell in left)}")
    return _report(args.run, args.run / "ablation.md")


def _check(args: argparse.Namespace) -> None:
    """Raises UserError for what is missing or cannot be, before anything is read."""
    from dagan.presets import TABLE_4

    if args.data is None:
        raise UserError("give DATA, a folder of face clips (or --report PAGE for what is in RUN already)")
    if args.perceptual is None:
        raise UserError("give --perceptual, a VGG-16 or VGG-19 in safetensors, for L_P")
    if not _test_clips(args).is_dir():
        raise UserError(f"no such folder of test clips: {_test_clips(args)}; give --test, clips of other people")
    unknown = [name for name in _variants(args) if name not in TABLE_4]
    if unknown:
        raise UserError(f"unknown variant {unknown[0]!r}; the rows of Table 4 are {', '.join(TABLE_4)}")
    size = _config(args).image_size
    if size < 64 or size % 32:
        raise UserError(f"--size {size}: the networks need a multiple of 32, and 64 or more")


def _variants(args: argparse.Namespace) -> list[str]:
    from dagan.presets import TABLE_4

    return args.variants.split(",") if args.variants else list(TABLE_4)


def _train_clips(args: argparse.Namespace) -> Path:
    data = Path(args.data)
    return data / "train" if (data / "train").is_dir() else data


def _test_clips(args: argparse.Namespace) -> Path:
    given: Path | None = args.test
    return given or Path(args.data) / "test"


def _config(args: argparse.Namespace) -> "AblationConfig":
    from dataclasses import replace

    from dagan.training.ablation import WIDTHS, parse_budget

    config = WIDTHS[args.widths]
    if args.budget:
        config = replace(config, budget=parse_budget(args.budget))
    if args.size:
        config = replace(config, image_size=args.size)
    if args.batch_size:
        config = replace(config, batch_size=args.batch_size)
    if args.perceptual_side is not None:
        config = replace(config, perceptual_side=args.perceptual_side or None)
    return config


def _examination(args: argparse.Namespace) -> "Examination":
    from dagan.evaluation.ablation import Examination

    return Examination(
        clips=str(_test_clips(args)),
        pairs_per_clip=args.pairs_per_clip,
        limit=args.limit,
        size=_config(args).image_size,
        evaluator=evaluator_config(args),
    )


def _settings(args: argparse.Namespace) -> dict[str, object]:
    """What must be the same in all processes, and when the ablation goes on."""
    from dagan.config import to_plain

    return {
        "training": to_plain(_config(args)),
        "sources": _sources(args),
        "examination": to_plain(_examination(args)),
        "validation": args.validation,
    }


def _sources(args: argparse.Namespace) -> dict[str, object]:
    from dagan.data.weight_files import sha256_of

    depth = sha256_of(args.depth) if args.depth else "of the bundled weights"
    return {"clips": str(_train_clips(args)), "depth": depth, "perceptual": args.perceptual.name}


def _materials(args: argparse.Namespace) -> "Materials":
    import torch

    import dagan
    from dagan.cli.train import hold_out
    from dagan.data.opening import open_clips
    from dagan.losses.perceptual import PerceptualLoss
    from dagan.models.weights import load_depth
    from dagan.nn.vgg import load_vgg
    from dagan.training.ablation import Materials

    torch.set_num_threads(args.threads or max(1, torch.get_num_threads() // args.workers))
    config, folder = _config(args), _train_clips(args)
    depth = load_depth(args.depth) if args.depth else dagan.load().depth
    assert depth is not None, "the bundled model has a depth network"
    perceptual = PerceptualLoss(load_vgg(args.perceptual), max_side=config.perceptual_side)
    opened = open_clips(folder, (args.cache or args.run / "cache") / folder.name, config.image_size, "cache")
    clips, validation = hold_out(opened, args.validation)
    return Materials(
        clips, validation, depth, perceptual, pick_device(args.device), _sources(args), num_workers=args.loaders
    )


def _work(args: argparse.Namespace) -> "list[Cell]":
    """This process's share; gives the cells that other processes have in hand."""
    from dagan.evaluation.ablation import all_cells, run_cells

    cells = all_cells(_variants(args), args.seeds)
    todo = [cell for cell in cells if not cell.is_done(args.run)]
    return run_cells(todo, args.run, _config(args), _materials(args), _examination(args)) if todo else []


def _work_in_processes(args: argparse.Namespace) -> None:
    """Raises RuntimeError when one of them failed; its message is on stderr."""
    import multiprocessing
    import time

    context = multiprocessing.get_context("spawn")  # forking a process that has run torch may hang it
    workers = [context.Process(target=_work_alone, args=(args,)) for _ in range(args.workers)]
    for worker in workers:
        worker.start()
        time.sleep(FEW_SECONDS)
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise UserError("a process of the ablation stopped, see above; the same command goes on")


def _work_alone(args: argparse.Namespace) -> None:
    import sys

    try:
        _work(args)
    except UserError as error:
        print(f"dagan: error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _count(args: argparse.Namespace) -> int:
    from dagan.evaluation.model_cost import cost_table
    from dagan.models.weights import load_depth
    from dagan.presets import LITE_TABLE_4, TABLE_4
    from dagan.training.ablation import variants

    rows = LITE_TABLE_4 if args.widths == "lite" else TABLE_4
    if args.depth:
        rows = variants(args.widths, load_depth(args.depth).config)
    print(cost_table(rows, args.size or 256), end="")
    return 0


def _report(run: Path, page: Path) -> int:
    from dagan.evaluation.ablation_page import write_page

    print(f"written: {', '.join(map(str, write_page(run, page)))}")
    return 0

"""`dagan evaluate CLIPS_DIR`: how well a model reenacts the people of a folder of clips, beside the unmoved source."""

import argparse
import os
from pathlib import Path

from dagan.errors import UserError

DEFAULT_PAIRS = 4  # per clip
BUNDLED = "bundled weights"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("clips", metavar="CLIPS_DIR", help="folder of face videos, or of folders of frames")
    parser.add_argument("--model", metavar="PATH", help="weights to measure (default: those of the package)")
    parser.add_argument(
        "--pairs-per-clip",
        metavar="N",
        type=_positive,
        default=DEFAULT_PAIRS,
        help=f"pairs of frames drawn from each clip (default: {DEFAULT_PAIRS})",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="which pairs are drawn (default: 0)")
    parser.add_argument("--limit", metavar="N", type=_positive, help="use only the first N clips")
    parser.add_argument("-o", "--out", metavar="OUT_DIR", help="write evaluation.json and evaluation.md there")


def run(args: argparse.Namespace) -> int:
    folder = _out_folder(args.out) if args.out else None
    import torch
    from tqdm import tqdm

    import dagan
    from dagan.evaluation.run import evaluate_self_reenactment

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = dagan.load(args.model, device)
    with tqdm(desc="evaluating", unit="clip", disable=None, leave=False) as bar:

        def progress(done: int, total: int, pairs: int) -> None:
            bar.total = total
            bar.set_postfix(pairs=pairs, refresh=False)
            bar.update(done - bar.n)

        report = evaluate_self_reenactment(
            model,
            args.clips,
            model_name=args.model or BUNDLED,
            pairs_per_clip=args.pairs_per_clip,
            seed=args.seed,
            limit=args.limit,
            device=device,
            progress=progress,
        )
    print(report.to_markdown(), end="")
    if folder is not None:
        _write(folder / "evaluation.json", report.to_json())
        _write(folder / "evaluation.md", report.to_markdown())
        print(f"\nwritten: {folder / 'evaluation.json'}, {folder / 'evaluation.md'}")
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is too small; expected 1 or more")
    return number


def _out_folder(out: str) -> Path:
    """The folder for results, made now: a mistake should not wait for the end of the evaluation."""
    folder = Path(out)
    if not folder.parent.is_dir():
        raise UserError(f"no such folder: {folder.parent}; make it first, or choose another -o")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file; -o takes a folder")
    folder.mkdir(exist_ok=True)
    return folder


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)

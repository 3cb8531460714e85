"""`dagan data pairs CLIPS_DIR -o LIST.csv`: draws a test list from a seed, with the hash of every frame."""

import argparse
from pathlib import Path

from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    pairs = tasks.add_parser("pairs", help="draw a list of test pairs", description="Draw a list of test pairs.")
    from dagan.cli.evaluate import DEFAULT_PAIRS, DEFAULT_SIZE, positive

    pairs.add_argument("clips", metavar="CLIPS_DIR", help="folder of face videos, or of folders of frames")
    pairs.add_argument("-o", "--out", metavar="LIST.csv", required=True, help="the list")
    pairs.add_argument("--protocol", choices=("self", "cross", "reconstruction"), default="self", help="default: self")
    pairs.add_argument(
        "--pairs-per-clip", metavar="N", type=positive, default=DEFAULT_PAIRS, help=f"default: {DEFAULT_PAIRS}"
    )
    pairs.add_argument("--every", metavar="N", type=positive, default=1, help="of whole videos only each Nth frame")
    pairs.add_argument("--seed", metavar="N", type=int, default=0, help="default: 0")
    pairs.add_argument("--limit", metavar="N", type=positive, help="use only the first N clips")
    pairs.add_argument(
        "--export", metavar="DIR", help="also write DIR/source and DIR/driving as PNG, for systems that read folders"
    )
    pairs.add_argument("--size", metavar="N", type=positive, default=DEFAULT_SIZE, help="of exported frames (256)")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dagan.data.pair_lists import write_pair_list
    from dagan.data.triples import export_pairs
    from dagan.evaluation.plans import PairChoice, choose_jobs

    out = Path(args.out)
    if not out.parent.is_dir():
        raise UserError(f"no such folder: {out.parent}; make it first, or choose another -o")
    jobs, _, _ = choose_jobs(
        PairChoice(
            root=args.clips,
            protocol=args.protocol,
            pairs_per_clip=args.pairs_per_clip,
            seed=args.seed,
            every=args.every,
            limit=args.limit,
        )
    )
    pairs, skipped = [], []
    for job in tqdm(jobs, desc="drawing", unit="clip", disable=None, leave=False):
        try:
            pairs += job.pairs()
        except UserError as error:
            skipped.append(f"{job.name} ({error})")
    if not pairs:
        raise UserError(f"no pairs in {args.clips}: {skipped[0]}, and {len(skipped)} in all")
    write_pair_list(out, Path(args.clips), pairs)
    print(f"{out}: {len(pairs)} pairs" + (f"; skipped {len(skipped)} clips: {'; '.join(skipped)}" if skipped else ""))
    if args.export:
        print(f"{args.export}: {export_pairs(pairs, Path(args.export), args.size)} pairs of pictures")
    return 0

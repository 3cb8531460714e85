"""`dagan data TASK`: `pairs` draws a list of test pairs, `pack` makes WebDataset shards."""

import argparse
import os
from pathlib import Path

from dagan.cli.sizes import pixels
from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    for name, add, summary in (
        ("pairs", _add_pairs, "draw a list of test pairs"),
        ("pack", _add_pack, "pack clips into WebDataset shards; run it again to go on after an interruption"),
    ):
        add(tasks.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.", allow_abbrev=False))


def run(args: argparse.Namespace) -> int:
    return {"pairs": _pairs, "pack": _pack}[args.task](args)


def _add_pairs(pairs: argparse.ArgumentParser) -> None:
    from dagan.cli.evaluate import DEFAULT_PAIRS, DEFAULT_SIZE, positive

    pairs.add_argument("clips", metavar="CLIPS_DIR", help="folder of face videos, or of folders of frames")
    pairs.add_argument("-o", "--out", metavar="LIST.csv", required=True, help="list to write")
    pairs.add_argument("--protocol", choices=("self", "cross", "reconstruction"), default="self", help="default: self")
    pairs.add_argument(
        "--pairs-per-clip", metavar="N", type=positive, default=DEFAULT_PAIRS, help=f"default: {DEFAULT_PAIRS}"
    )
    pairs.add_argument("--every", metavar="N", type=positive, default=1, help="use every Nth frame of whole videos (1)")
    pairs.add_argument("--seed", metavar="N", type=int, default=0, help="default: 0")
    pairs.add_argument("--limit", metavar="N", type=positive, help="use only the first N clips")
    pairs.add_argument(
        "--export", metavar="DIR", help="also write the pairs as PNG files to DIR/source and DIR/driving"
    )
    pairs.add_argument(
        "--size", metavar="N", type=pixels, default=DEFAULT_SIZE, help="side of exported pictures in pixels (256)"
    )


def _pairs(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dagan.data.pair_lists import write_pair_list
    from dagan.data.triples import export_pairs
    from dagan.evaluation.pairs import Selection, select_pairs

    out = Path(args.out)
    _check_places(out, args.clips, args.export)
    jobs, _, _ = select_pairs(
        Selection(
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


def _check_places(out: Path, clips: str, export: str | None) -> None:
    """The list and the exported pictures can be written, and replace no clip."""
    from dagan.data.clips import find_clips, frame_files
    from dagan.data.triples import DRIVING, SOURCE
    from dagan.files import check_output, check_place

    check_place(out)
    folders = [clip.path for clip in find_clips(clips) if clip.path.is_dir()]
    if export is not None:
        for side in (SOURCE, DRIVING):
            check_output(Path(export) / side, [Path(clips), *folders])
    if out.exists():
        videos = (clip.path for clip in find_clips(clips) if not clip.path.is_dir())
        check_output(out, (*videos, *(frame for folder in folders for frame in frame_files(folder))))


def _add_pack(pack: argparse.ArgumentParser) -> None:
    from dagan.cli.evaluate import positive

    pack.add_argument("clips", metavar="CLIPS_DIR", type=Path, help="folder of face videos, or of folders of frames")
    pack.add_argument("-o", "--out", metavar="DIR", type=Path, required=True, help="folder to write the shards to")
    pack.add_argument(
        "--store",
        choices=("original", "h264", "jpeg"),
        default="original",
        help="original: the clips' own bytes (default); h264: videos with many keyframes; jpeg: one picture per frame",
    )
    pack.add_argument(
        "--size", metavar="N", type=pixels, default=256, help="side of h264 and jpeg frames in pixels (256)"
    )
    pack.add_argument("--key-every", metavar="N", type=positive, default=8, help="frames between h264 keyframes (8)")
    pack.add_argument("--shard-mb", metavar="N", type=positive, default=256, help="size of a shard in MB (256)")
    pack.add_argument(
        "--jobs", metavar="N", type=positive, default=os.cpu_count() or 1, help="number of processes (all cores)"
    )


def _pack(args: argparse.Namespace) -> int:
    from dagan.data.clips import shortened
    from dagan.data.packing import pack
    from dagan.data.storing import PackConfig
    from dagan.files import check_folder, check_output

    check_output(args.out, [args.clips])
    check_folder(args.out)
    if args.size % 2:
        raise UserError(f"--size {args.size}: videos need an even number")
    config = PackConfig(store=args.store, size=args.size, key_every=args.key_every, shard_bytes=args.shard_mb * 2**20)
    done = pack(args.clips, args.out, config, args.jobs)
    frames, people = sum(clip.num_frames for clip in done.clips), len({clip.identity for clip in done.clips})
    print(
        f"{args.out}: {done.num_shards} shards, {len(done.clips)} clips of {people} people, {frames} frames, "
        f"{done.num_bytes / 1e6:.1f} MB"
    )
    if done.damaged:
        print(f"{len(done.damaged)} clips are damaged; what decodes is packed: {shortened(done.damaged)}")
    if done.skipped:
        print(f"skipped {len(done.skipped)} clips ({args.out / 'skipped.txt'}): {shortened(done.skipped)}")
    return 0

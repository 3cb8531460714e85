"""`dagan prepare RAW... -o CLIPS`: clips to train on from raw videos."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.progress import Progress
from dagan.cli.workers import add_worker_arguments, pick_workers
from dagan.errors import UserError

if TYPE_CHECKING:
    from dagan.preparation.rows import Row
    from dagan.preparation.settings import Settings
    from dagan.preparation.units import Unit

FLOORS = {  # option: what it says; its default is the field's of `Settings`
    "min_seconds": "shortest clip",
    "max_seconds": "longest clip; a longer stretch becomes several",
    "min_face": "smallest face in the raw video, in pixels (root of its box's area)",
    "min_confidence": "least score of the face detector, 0 to 1",
    "min_sharpness": "least variance of the Laplacian over the variance of the face's brightness",
    "min_motion": "least change within the face over the clip, in percent of its contrast: below are photos",
    "max_shake": "greatest trembling of the picture from frame to frame, in percent of the face's size",
    "max_outside": "greatest share of the crop beyond the frame",
    "max_crowd": "greatest share of frames with another face in the crop",
    "max_caption": "greatest share of the crop's rows with text",
    "min_found": "least share of frames with landmarks",
    "min_likeness": "least likeness of the face to itself over the clip, -1 to 1",
    "min_sync": "least agreement of mouth and sound; -1 keeps all",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("raw", type=Path, nargs="+", metavar="RAW", help="raw videos, or folders of them at any depth")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="CLIPS", help="folder for the clips; a run there goes on"
    )
    parser.add_argument("--size", type=int, choices=(256, 512), default=256, help="side of the clips in pixels (256)")
    parser.add_argument(
        "--store", choices=("videos", "shards"), default="videos", help="mp4 files (default) or WebDataset shards"
    )
    parser.add_argument("--shard-mb", metavar="N", type=int, default=256, help="size of a shard in MB (256)")
    parser.add_argument("--licence", default="", metavar="TEXT", help="licence of the raw videos, for the manifest")
    _add_people(parser)
    _add_lists(parser)
    _add_floors(parser)
    add_worker_arguments(parser)


def _add_people(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("people")
    group.add_argument(
        "--people",
        choices=("faces", "files"),
        default="faces",
        help="faces: one person is who looks alike (SFace, default); files: each raw file shows one person",
    )
    group.add_argument("--identity-weights", metavar="PATH", help="SFace's ONNX file, or its folder")
    group.add_argument("--validation", type=_share, default=0.05, metavar="SHARE", help="of the people (0.05)")
    group.add_argument("--test", type=_share, default=0.0, metavar="SHARE", help="of the people (0)")
    group.add_argument(
        "--exclude",
        type=Path,
        metavar="LIST",
        help="text file of people to leave out, one a line: a person, clip or raw file of the manifest, or a photo; "
        "also takes them out of clips that are there",
    )


def _add_lists(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("lists of data sets")
    group.add_argument(
        "--list",
        dest="lists",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="what to take from the raw videos: VoxCeleb (folder of txt files, or csv), CelebV-HQ (json), "
        "TalkingHead-1KH (txt), HDTF (annotion_time.txt); may be repeated",
    )
    group.add_argument(
        "--protocol",
        choices=("voxceleb1",),
        help="voxceleb1: the list's boxes at 256x256 and its splits, nothing is dropped; writes test pairs with hashes",
    )


def _add_floors(parser: argparse.ArgumentParser) -> None:
    from dagan.preparation.settings import Settings

    group = parser.add_argument_group("what a clip must have")
    for name, said in FLOORS.items():
        default = getattr(Settings, name)
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            metavar="N",
            help=f"{said} ({default:g})",
        )


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text} is no share; expected 0 or more, below 1")
    return value


def run(args: argparse.Namespace) -> int:
    if args.shard_mb < 1 or args.validation + args.test >= 1:
        raise UserError("--shard-mb is 1 or more, and --validation and --test are less than 1 together")
    from dagan.files import check_folder, check_given, check_output
    from dagan.preparation.assembly import Choice, assemble
    from dagan.preparation.job import alone_in, archives, check_settings, do_units, identity_file
    from dagan.workers import Here

    workers, settings, units = pick_workers(args) or Here(), _settings(args), _units(args)
    check_output(args.out, args.raw)
    check_folder(args.out)
    if args.exclude is not None:
        check_given(args.exclude, "list")
    weights = identity_file(settings, args.identity_weights)
    with alone_in(args.out):
        check_settings(args.out, settings)
        with Progress("preparing", len(units), "video") as shown:
            done = do_units(units, args.out, settings, workers, weights, shown.update)
        made = archives(args.out, units)
        if args.exclude is not None:
            print(_exclude(args.exclude, made, settings, weights))
        choice = Choice(args.validation, args.test, args.shard_mb * 2**20 if args.store == "shards" else 0)
        rows = assemble(args.out, made, choice)
        if args.protocol is not None:
            _write_test_list(args.out)
    print(_summary(args.out, rows, done.were_there))
    return 0


def _settings(args: argparse.Namespace) -> "Settings":
    from dagan.preparation.settings import Settings

    floors = {name: getattr(args, name) for name in FLOORS}
    for name, value in floors.items():
        if not math.isfinite(value):
            raise UserError(f"--{name.replace('_', '-')} is {value}; expected a finite number")
    if args.min_seconds <= 0 or args.max_seconds < args.min_seconds:
        raise UserError(
            f"--min-seconds {args.min_seconds:g}, --max-seconds {args.max_seconds:g}: expected 0 < min <= max"
        )
    if args.protocol is not None and not args.lists:
        raise UserError("--protocol takes boxes and splits from a list; add --list")
    return Settings(size=args.size, people=args.people, protocol=args.protocol or "", licence=args.licence, **floors)


def _units(args: argparse.Namespace) -> "list[Unit]":
    from dagan.data.clips import shortened
    from dagan.preparation.lists import read_list, with_lists
    from dagan.preparation.units import find_units

    units = find_units(args.raw)
    if not args.lists:
        return units
    entries = [entry for path in args.lists for entry in read_list(path)]
    units, missing = with_lists(units, entries, exact=args.protocol is not None)
    if missing:
        print(f"{len(missing)} listed videos are not there: {shortened(missing)}")
    return units


def _exclude(path: Path, archives: list[Path], settings: "Settings", weights: Path | None) -> str:
    from dagan.preparation.exclusions import exclude, read_exclusions
    from dagan.preparation.work import Preparing

    with Preparing(path.parent, settings, weights).open() as preparer:
        exclusions = read_exclusions(path, preparer.observers.identity)
    return f"{path}: {exclude(archives, exclusions)} clips taken out"


def _write_test_list(out: Path) -> None:
    """Pairs of the test split, by seed and with the frames' hashes, so that others measure the same."""
    from dagan.data.pair_lists import write_pair_list
    from dagan.evaluation.pairs import Selection, select_pairs

    if not (out / "test").is_dir():
        return
    jobs, _, _ = select_pairs(Selection(root=str(out / "test"), protocol="self"))
    write_pair_list(out / "test_pairs.csv", out / "test", [pair for job in jobs for pair in job.pairs()])


def _summary(out: Path, rows: "list[Row]", were_there: int) -> str:
    from collections import Counter

    kept = [row for row in rows if not row.reason]
    if not kept and {row.reason for row in rows} <= {"no_face", "unreadable"}:
        raise UserError(f"no face in any of the raw videos; {out / 'index.html'} shows what is there")
    reasons = ", ".join(
        f"{name} {count}" for name, count in Counter(row.reason for row in rows if row.reason).most_common()
    )
    minutes = sum(row.seconds for row in kept) / 60
    lines = [
        f"{out}: {len(kept)} clips of {len({row.person for row in kept})} people, {minutes:.1f} minutes"
        + (f"; {were_there} raw videos were done before" if were_there else ""),
        f"dropped {len(rows) - len(kept)}: {reasons}" if reasons else "nothing was dropped",
        f"look at {out / 'index.html'}",
    ]
    return "\n".join(lines)

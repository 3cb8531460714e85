"""`dagan stills PHOTOS -o CLIPS`: clips to train on from photos, each seen from a moving camera."""

import argparse
import sys
from pathlib import Path

from dagan.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="folder of photos, cropped to the face")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="CLIPS",
        help="folder for one clip a photo, still-NAME__c00.mp4; those there are kept",
    )
    parser.add_argument(
        "--depth", type=Path, help="depth network, or a model that has one (default: of the bundled model)"
    )


def run(args: argparse.Namespace) -> int:
    from dagan.data.pictures import IMAGE_SUFFIXES

    if not args.photos.is_dir():
        raise UserError(f"no such folder of photos: {args.photos}")
    photos = sorted(path for path in args.photos.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not photos:
        raise UserError(f"no photos in {args.photos}: expected files ending in {' '.join(sorted(IMAGE_SUFFIXES))}")
    from tqdm import tqdm

    from dagan.depth.estimate import load_face_depth
    from dagan.depth.still_clips import write_still_clip
    from dagan.files import check_folder, check_output

    check_output(args.out, [args.photos])
    check_folder(args.out)
    network = load_face_depth(args.depth)
    args.out.mkdir(parents=True, exist_ok=True)
    for photo in tqdm(photos, unit="photo", disable=not sys.stderr.isatty()):
        target = args.out / f"still-{photo.stem}__c00.mp4"
        if not target.is_file():
            write_still_clip(photo, network, target)
    print(f"wrote {len(photos)} clips in {args.out}")
    return 0

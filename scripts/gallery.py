"""The pictures of docs/gallery.md: people driven by other people, as a strip and a short MP4 each.

python scripts/gallery.py docs/gallery NAME=PHOTO:CLIP.mp4[:FIRST] [...]        (FIRST: the driver's first frame)

A strip shows the photo, and below each of some driver's frames what comes out; a video shows photo | driver | result.
Motion is measured from the driver's frame closest to the photo, as in `dagan animate`; photos and clips are face crops.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

import dagan
from dagan.data.clips import fit_square
from dagan.data.decoding import read_frames
from dagan.data.pictures import read_image
from dagan.inference.video import VideoWriter

SIDE = 256
STRIP_SIDE, CLIP_SIDE = 128, 192  # pixels of a tile
SHOWN, FRAMES, RATE, CONSTANT_RATE_FACTOR = 6, 90, 25, 26  # of a strip; of a clip: frames, frames/s, x264's quality


class Entry(NamedTuple):
    """What a row of the gallery is made of."""

    name: str
    photo: Path
    clip: Path
    first: int


def entry(text: str) -> Entry:
    name, _, rest = text.partition("=")
    photo, clip, *first = rest.split(":")
    return Entry(name, Path(photo), Path(clip), int(first[0]) if first else 0)


def results(animator: dagan.Animator, chosen: Entry) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each frame of the driver with its result."""
    animator.set_source(fit_square(read_image(chosen.photo), SIDE))
    frames = islice(read_frames(chosen.clip), chosen.first, chosen.first + FRAMES)
    drivers = [fit_square(frame, SIDE) for frame in frames]
    return zip(drivers, animator.from_motion(animator.watch(drivers, Fraction(RATE))), strict=True)


def row(images: list[np.ndarray], side: int) -> np.ndarray:
    return np.hstack(
        [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS)) for image in images]
    )


def draw(folder: Path, chosen: Entry, animator: dagan.Animator) -> None:
    made = list(results(animator, chosen))
    photo = fit_square(read_image(chosen.photo), SIDE)
    some = [made[int(place)] for place in np.linspace(len(made) / SHOWN, len(made) - 1, SHOWN)]
    top = row([np.full_like(photo, 255), *(driver for driver, _ in some)], STRIP_SIDE)
    bottom = row([photo, *(result for _, result in some)], STRIP_SIDE)
    Image.fromarray(np.vstack([top, bottom])).save(folder / f"{chosen.name}.jpg", quality=88)
    clip = folder / f"{chosen.name}.mp4"
    with VideoWriter(clip, Fraction(RATE), (3 * CLIP_SIDE, CLIP_SIDE), quality=CONSTANT_RATE_FACTOR) as video:
        for driver, result in made:
            video.write(row([photo, driver, result], CLIP_SIDE))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("entries", type=entry, nargs="+", metavar="NAME=PHOTO:CLIP[:FIRST]")
    parser.add_argument("--model", help="weights (default: those of the package)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    animator = dagan.Animator(dagan.load(args.model))
    for chosen in args.entries:
        draw(args.folder, chosen, animator)
        sizes = [args.folder / f"{chosen.name}{suffix}" for suffix in (".jpg", ".mp4")]
        print(", ".join(f"{path}: {path.stat().st_size // 1000} kB" for path in sizes))


if __name__ == "__main__":
    main()

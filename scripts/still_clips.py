"""Clips from photos, for people of whom there is only one picture: `scripts/still_clips.py STILLS_DIR -o CLIPS_DIR`.

F_d makes a surface of each photo, and the camera goes round it, nearer and aside, to places that the photo's name
chooses; the first frame is the photo itself. Expressions stay: this teaches identities and poses, not mouths. A photo
becomes `still-<photo>__c00.mp4`; finished ones are skipped.
"""

import argparse
import math
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from tqdm import tqdm

from dagan.data.clips import fit_square
from dagan.data.decoding import IMAGE_SUFFIXES, read_image
from dagan.depth.estimate import DepthPicture, estimate_depth, load_face_depth
from dagan.depth.parallax import build_scene, render
from dagan.geometry.registration import affine_flow
from dagan.geometry.warp import warp
from dagan.inference.video import VideoWriter

SIDE, NUM_FRAMES = 256, 8
TURN = (9.0, 14.0, 6.0)  # degrees at most: nod, shake, tilt
ZOOM, SHIFT = 0.12, 0.12  # at most: of the size, and in [-1, 1]
CONSTANT_RATE_FACTOR = 12  # near to lossless


def moved(picture: DepthPicture, numbers: torch.Generator) -> Iterator[Float[Tensor, "1 3 s s"]]:
    """The photo, then its surface from elsewhere."""
    yield picture.image
    scene = build_scene(*picture.surface, swing=max(TURN))
    for _ in range(NUM_FRAMES - 1):
        draw = 2 * torch.rand(6, generator=numbers) - 1
        seen = render(scene, draw[None, :3] * torch.tensor(TURN) * (math.pi / 180))
        zoom = 1 + float(draw[3]) * ZOOM
        window = torch.tensor([[[zoom, 0.0, float(draw[4]) * SHIFT], [0.0, zoom, float(draw[5]) * SHIFT]]])
        yield warp(seen, affine_flow(window, SIDE, SIDE))


def to_pixels(image: Float[Tensor, "1 3 s s"]) -> UInt8[np.ndarray, "s s 3"]:
    return (image[0].clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stills", type=Path, help="folder of face crops")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the clips, made if missing")
    parser.add_argument("--depth", help="F_d, or a model that has one (default: of the package)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    network = load_face_depth(args.depth)
    for path in tqdm(sorted(p for p in args.stills.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES), unit="photo"):
        target = args.out / f"still-{path.stem}__c00.mp4"
        if target.exists():
            continue
        picture = estimate_depth(fit_square(read_image(path), SIDE), network, crop="none", size=SIDE)
        numbers = torch.Generator().manual_seed(zlib.crc32(path.stem.encode()))
        with VideoWriter(target, Fraction(25), (SIDE, SIDE), quality=CONSTANT_RATE_FACTOR) as video:
            for frame in moved(picture, numbers):
                video.write(to_pixels(frame))


if __name__ == "__main__":
    main()

"""A contact sheet of self-reenactment: source | driving | depth | flow | occlusion | generated, one row a clip.

python scripts/contact_sheet.py docs/demo/sheet.jpg CLIP.mp4:FIRST:SECOND [...]   (frame numbers of source and driving)
"""

import argparse
from itertools import islice
from pathlib import Path

import numpy as np
import torch

import dagan
from dagan.data.clips import fit_square
from dagan.data.decoding import read_frames
from dagan.training.panels import colour_map, draw_flow, write_sheet
from dagan.training.validation import to_images


def frame_at(path: Path, index: int, size: int) -> np.ndarray:
    return fit_square(next(islice(read_frames(path), index, None)), size)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("pairs", nargs="+", metavar="CLIP:FIRST:SECOND")
    parser.add_argument("--model", help="weights (default: those of the package)")
    parser.add_argument("--side", type=int, default=160, help="pixels of a tile")
    args = parser.parse_args()
    model = dagan.load(args.model)
    chosen = [pair.rsplit(":", 2) for pair in args.pairs]
    source, driving = (
        to_images(np.stack([frame_at(Path(pair[0]), int(pair[at]), 256) for pair in chosen]), torch.device("cpu"))
        for at in (1, 2)
    )
    view = model.view(source)
    rendering = model(source, driving)
    depth = source if view.depth is None else colour_map(view.depth)
    columns = {
        "source": source,
        "driving": driving,
        "depth": depth,
        "flow": draw_flow(rendering.flow),
        "occlusion": rendering.occlusion.expand(-1, 3, -1, -1),
        "generated": rendering.generated,
    }
    write_sheet(args.output, columns, args.side)
    print(f"{args.output}: {len(chosen)} rows, {args.output.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()

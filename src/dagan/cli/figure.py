"""`dagan figure KIND`: the paper's figures, from any model file."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.device import add_device_argument, pick_device
from dagan.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from jaxtyping import UInt8
    from torch import Tensor

    from dagan.evaluation.figures import Pair
    from dagan.images import Tile
    from dagan.models.family import Family

SIZE = 256
SHOT = "PATH[:FRAME]"
SHOT_HELP = "photos, or frames of videos (clip.mp4:30 is frame 30; default: frame 0)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
    _one_image(kinds.add_parser("depth", help="image and depth map (Fig. 1b)", allow_abbrev=False))
    _one_image(kinds.add_parser("cloud", help="image, depth map and point cloud (Fig. 9)", allow_abbrev=False))
    attention = kinds.add_parser(
        "attention", help="attention of query positions (Figs. 1c, 10, 12)", allow_abbrev=False
    )
    _pairs(attention)
    attention.add_argument(
        "--query",
        action="append",
        metavar="X,Y",
        help=f"position in pixels of the {SIZE} x {SIZE} image; can be repeated (default: mouth, an eye, nose)",
    )
    _pairs(kinds.add_parser("layers", help="what a picture is made of: matte, plate, flow", allow_abbrev=False))
    grid = kinds.add_parser(
        "grid", help="source, driving and generated images, depth maps, keypoints (Figs. 13, 14)", allow_abbrev=False
    )
    _pairs(grid)
    grid.add_argument(
        "--motion",
        choices=("absolute", "registered"),
        default="absolute",
        help="absolute: the driving image's keypoints as they are (default); registered: two frames of one video, also "
        "background and torso move as between them",
    )


def _one_image(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", metavar=SHOT, nargs="+", help=SHOT_HELP)
    parser.add_argument("--model", metavar="FILE", help="model or depth network (default: the package's weights)")
    _common(parser)


def _pairs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", metavar="SOURCE DRIVING", nargs="+", help=f"pairs of {SHOT_HELP}")
    parser.add_argument(
        "--model",
        action="append",
        metavar="[NAME=]FILE",
        help="model; can be repeated, to compare models (default: the package's weights)",
    )
    _common(parser)


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE", help="the figure, .png or .jpg")
    parser.add_argument(
        "--crop",
        choices=("none", "auto"),
        default="none",
        help="square around the face (auto), or central square (none, default)",
    )
    parser.add_argument("--side", type=int, default=192, help="pixels of each picture (default: 192)")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    from dagan.files import check_output
    from dagan.images import check_target, compose, save_page

    check_target(args.out)
    check_output(args.out, [*(_split(text)[0] for text in args.images), *_model_files(args.model)])
    if not 32 <= args.side <= 2048:
        raise UserError(f"--side {args.side}: expected 32 to 2048 pixels")
    kinds = {"depth": _depth, "cloud": _depth, "attention": _attention, "grid": _grid, "layers": _layers}
    rows, titles, names = kinds[args.kind](args)
    save_page(compose(rows, titles, names, args.side), args.out)
    print(f"written: {args.out} ({len(rows)} rows)")
    return 0


Page = tuple[list[list["Tile"]], list[str], list[str]]


def _depth(args: argparse.Namespace) -> Page:
    from dagan.evaluation.figures import cloud_row, depth_row

    depth = _depth_network(args.model, pick_device(args.device))
    images = [_shot(text, args) for text in args.images]
    if args.kind == "depth":
        return [depth_row(depth, image) for image in images], ["image", "depth map"], []
    return [cloud_row(depth, image) for image in images], ["image", "depth map", "3D point cloud", "turned"], []


def _attention(args: argparse.Namespace) -> Page:
    from dagan.evaluation.figures import FACE_QUERIES, attention_row

    queries = [_query(text) for text in args.query] if args.query else list(FACE_QUERIES)
    models, pairs = _models(args), _image_pairs(args)
    rows = [attention_row(model, pair, queries, args.side) for pair in pairs for model in models.values()]
    titles = ["source image", "driving image", "generated", *(f"attention map {i + 1}" for i in range(len(queries)))]
    return rows, titles, list(models) * len(pairs) if len(models) > 1 else []


def _grid(args: argparse.Namespace) -> Page:
    from dagan.evaluation.figures import comparison_row

    models, pairs = _models(args), _image_pairs(args)
    depth = next((model.depth for model in reversed(models.values()) if model.depth is not None), None)
    rows = [comparison_row(models, pair, depth, args.side, args.motion) for pair in pairs]
    shown = [f"{name} {kind}" for name in ("source", "driving") for kind in ("image", "depth")]
    return rows, [title for title in shown if depth is not None or "depth" not in title] + list(models), []


def _layers(args: argparse.Namespace) -> Page:
    from dagan.evaluation.figures import LAYER_TITLES, layers_row

    models, pairs = _models(args), _image_pairs(args)
    rows = [layers_row(model, pair) for pair in pairs for model in models.values()]
    return rows, list(LAYER_TITLES), list(models) * len(pairs) if len(models) > 1 else []


def _query(text: str) -> tuple[float, float]:
    found = re.fullmatch(r"\s*([\d.]+)\s*,\s*([\d.]+)\s*", text)
    try:
        x, y = (float(found[1]), float(found[2])) if found else (-1.0, -1.0)
    except ValueError:
        x = y = -1.0
    if not (0 <= x < SIZE and 0 <= y < SIZE):
        raise UserError(f"--query {text}: expected X,Y in pixels from 0 to {SIZE - 1}, such as 128,170")
    return 2 * x / SIZE - 1, 2 * y / SIZE - 1


def _model_files(given: str | list[str] | None) -> list[Path]:
    """The files of --model: one, or NAME=FILE several times."""
    texts = [given] if isinstance(given, str) else given or []
    return [Path(part) for text in texts for part in (text, text.partition("=")[2]) if part]


def _models(args: argparse.Namespace) -> "dict[str, Family]":
    import dagan

    device = pick_device(args.device)
    if not args.model:
        return {"DaGAN (ours)": dagan.load(device=device)}
    models = {}
    for given in args.model:
        name, equals, path = given.partition("=")
        path = path if equals else given
        models[name if equals else Path(path).stem] = dagan.load(path, device)
    return models


def _depth_network(path: str | None, device: "torch.device") -> "torch.nn.Module":
    import dagan
    from dagan.models.depth import FaceDepthConfig
    from dagan.models.weights import FORMATS, load_depth, read_metadata

    if path is not None and read_metadata(Path(path)).get("format") == FORMATS[FaceDepthConfig]:
        return load_depth(path).to(device)
    depth = dagan.load(path, device).depth
    if depth is None:
        raise UserError(
            f"{path} is a model without a depth network; give one with FDN or CAM, or a file of train-depth"
        )
    return depth


def _image_pairs(args: argparse.Namespace) -> "list[Pair]":
    from dagan.evaluation.figures import Pair

    if len(args.images) % 2:
        raise UserError(f"{len(args.images)} images: give pairs, SOURCE DRIVING SOURCE DRIVING ...")
    shots = [_shot(text, args) for text in args.images]
    return [Pair(*shots[place : place + 2]) for place in range(0, len(shots), 2)]


def _shot(text: str, args: argparse.Namespace) -> "Tensor":
    """One picture, `1 3 256 256`."""
    from dagan.data.decoding import is_video
    from dagan.data.pictures import read_image
    from dagan.images import apply_crop
    from dagan.inference.crop import frame_photo
    from dagan.inference.quarter_turn import turn

    path, number = _split(text)
    frame = _frame(path, number) if is_video(path) else read_image(path)
    photo = frame_photo(frame, args.crop, name=str(path))
    return apply_crop(turn(frame, photo.quarter), photo.crop, SIZE)[None].to(pick_device(args.device))


def _split(text: str) -> tuple[Path, int]:
    """`clip.mp4:30` as path and frame; a colon in a path that exists is part of it."""
    path, colon, number = text.rpartition(":")
    if colon and number.isdigit() and not Path(text).exists():
        return Path(path), int(number)
    return Path(text), 0


def _frame(path: Path, number: int) -> "UInt8[np.ndarray, 'h w 3']":
    from itertools import islice

    from dagan.data.decoding import read_frames

    frame = next(islice(read_frames(path), number, None), None)
    if frame is None:
        raise UserError(f"{path} has no frame {number}; frames count from 0")
    return frame

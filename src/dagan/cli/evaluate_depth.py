"""`dagan evaluate-depth [F_D]`: how good a depth network is, on drawn heads with known depth and on real clips."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.cli.evaluate import positive
from dagan.cli.sizes import pixels
from dagan.errors import UserError

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray

    from dagan.evaluation.depth_clips import ClipsReport
    from dagan.models.depth import FaceDepthNet

CLIP_FRAMES = 40  # as `dagan train-depth --synthetic` has them
MEAN_HEADS = 40  # training heads whose mean is the baseline
SIDE = 256  # pixels of real frames
JSON_NAME, TEXT_NAME = "evaluation_depth.json", "evaluation_depth.md"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "depth",
        type=Path,
        nargs="?",
        metavar="F_D",
        help="depth network of `dagan train-depth`, or a whole model (default: the package's weights)",
    )
    parser.add_argument("--pose", type=Path, metavar="FILE", help="F_p (default: pose.safetensors beside F_D, if any)")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help=f"write {JSON_NAME} and {TEXT_NAME} there")
    heads = parser.add_argument_group("drawn heads")
    heads.add_argument("--heads", type=positive, default=20, metavar="N", help="held-out heads (default: 20)")
    heads.add_argument("--size", type=pixels, default=128, metavar="N", help="pixels of a frame (default: 128)")
    heads.add_argument(
        "--cache", type=Path, metavar="DIR", help="keep the drawn heads there (default: OUT/cache, or dagan's cache)"
    )
    clips = parser.add_argument_group("real clips")
    clips.add_argument("--clips", type=Path, metavar="DIR", help="also measure on the clips of this folder")
    parser.add_argument("--frames", type=positive, default=2, metavar="N", help="frames a head or clip (default: 2)")


def run(args: argparse.Namespace) -> int:
    import json

    from tqdm import tqdm

    from dagan.data.synthetic.store import HELD_OUT_FROM, synthetic_clips
    from dagan.data.weight_files import working_folder
    from dagan.evaluation.depth_heads import evaluate_heads, heads_table, mean_head_of
    from dagan.evaluation.records import plain
    from dagan.files import check_folder, write_text
    from dagan.models.weights import load_pose

    network = open_depth(args.depth)
    pose_file = args.pose or _pose_beside(args.depth)
    pose = load_pose(pose_file) if pose_file else None
    if args.out is not None:
        check_folder(args.out)
        args.out.mkdir(parents=True, exist_ok=True)
    cache = args.cache or (args.out / "cache" if args.out is not None else working_folder("heads"))
    held_out = synthetic_clips(range(HELD_OUT_FROM, HELD_OUT_FROM + args.heads), cache, CLIP_FRAMES, args.size)
    mean = mean_head_of(synthetic_clips(range(MEAN_HEADS), cache, 1, args.size))  # it needs first frames only

    progress = tqdm(held_out, desc="drawn heads", unit="head", disable=None)
    heads = evaluate_heads(network, pose, progress, mean, args.frames)
    text = f"{heads.num_frames} frames of {heads.num_clips} drawn heads that were held out:\n\n{heads_table(heads)}"
    facts: dict[str, object] = {
        "depth": str(args.depth or "bundled weights"),
        "pose": str(pose_file or "none"),
        "heads": heads,
    }
    if args.clips is not None:
        real = on_clips(network, mean, args, cache)
        text += f"\n\n{_clips_text(real)}"
        facts["clips"] = real
    print(text)
    if args.out is not None:
        write_text(args.out / TEXT_NAME, text + "\n")
        write_text(args.out / JSON_NAME, json.dumps(plain(facts), indent=2) + "\n")
    return 0


def open_depth(path: Path | None) -> "FaceDepthNet":
    """F_d alone, or that of a whole model; None for the package's weights."""
    import dagan
    from dagan.models.weights import load_depth, read_metadata

    if path is not None and not read_metadata(path).get("format", "").startswith("dagan-model"):
        return load_depth(path)
    depth = dagan.load(path).depth
    if depth is None:
        raise UserError(f"the model in {path} has no depth network; give one with FDN or CAM, or a file of train-depth")
    return depth


def _pose_beside(depth: Path | None) -> Path | None:
    beside = depth.with_name("pose.safetensors") if depth is not None else None
    return beside if beside is not None and beside.is_file() else None


def on_clips(
    network: "FaceDepthNet", mean: "Float[ndarray, 's s']", args: argparse.Namespace, cache: Path
) -> "ClipsReport":
    """Real clips, measured with the default face observer."""
    from tqdm import tqdm

    from dagan.data.opening import open_clips
    from dagan.evaluation.depth_clips import evaluate_clips, methods
    from dagan.observers.mediapipe_face import MediaPipeFace

    clips = open_clips(args.clips, cache / args.clips.name, SIDE, "cache")
    with MediaPipeFace() as face:
        progress = tqdm(clips, desc="real clips", unit="clip", disable=None)
        return evaluate_clips(methods(network, mean), face, progress, args.frames)


def _clips_text(real: "ClipsReport") -> str:
    from dagan.evaluation.depth_clips import clips_table

    seen = f"{real.frames_with_face} of {real.frames} frames of {real.clips} clips have a face"
    return f"{seen}:\n\n{clips_table(real)}"

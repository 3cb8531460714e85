"""`dagan evaluate-depth`: how good a depth network is, on synthetic heads with truth and on real clips without."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

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
    parser.add_argument("depth", type=Path, help="F_d: model.safetensors of `dagan train-depth`, or a whole model")
    parser.add_argument("--pose", type=Path, help="F_p (default: pose.safetensors beside F_d, if there is one)")
    parser.add_argument("--heads", type=int, default=20, metavar="N", help="held-out synthetic heads (default: 20)")
    parser.add_argument("--size", type=int, default=128, help="side of the synthetic frames (default: 128)")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="also measure on the real clips of a folder")
    parser.add_argument("--frames", type=int, default=2, metavar="N", help="frames of each clip (default: 2)")
    parser.add_argument("--cache", type=Path, help="folder for rendered heads (default: OUT/cache)")
    parser.add_argument("-o", "--out", type=Path, required=True, help=f"folder for {JSON_NAME} and {TEXT_NAME}")


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dagan.data.synthetic.store import HELD_OUT_FROM, synthetic_clips
    from dagan.evaluation.depth_heads import evaluate_heads, mean_head_of
    from dagan.evaluation.depth_report import clips_table, heads_table, write_json
    from dagan.models.weights import load_pose

    if args.heads < 1 or args.frames < 1:
        raise UserError("--heads and --frames must be 1 or more")
    network = open_depth(args.depth)
    beside = args.depth.with_name("pose.safetensors")
    pose_file = args.pose or (beside if beside.is_file() else None)
    pose = load_pose(pose_file) if pose_file else None
    args.out.mkdir(parents=True, exist_ok=True)
    cache = args.cache or args.out / "cache"
    held_out = synthetic_clips(range(HELD_OUT_FROM, HELD_OUT_FROM + args.heads), cache, CLIP_FRAMES, args.size)
    mean = mean_head_of(synthetic_clips(range(MEAN_HEADS), cache, CLIP_FRAMES, args.size))

    progress = tqdm(held_out, desc="synthetic heads", unit="clip", disable=None)
    heads = evaluate_heads(network, pose, progress, mean, args.frames)
    text = (
        f"{heads.num_frames} frames of {heads.num_clips} synthetic heads that no training saw:\n\n{heads_table(heads)}"
    )
    facts: dict[str, object] = {"depth": str(args.depth), "pose": str(pose_file or "none"), "heads": heads}
    if args.clips is not None:
        real = on_clips(network, mean, args)
        text += f"\n\n{real.frames_with_face} of {real.frames} frames of {real.clips} clips have a face:\n\n"
        text += clips_table(real)
        facts["clips"] = real
    print(text)
    (args.out / TEXT_NAME).write_text(text + "\n")
    write_json(args.out / JSON_NAME, facts)
    return 0


def open_depth(path: Path) -> "FaceDepthNet":
    """F_d alone, or that of a whole model."""
    from dagan.models.weights import load, load_depth, read_metadata

    if not read_metadata(path).get("format", "").startswith("dagan-model"):
        return load_depth(path)
    depth = load(path).depth
    if depth is None:
        raise UserError(f"the model in {path} has no depth network")
    return depth


def on_clips(network: "FaceDepthNet", mean: "Float[ndarray, 's s']", args: argparse.Namespace) -> "ClipsReport":
    """Real clips, read through the default face observer."""
    from tqdm import tqdm

    from dagan.data.opening import open_clips
    from dagan.evaluation.depth_clips import evaluate_clips, methods
    from dagan.observers.mediapipe_face import MediaPipeFace

    clips = open_clips(args.clips, (args.cache or args.out / "cache") / args.clips.name, SIDE, "cache")
    with MediaPipeFace() as face:
        progress = tqdm(clips, desc="real clips", unit="clip", disable=None)
        return evaluate_clips(methods(network, mean), face, progress, args.frames)

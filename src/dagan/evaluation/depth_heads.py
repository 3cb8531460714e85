"""F_d and F_p measured on held-out synthetic heads, beside a plane and the mean head as baselines."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from dagan.data.clips import FrameArray
from dagan.data.synthetic import HEAD
from dagan.data.synthetic.store import StoredClip, Truth
from dagan.evaluation.markdown import table
from dagan.evaluation.metrics.depth import DepthMap, DepthScores, Mask, rotation_angle, score_depth
from dagan.geometry.alignment import align
from dagan.models.depth import FaceDepthNet, depth_from_disparity
from dagan.models.pose import PoseNet
from dagan.types import CameraPose

MEAN_SIDE = 64  # cells of the mean head's box
POSE_GAPS = (1, 6)  # frames: neighbours, and a distance over which heads really turn

SCORE_TITLES = ("AbsRel", "SI-RMSE", "d<1.25", "ordinal", "rank corr.", "normals (deg)")  # of `DepthScores`


class PoseScore(NamedTuple):
    """Mean rotation error in degrees over pairs of frames `gap` apart; `truth` is how far the heads turn."""

    gap: int
    truth: float
    no_motion: float
    network: float | None
    aligned: float


class HeadsReport(NamedTuple):
    """Mean scores over frames, by method, and the poses."""

    depth: dict[str, DepthScores]
    poses: tuple[PoseScore, ...]
    num_frames: int
    num_clips: int


class Box(NamedTuple):
    left: int
    top: int
    right: int
    bottom: int


def predicted_depth(network: FaceDepthNet, frame: np.ndarray) -> DepthMap:
    """F_d's map of one frame, as depth."""
    with torch.inference_mode():
        disparity = network(as_image(frame)).float()
    return np.asarray(depth_from_disparity(disparity)[0, 0].numpy(), np.float64)


def as_image(frame: np.ndarray) -> Float[Tensor, "1 3 h w"]:
    return torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255


def plane(true: DepthMap, head: Mask) -> DepthMap:
    """The best plane there is: least squares in inverse depth, which is linear in x and y on every plane in space.

    It is fitted to the truth itself, so no method that gives planes can do better in the fitted sense.
    """
    height, width = true.shape
    y, x = np.mgrid[0:height, 0:width] / height
    columns = np.stack([np.ones_like(x), x, y], -1)
    solution, *_ = np.linalg.lstsq(columns[head], 1 / true[head], rcond=None)
    return np.asarray(1 / (columns @ solution))


def box_of(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def mean_head(truths: Sequence[tuple[DepthMap, Mask]]) -> Float[np.ndarray, "s s"]:
    """Mean depth of heads, each over its median, in the box of each; cells that few heads reach take their median."""
    total, count = np.zeros((MEAN_SIDE, MEAN_SIDE)), np.zeros((MEAN_SIDE, MEAN_SIDE))
    for depth, head in truths:
        left, top, right, bottom = box_of(head)
        rows = top + ((np.arange(MEAN_SIDE) + 0.5) / MEAN_SIDE * (bottom - top)).astype(int)
        columns = left + ((np.arange(MEAN_SIDE) + 0.5) / MEAN_SIDE * (right - left)).astype(int)
        cell = np.ix_(rows, columns)
        total += np.where(head[cell], depth[cell] / np.median(depth[head]), 0)
        count += head[cell]
    enough = count >= 0.1 * len(truths)
    mean = total / np.maximum(count, 1)
    return np.where(enough, mean, mean[enough].max())


def mean_head_of(training: Sequence[StoredClip]) -> Float[np.ndarray, "s s"]:
    """The mean head of the first frames of training clips."""
    return mean_head([(truth.depth[0], truth.part[0] == HEAD) for truth in (stored.truth() for stored in training)])


def placed(mean: Float[np.ndarray, "s s"], box: Box, shape: tuple[int, ...]) -> DepthMap:
    """The mean head in a box of the frame; what lies outside repeats its border."""
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    row = (y - box.top) / (box.bottom - box.top) * len(mean)
    column = (x - box.left) / (box.right - box.left) * len(mean)
    limit = len(mean) - 1
    return np.asarray(mean[np.clip(row, 0, limit).astype(int), np.clip(column, 0, limit).astype(int)])


def evaluate_heads(
    depth: FaceDepthNet,
    pose: PoseNet | None,
    held_out: Iterable[StoredClip],
    mean: Float[np.ndarray, "s s"],
    frames_per_clip: int,
) -> HeadsReport:
    """Every score. `mean`: the mean head of training clips."""
    rows: dict[str, list[DepthScores]] = {"F_d": [], "plane (best fit)": [], "mean head": []}
    pairs: list[tuple[int, float, float | None, float]] = []
    num_clips = 0
    for num_clips, stored in enumerate(held_out, 1):  # noqa: B007
        truth, frames = stored.truth(), stored.clip.frames
        last = len(frames) - 1 - max(POSE_GAPS)
        for at in np.linspace(0, last, frames_per_clip).astype(int):
            head, true = truth.part[at] == HEAD, truth.depth[at].astype(np.float64)
            found = predicted_depth(depth, frames[int(at)])
            candidates = (found, plane(true, head), placed(mean, box_of(head), true.shape))
            for scores, candidate in zip(rows.values(), candidates, strict=True):
                scores.append(score_depth(candidate, true, head, truth.intrinsics))
            pairs += [rotation_errors(pose, found, frames, truth, int(at), gap) for gap in POSE_GAPS]
    means = {name: DepthScores(*np.nanmean(np.array(values), 0).tolist()) for name, values in rows.items()}
    return HeadsReport(means, tuple(_pose_score(gap, pairs) for gap in POSE_GAPS), len(rows["F_d"]), num_clips)


def rotation_errors(
    pose: PoseNet | None, depth: DepthMap, frames: FrameArray, truth: Truth, at: int, gap: int
) -> tuple[int, float, float | None, float]:
    """Gap, true angle, F_p's error and direct alignment's (from F_p's motion, or from none) in degrees."""
    true = truth.rotation[at + gap] @ truth.rotation[at].T
    frame, neighbour = as_image(frames[at]), as_image(frames[at + gap])
    with torch.inference_mode():
        start = pose(frame, neighbour) if pose is not None else no_motion(truth.intrinsics)
        aligned = align(start, torch.from_numpy(depth).float()[None, None], frame, neighbour)
    network = rotation_angle(start.rotation[0].numpy(), true) if pose is not None else None
    return gap, rotation_angle(np.eye(3), true), network, rotation_angle(aligned.rotation[0].numpy(), true)


def no_motion(intrinsics: Float[np.ndarray, "3 3"]) -> CameraPose:
    return CameraPose(torch.eye(3)[None], torch.zeros(1, 3), torch.from_numpy(intrinsics).float()[None])


def _pose_score(gap: int, pairs: Sequence[tuple[int, float, float | None, float]]) -> PoseScore:
    ours = [pair for pair in pairs if pair[0] == gap]
    truth = float(np.mean([pair[1] for pair in ours]))
    networks = [pair[2] for pair in ours if pair[2] is not None]
    network = float(np.mean(networks)) if networks else None
    return PoseScore(gap, truth, truth, network, float(np.mean([pair[3] for pair in ours])))


def heads_table(report: HeadsReport) -> str:
    """Markdown: one row for each method, then the poses."""
    depth = [[name, *(f"{value:.4f}" for value in scores)] for name, scores in report.depth.items()]
    poses = [
        [
            str(found.gap),
            *(f"{value:.2f}" for value in (found.truth, found.no_motion)),
            "-" if found.network is None else f"{found.network:.2f}",
            f"{found.aligned:.2f}",
        ]
        for found in report.poses
    ]
    titles = ["frames apart", "true turn (deg)", "error: no motion", "error: F_p", "error: aligned with F_d"]
    return "\n".join([*table(["on the head", *SCORE_TITLES], depth), "", *table(titles, poses)])

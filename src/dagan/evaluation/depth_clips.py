"""F_d measured on real clips with a face observer, beside a plane and the mean head as baselines."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8

from dagan.data.clips import ClipFrames
from dagan.evaluation.depth_heads import Box, as_image, placed, predicted_depth
from dagan.evaluation.markdown import table
from dagan.evaluation.metrics.depth import (
    DepthMap,
    FaceOrder,
    ReprojectionScore,
    face_order,
    landmark_inconsistency,
    landmark_points,
    reprojection_error,
)
from dagan.models.depth import FaceDepthNet
from dagan.observers.faces import FaceObservation, FaceObserver

GAP = 6  # frames between a frame and the one it is reprojected from
HEAD_ABOVE, HEAD_BESIDE = 0.35, 0.1  # of the face's box: the parts of the head that the mesh does not cover
REPROJECTED_SIDE = 128  # pixels
PLANE_DEPTH = 0.84  # of the plane and of the mean head; any value would do, as depth has no scale

Method = Callable[[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "n 3"]], DepthMap]


class ClipsReport(NamedTuple):
    """Shares of frames with a face (`order`; None in a field: no frame could be asked), and means by method.

    `inconsistency`: see `landmark_inconsistency`, between the two frames of a clip whose heads differ most.
    `unmoved`: P_e on the face when nothing moves; `reprojected`: after the best rigid motion for the method's depth.
    """

    order: dict[str, dict[str, float | None]]
    nearer_than_all: dict[str, float]
    inconsistency: dict[str, float]
    reprojected: dict[str, float]
    unmoved: float
    frames_with_face: int
    frames: int
    clips: int


def methods(network: FaceDepthNet, mean: Float[np.ndarray, "s s"]) -> dict[str, Method]:
    """F_d and the baselines: a frame and its landmarks to a depth map."""
    return {
        "F_d": lambda frame, landmarks: predicted_depth(network, frame),
        "plane": lambda frame, landmarks: np.full(frame.shape[:2], PLANE_DEPTH),
        "mean head": lambda frame, landmarks: PLANE_DEPTH * placed(mean, head_box(landmarks), frame.shape[:2]),
    }


def head_box(landmarks: Float[np.ndarray, "n 3"]) -> Box:
    """The head's box from the face's: hair above, ears beside."""
    (left, top), (right, bottom) = landmarks[:, :2].min(0), landmarks[:, :2].max(0)
    width, height = right - left, bottom - top
    return Box(
        round(left - HEAD_BESIDE * width),
        round(top - HEAD_ABOVE * height),
        round(right + HEAD_BESIDE * width),
        round(bottom),
    )


def evaluate_clips(
    candidates: dict[str, Method], face: FaceObserver, clips: Iterable[ClipFrames], frames_per_clip: int
) -> ClipsReport:
    tallies = {name: _Tally([], [], []) for name in candidates}
    looked_at, with_face, number = 0, 0, 0
    for number, clip in enumerate(clips, 1):  # noqa: B007
        places = np.linspace(0, max(0, len(clip) - 1 - GAP), frames_per_clip).astype(int).tolist()
        seen = _faces(clip, face, places)
        looked_at, with_face = looked_at + len(places), with_face + len(seen)
        for name, method in candidates.items():
            tallies[name].add(method, seen)
    return ClipsReport(
        order={name: _shares(tally.orders) for name, tally in tallies.items()},
        nearer_than_all={name: _mean(map(_before_all, tally.orders)) for name, tally in tallies.items()},
        inconsistency={name: _mean(tally.unlike) for name, tally in tallies.items()},
        reprojected={name: _mean(error.reprojected for error in tally.errors) for name, tally in tallies.items()},
        unmoved=_mean(error.unmoved for tally in tallies.values() for error in tally.errors),
        frames_with_face=with_face,
        frames=looked_at,
        clips=number,
    )


class _Seen(NamedTuple):
    """A frame with a face, the one `GAP` frames on, and what the observer says of the first."""

    frame: UInt8[np.ndarray, "h w 3"]
    other: UInt8[np.ndarray, "h w 3"]
    face: FaceObservation


def _faces(clip: ClipFrames, face: FaceObserver, places: Sequence[int]) -> list[_Seen]:
    looks = []
    for at in places:
        frame, other = np.asarray(clip.frames[at]), np.asarray(clip.frames[min(at + GAP, len(clip) - 1)])
        observed = face.observe(frame)
        if observed is not None:
            looks.append(_Seen(frame, other, observed))
    return looks


class _Tally(NamedTuple):
    """What one method got, by frame, and by clip (`unlike`)."""

    orders: list[FaceOrder]
    unlike: list[float]
    errors: list[ReprojectionScore]

    def add(self, method: Method, seen: Sequence[_Seen]) -> None:
        """The frames of one clip."""
        depths = [method(look.frame, look.face.landmarks) for look in seen]
        for depth, look in zip(depths, seen, strict=True):
            self.orders.append(face_order(depth, look.face.landmarks))
            self.errors.append(_reprojection(depth, look.frame, look.other, look.face.landmarks))
        if len(seen) > 1:
            pair = _most_different([look.face.pose for look in seen])
            points = [landmark_points(depths[index], seen[index].face.landmarks) for index in pair]
            self.unlike.append(landmark_inconsistency(*points))


def _reprojection(
    depth: DepthMap, frame: UInt8[np.ndarray, "h w 3"], other: np.ndarray, landmarks: Float[np.ndarray, "n 3"]
) -> ReprojectionScore:
    """At a fixed size, on the face's ellipse."""
    scale = REPROJECTED_SIDE / frame.shape[0]
    images = [
        torch.nn.functional.interpolate(as_image(image), size=REPROJECTED_SIDE, mode="area") for image in (frame, other)
    ]
    small = torch.nn.functional.interpolate(torch.from_numpy(depth)[None, None], size=REPROJECTED_SIDE, mode="area")
    face = _ellipse(landmarks[:, :2] * scale, REPROJECTED_SIDE)
    return reprojection_error(small[0, 0].numpy(), images[0], images[1], face)


def _ellipse(points: Float[np.ndarray, "n 2"], side: int) -> Bool[np.ndarray, "s s"]:
    middle, half = (points.max(0) + points.min(0)) / 2, (points.max(0) - points.min(0)) / 2
    y, x = np.mgrid[0:side, 0:side] + 0.5
    return np.asarray(((x - middle[0]) / half[0]) ** 2 + ((y - middle[1]) / half[1]) ** 2 < 1)


def _most_different(poses: Sequence[tuple[float, float, float]]) -> tuple[int, int]:
    turns = np.array(poses)
    apart = np.linalg.norm(turns[:, None] - turns[None], axis=-1)
    first, second = np.unravel_index(apart.argmax(), apart.shape)
    return int(first), int(second) if first != second else int(first) + 1


def clips_table(report: ClipsReport) -> str:
    """Markdown: one row for each method. Shares are of frames with a face."""
    titles = ["nose tip nearer than", "eyes", "ears", "background", "all three", "nearer eye", "nearer ear"]
    shares = [
        [
            method,
            *(_percent(found[name]) for name in ("eyes", "ears", "background")),
            _percent(report.nearer_than_all[method]),
            *(_percent(found[name]) for name in ("each_eye", "each_ear")),
        ]
        for method, found in report.order.items()
    ]
    errors = [
        [name, *(f"{value:.4f}" for value in (report.inconsistency[name], report.reprojected[name], report.unmoved))]
        for name in report.order
    ]
    heads = ["method", "landmarks across views", "P_e reprojected", "P_e unmoved"]
    return "\n".join([*table(titles, shares), "", *table(heads, errors)])


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _before_all(order: FaceOrder) -> bool:
    return order.eyes and order.ears and order.background is not False


def _shares(orders: Sequence[FaceOrder]) -> dict[str, float | None]:
    shares: dict[str, float | None] = {}
    for name in FaceOrder._fields:
        asked = [getattr(order, name) for order in orders if getattr(order, name) is not None]
        shares[name] = float(np.mean(asked)) if asked else None
    return shares


def _mean(values: Iterable[float]) -> float:
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else float("nan")

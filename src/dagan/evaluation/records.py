"""The record of every pair, and its way to JSON and back."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from dagan.config import from_plain
from dagan.evaluation.metrics.accumulators import Change


class Scores(NamedTuple):
    """One image by every metric. None means not measured: there is no face, image, observer or truth."""

    l1: float | None = None
    ssim: float | None = None
    psnr: float | None = None
    lpips: float | None = None
    landmark_distance: float | None = None
    akd: float | None = None
    aed: float | None = None
    csim: float | None = None
    head_pose_error: float | None = None
    aucon: float | None = None
    head_l1: float | None = None
    head_psnr: float | None = None
    head_lpips: float | None = None
    detail: float | None = None
    detail_correlation: float | None = None
    mouth_l1: float | None = None
    mouth_colour: float | None = None


class Faces(NamedTuple):
    """Where a face was found."""

    generated: bool
    driving: bool
    source: bool


class Shown(NamedTuple):
    """What the reference images of a pair show: landmarks of the driving frame by the observer that finds them, its
    head, and an opened mouth that the source has shut."""

    landmarks: bool = True
    head: bool = False
    mouth: bool = False


class Following(NamedTuple):
    """How much expression and head changed, in the driving video and in the result.

    The result's changes are from the source; the driver's are from its rest frame, or from the source where motion is
    absolute. Changes of blendshapes lie in [-1, 1], those of the yaw are in degrees.
    """

    jaw_opening: Change
    eye_closing: Change
    head_yaw: Change
    smile: Change
    brow_raise: Change


class ShapeFollowing(NamedTuple):
    """As `Following`, of the quantities of `observers.face_shape.FaceShape`."""

    lips: Change
    lids: Change
    brows: Change
    mouth_width: Change
    yaw: Change


class FrameName(NamedTuple):
    """One frame of a clip."""

    clip: str
    identity: str
    frame: int

    def __str__(self) -> str:
        return f"{self.clip} #{self.frame}"


class Sample(NamedTuple):
    """The record of one pair: scores of the generated image, and of the unmoved source as if it had been generated.

    `rest` is the frame from which relative motion is measured. `images` identifies the pixels of source and driving
    frame. `shape` is by the face observer, `second_shape` by a second one, where one is in use.
    """

    key: str
    source: FrameName
    driving: FrameName
    generated: Scores
    unmoved: Scores
    faces: Faces
    following: Following | None
    has_image: bool = True  # False: the system gave no image for this pair
    rest: FrameName | None = None
    shown: Shown = Shown()
    shape: ShapeFollowing | None = None
    second_shape: ShapeFollowing | None = None
    images: str = ""


class SkippedClip(NamedTuple):
    """A clip that gave no pairs, and why."""

    clip: str
    reason: str


class Metric(NamedTuple):
    """A column of the table: its title with the unit, and what it needs.

    `lower_is_better` None: best at 1. `needs_truth`: the driving frame must show what the generated image should show.
    `face` names the image that must show a face beside the generated one ("" for none), `shown` a field of `Shown` that
    must be true. Without `observer` the column is absent.
    """

    title: str
    field: str
    decimals: int
    lower_is_better: bool | None
    needs_truth: bool
    face: str = ""
    observer: str = ""
    shown: str = ""

    def value(self, scores: Scores) -> float | None:
        found: float | None = getattr(scores, self.field)
        return found


METRICS = (
    Metric("L1 ([0, 1])", "l1", 4, True, True),
    Metric("landmark distance (px)", "landmark_distance", 2, True, True, "driving", shown="landmarks"),
    Metric("head-pose error (degrees)", "head_pose_error", 2, True, False, "driving"),
    Metric("SSIM", "ssim", 4, False, True),
    Metric("PSNR (dB)", "psnr", 2, False, True),
    Metric("LPIPS", "lpips", 4, True, True, observer="LPIPS"),
    Metric("AKD (px)", "akd", 3, True, True, "driving", shown="landmarks"),
    Metric("AED", "aed", 4, True, True, "driving", "identity"),
    Metric("CSIM", "csim", 4, False, False, "source", "identity"),
    Metric("AUCON", "aucon", 4, False, False, "driving"),
    Metric("head: L1 ([0, 1])", "head_l1", 4, True, True, observer="matte", shown="head"),
    Metric("head: PSNR (dB)", "head_psnr", 2, False, True, observer="matte", shown="head"),
    Metric("head: LPIPS", "head_lpips", 4, True, True, observer="LPIPS", shown="head"),
    Metric("head: fine detail (ratio)", "detail", 3, None, True, observer="matte", shown="head"),
    Metric("head: fine detail (correlation)", "detail_correlation", 3, False, True, observer="matte", shown="head"),
    Metric("mouth inside: L1 ([0, 1])", "mouth_l1", 4, True, True, observer="matte", shown="mouth"),
    Metric("mouth inside: colour ([0, 1])", "mouth_colour", 4, True, True, observer="matte", shown="mouth"),
)
BY_FIELD = {metric.field: metric for metric in METRICS}
FOLLOWED: tuple[tuple[str, Callable[[Following], Change]], ...] = (
    ("jaw opening", lambda following: following.jaw_opening),
    ("eye closing", lambda following: following.eye_closing),
    ("smile", lambda following: following.smile),
    ("brow raise", lambda following: following.brow_raise),
    ("head yaw", lambda following: following.head_yaw),
)

SHAPES: tuple[tuple[str, Callable[[ShapeFollowing], Change]], ...] = (
    ("lips apart", lambda shape: shape.lips),
    ("lids apart", lambda shape: shape.lids),
    ("brow height", lambda shape: shape.brows),
    ("mouth width", lambda shape: shape.mouth_width),
    ("nose beside the eyes (yaw)", lambda shape: shape.yaw),
)


def plain(value: Any) -> Any:
    """NamedTuples as dictionaries at every depth (the json module would write lists), and NaN as None."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def sample_from_plain(found: Any) -> Sample:
    """The inverse of `plain`. Raises UserError when it is no sample."""
    return from_plain(Sample, found, "sample")

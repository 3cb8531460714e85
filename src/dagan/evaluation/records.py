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


class Faces(NamedTuple):
    """Where a face was found."""

    generated: bool
    driving: bool
    source: bool


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


class FrameName(NamedTuple):
    """One frame of a clip."""

    clip: str
    identity: str
    frame: int

    def __str__(self) -> str:
        return f"{self.clip} #{self.frame}"


class Sample(NamedTuple):
    """The record of one pair: scores of the generated image, and of the unmoved source as if it had been generated.

    `rest` is the driver's frame from which relative motion is measured.
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


class SkippedClip(NamedTuple):
    """A clip that gave no pairs, and why."""

    clip: str
    reason: str


class Metric(NamedTuple):
    """A column of the table: its title with the unit, and what it needs.

    `needs_truth`: the driving frame must show what the generated image should show. `face` names the image that must
    show a face beside the generated one ("" for none). Without `observer` the column is absent.
    """

    title: str
    field: str
    decimals: int
    lower_is_better: bool
    needs_truth: bool
    face: str = ""
    observer: str = ""

    def value(self, scores: Scores) -> float | None:
        found: float | None = getattr(scores, self.field)
        return found


METRICS = (
    Metric("L1 ([0, 1])", "l1", 4, True, True),
    Metric("landmark distance (px)", "landmark_distance", 2, True, True, "driving"),
    Metric("head-pose error (degrees)", "head_pose_error", 2, True, False, "driving"),
    Metric("SSIM", "ssim", 4, False, True),
    Metric("PSNR (dB)", "psnr", 2, False, True),
    Metric("LPIPS", "lpips", 4, True, True, observer="LPIPS"),
    Metric("AKD (px)", "akd", 3, True, True, "driving"),
    Metric("AED", "aed", 4, True, True, "driving", "identity"),
    Metric("CSIM", "csim", 4, False, False, "source", "identity"),
    Metric("AUCON", "aucon", 4, False, False, "driving"),
)
BY_FIELD = {metric.field: metric for metric in METRICS}
FOLLOWED: tuple[tuple[str, Callable[[Following], Change]], ...] = (
    ("jaw opening", lambda following: following.jaw_opening),
    ("eye closing", lambda following: following.eye_closing),
    ("smile", lambda following: following.smile),
    ("brow raise", lambda following: following.brow_raise),
    ("head yaw", lambda following: following.head_yaw),
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

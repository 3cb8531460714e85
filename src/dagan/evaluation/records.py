"""What is written down of every pair, and the way to JSON and back."""

from collections.abc import Callable
from typing import Any, NamedTuple

from dagan.evaluation.metrics.accumulators import Change


class Scores(NamedTuple):
    """One image by every metric. None: not measured, for want of a face, an image, an observer, or a truth."""

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
    """Changes from the source to the driving and to the generated image; where motion is relative, the driver's is from
    its rest frame. Blendshapes lie in [0, 1], the yaw is in degrees."""

    jaw_opening: Change
    eye_closing: Change
    head_yaw: Change
    smile: Change | None = None  # like the next one, not measured before 2026-11-27
    brow_raise: Change | None = None


class FrameName(NamedTuple):
    """One frame of a clip."""

    clip: str
    identity: str
    frame: int

    def __str__(self) -> str:
        return f"{self.clip} #{self.frame}"


class Sample(NamedTuple):
    """The record of one pair: the generated image and the unmoved source, each scored against the driving frame (CSIM:
    against the source). `rest`: the driver's frame that relative motion counts from."""

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
    """A clip that gave no pairs, or a row of a list that could not be found, and why."""

    clip: str
    reason: str


class Metric(NamedTuple):
    """A column of the table: how it is called, in which unit, and what it needs.

    `face` names the image whose face it needs beside the generated one's ("" for none); `needs_truth`: the driving
    frame must show what the generated image should; `observer`: the observer without which the column is absent.
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
FOLLOWED: tuple[tuple[str, Callable[[Following], Change | None]], ...] = (
    ("jaw opening", lambda following: following.jaw_opening),
    ("eye closing", lambda following: following.eye_closing),
    ("smile", lambda following: following.smile),
    ("brow raise", lambda following: following.brow_raise),
    ("head yaw", lambda following: following.head_yaw),
)


def plain(value: Any) -> Any:
    """NamedTuples as dictionaries, all the way down: the json module would write them as lists."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, tuple | list) else value


def _following(found: dict[str, Any]) -> Following:
    return Following(**{name: Change(**change) for name, change in found.items() if change is not None})


def sample_from_plain(found: dict[str, Any]) -> Sample:
    """The inverse of `plain`. Raises KeyError or TypeError when it is no sample."""
    following = found["following"]
    return Sample(
        key=found["key"],
        source=FrameName(**found["source"]),
        driving=FrameName(**found["driving"]),
        generated=Scores(**found["generated"]),
        unmoved=Scores(**found["unmoved"]),
        faces=Faces(**found["faces"]),
        following=_following(following) if following else None,
        has_image=found["has_image"],
        rest=FrameName(**rest) if (rest := found.get("rest")) else None,
    )

"""A driver whose face is lost for some frames: the last pose is held, and eased out of when the face returns."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

EASE_SECONDS = 0.3  # from the pose that was held to that of the returned face


def ease_frames(rate: float) -> int:
    """Over how many frames of a video the returned face is eased in."""
    return max(1, round(EASE_SECONDS * rate))


class Holding:
    """Takes the driver's codes frame by frame, and gives those to move the portrait by.

    In frames without a face the last pose given stays, whatever was read there. From the frame in which the
    face returns, `ease` frames lead from that pose to the driver's. Until the first face it is `before`: the driver's
    rest pose, with which relative motion leaves the photo as it is.
    """

    def __init__(self, before: Any, ease: int) -> None:
        self._ease = ease
        self._held, self._given = before, before
        self._since = ease  # frames since the face returned
        self._is_lost = False

    def __call__(self, driving: Any, found: bool) -> Any:
        """The pose of the next frame; `found`: whether it shows the face."""
        if not found:
            self._held, self._is_lost = self._given, True
            return self._given
        self._since = 0 if self._is_lost else self._since
        self._is_lost = False
        self._since += 1
        share = self._since / (self._ease + 1)
        self._given = driving if share >= 1 else blended(self._held, driving, share * share * (3 - 2 * share))
        return self._given


def held(driving: Iterable[Any], found: Iterable[bool], before: Any, ease: int) -> Iterator[Any]:
    """`Holding` for the codes of all frames, as they come."""
    hold = Holding(before, ease)
    return (hold(code, bool(seen)) for code, seen in zip(driving, found, strict=True))


def held_motion(driving: Any, found: Iterable[bool], before: Any, ease: int) -> Any:
    """`Holding` for the codes of t frames in one; as they are where all frames show the face."""
    seen = [bool(value) for value in found]
    if all(seen):
        return driving
    parts = {name: torch.split(part, 1) for name, part in driving.named().items()}
    frames = (type(driving)(**dict(zip(parts, frame, strict=True))) for frame in zip(*parts.values(), strict=True))
    poses = list(held(frames, seen, before, ease))
    return type(driving)(**{name: torch.cat([pose.named()[name] for pose in poses]) for name in parts})


def blended(start: Any, end: Any, share: float) -> Any:
    """The code on the straight way from one to another; of what only one of them has, the end's."""
    first = start.named()
    return type(end)(
        **{name: torch.lerp(first[name], part, share) if name in first else part for name, part in end.named().items()}
    )

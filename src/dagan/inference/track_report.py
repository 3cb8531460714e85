"""What happened to the frames of a driving video: in one line, and frame by frame."""

from typing import Any, NamedTuple

import numpy as np

from dagan.inference.face_choice import choice_line
from dagan.inference.framing import VideoFraming


class TrackReport(NamedTuple):
    """Counts of frames, and the line that says which of several faces was taken."""

    frames: int
    found: int
    held: int  # frames without a face, which keep the last pose
    turned: int  # frames that were turned upright
    re_anchored: int  # how often the crop began anew: at a cut, or when the face was found elsewhere
    followed: int  # frames in which the crop moved along
    note: str | None = None

    @property
    def is_mostly_lost(self) -> bool:
        """Whether more than half of the frames have no face."""
        return 2 * self.held > self.frames

    def line(self) -> str | None:
        """All that was out of the ordinary, in one line; None if nothing was."""
        said = [
            self.note,
            f"{self.held} of {self.frames} frames had no face: held" if self.held else None,
            f"{self.turned} frames lay on their side or upside down: turned upright" if self.turned else None,
            f"crop anchored anew {_times(self.re_anchored)}" if self.re_anchored else None,
            f"crop followed the face in {self.followed} of {self.frames} frames" if self.followed else None,
        ]
        return "; ".join(part for part in said if part) or None


def report_of(framing: VideoFraming) -> TrackReport:
    """What happened to the frames of a video."""
    track, frames = framing.track, len(framing.found)
    found = int(framing.found.sum())
    moved = np.any(np.diff(framing.windows, axis=0) != 0, axis=1) & (np.diff(track.shots) == 0)
    note = choice_line(track.faces, track.taken) if track.taken is not None else None
    turned = frames if track.quarter else 0
    shots = int(track.shots.max(initial=0))
    return TrackReport(frames, found, frames - found, turned, shots, int(moved.sum()), note)


def frame_reports(framing: VideoFraming) -> list[dict[str, Any]]:
    """Each frame's status (found or held), the detector's score, its shot, and the square (x, y, side) in pixels of
    the turned frame: plain values for a JSON file."""
    track = framing.track
    return [
        {
            "frame": number,
            "status": "found" if found else "held",
            "score": round(float(score), 3),
            "shot": int(shot),
            "crop": [round(float(value), 3) for value in window],
        }
        for number, (found, score, shot, window) in enumerate(
            zip(framing.found, track.scores, track.shots, framing.windows, strict=True)
        )
    ]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"

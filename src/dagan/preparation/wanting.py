"""What a list wants of a raw video, found among the tracks that were seen there."""

from collections.abc import Sequence

import numpy as np

from dagan.images import Crop
from dagan.preparation.pieces import Piece, pieces_of
from dagan.preparation.settings import Settings
from dagan.preparation.tracks import Track
from dagan.preparation.units import Wanted
from dagan.preparation.watching import Watched


def chosen_pieces(
    wanted: Sequence[Wanted], watched: Watched, rate: float, settings: Settings
) -> list[tuple[Piece, Wanted]]:
    """The pieces that a list asks for, each with its entry; an entry without a face gives one with the reason."""
    found: list[tuple[Piece, Wanted]] = []
    for entry in wanted:
        first, end = _frames(entry, watched)
        if entry.exact or end <= first:  # beyond the video's end: too short
            found.append((_exact(entry, first, end, watched), entry))
            continue
        track = _best(entry, first, end, watched)
        if track is None:
            found.append((_exact(entry, first, end, watched)._replace(reason="no_face"), entry))
            continue
        pieces = pieces_of(track, watched.tracks, watched.image_size, rate, settings)
        names = [entry.name] if len(pieces) == 1 else [f"{entry.name}-{place}" for place in range(len(pieces))]
        found += [
            (piece, Wanted(name, entry.person, entry.start, entry.end, entry.box, entry.split))
            for piece, name in zip(pieces, names, strict=True)
        ]
    return found


def _frames(entry: Wanted, watched: Watched) -> tuple[int, int]:
    """First frame and end of an entry's seconds, as far as the video goes."""
    first, end = np.searchsorted(watched.times, (entry.start - 1e-3, entry.end - 1e-3))
    return int(first), int(end)


def _exact(entry: Wanted, first: int, end: int, watched: Watched) -> Piece:
    """The list's own box as the crop, unjudged."""
    width, height = watched.image_size
    x, y, wide, high = entry.box or (0.0, 0.0, 1.0, 1.0)
    side = max(2, round(max(wide * width, high * height)))
    left, top = round(x * width + (wide * width - side) / 2), round(y * height + (high * height - side) / 2)
    boxes = np.tile(np.array([left, top, side, side], float), (max(end - first, 1), 1))
    track = Track(0, first, boxes, np.ones(len(boxes)))
    return Piece(track, Crop(left, top, side), float(side), 1.0, 0.0, 0.0, "" if end > first else "short")


def _best(entry: Wanted, first: int, end: int, watched: Watched) -> Track | None:
    """The part of a track that shows the entry's face longest; without a box, the largest face."""
    parts = [
        track.part(max(track.first, first), min(track.end, end))
        for track in watched.tracks
        if track.first < end and track.end > first
    ]
    return max(parts, key=lambda part: _weight(part, entry, watched.image_size), default=None)


def _weight(part: Track, entry: Wanted, image_size: tuple[int, int]) -> float:
    """Frames of a track in which the face's middle is in the entry's box; sizes decide where there is none."""
    if entry.box is None:
        return float(part.boxes[:, 2:].prod(1).sum())
    scale = np.array(image_size, float)
    middles = (part.boxes[:, :2] + part.boxes[:, 2:] / 2) / scale
    corner, side = np.array(entry.box[:2]), np.array(entry.box[2:])
    return float(((middles >= corner) & (middles <= corner + side)).all(1).sum())

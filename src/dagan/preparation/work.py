"""One unit of work: a raw video in, one archive of clips and their rows out, whole or not at all.

The same function runs in this process, in several, and on other machines (`dagan.workers`); it gives the same bytes.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import UInt8

from dagan.data.decoding import DecodeReport
from dagan.data.timing import frame_rate, read_timed
from dagan.errors import UserError, reason_of
from dagan.files import DISK_FULL, room_for
from dagan.images import Crop
from dagan.inference.face_detector import FaceDetector, YuNet
from dagan.inference.quarter_turn import turn
from dagan.observers.mediapipe_face import MediaPipeFace
from dagan.observers.mesh import RememberingFace
from dagan.observers.sface import SFace
from dagan.preparation.archives import ArchiveWriter, read_contents, writing
from dagan.preparation.cutting import THUMBNAIL, Made, Observers, Picture, Recorder, Sound, cut, thumbnail
from dagan.preparation.pieces import Piece, pieces_of
from dagan.preparation.rows import Row, rounded
from dagan.preparation.settings import Settings
from dagan.preparation.sound import loudness
from dagan.preparation.units import Unit, Wanted
from dagan.preparation.wanting import chosen_pieces
from dagan.preparation.watching import Watched, watch

SHORTEST_GAP = 0.5  # seconds of a shot without a face that are a row


class Done(NamedTuple):
    """What became of a unit."""

    key: str
    kept: int
    dropped: int
    was_there: bool = False


@dataclass(frozen=True)
class Preparing:
    """Makes archives in `folder`; builds detector and observers once for all units that a process does."""

    folder: Path
    settings: Settings
    identity_weights: Path | None

    @contextmanager
    def open(self) -> Iterator["Preparer"]:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # sums in one order, whatever the machine
        try:
            with MediaPipeFace() as mediapipe:
                face = RememberingFace(mediapipe)
                identity = SFace(face, self.identity_weights) if self.identity_weights is not None else None
                yield Preparer(self.folder, self.settings, YuNet(), Observers(face, identity))
        finally:
            torch.set_num_threads(threads)


@dataclass(frozen=True)
class Preparer:
    """Does units one after the other."""

    folder: Path
    settings: Settings
    detector: FaceDetector
    observers: Observers

    def __call__(self, unit: Unit) -> Done:
        """The unit's archive, unless it is there.

        Raises:
            UserError: the disk is full.
        """
        path = archive_path(self.folder, unit)
        if (known := _known(path, unit)) is not None:
            return known._replace(was_there=True)
        with room_for(self.folder), writing(path) as writer:
            rows = self._fill(writer, unit)
        kept = sum(not row.reason for row in rows)
        return Done(unit.key, kept, len(rows) - kept)

    def _fill(self, writer: ArchiveWriter, unit: Unit) -> list[Row]:
        """Every clip of a unit, written; their rows."""
        base = Row(name=unit.key, source=unit.source, licence=self.settings.licence)
        rows: list[Row] = []
        try:
            facts = unit.path.stat().st_size, _sha256(unit.path)
            base = replace(base, source_bytes=facts[0], source_sha256=facts[1])
            for made in self._made(unit, base):
                writer.add(made)
                rows.append(made.row)
        except (UserError, OSError) as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise
            detail = " ".join(reason_of(error).split())
            broken = replace(base, name=f"{unit.key}_unreadable", reason="unreadable", detail=detail)
            writer.add(Made(broken, b""))
            rows.append(broken)
        return rows

    def _made(self, unit: Unit, base: Row) -> Iterator[Made]:
        """What comes of a raw video, as its frames pass by for the second time."""
        rate = float(frame_rate(unit.path).nominal)
        read = partial(read_timed, unit.path, DecodeReport())
        watched = watch(read, rate, self.detector)
        base = replace(base, rate=rate, turned=watched.quarter)
        base = replace(base, width=watched.image_size[0], height=watched.image_size[1])
        sound = Sound(loudness(unit.path), watched.times)
        jobs = [
            _job(candidate, base, place, watched)
            for place, candidate in enumerate(self._candidates(unit, watched, rate))
        ]
        stills = [] if unit.wanted else [(_empty_row(base, gap, watched), None) for gap in _faceless(watched, rate)]
        open_ones: list[Recorder] = []
        for number, frame in enumerate(read()):
            begins = [job for job in jobs if job[1].track.first == number and not job[0].reason]
            picture = turn(frame.pixels, watched.quarter)
            open_ones += [Recorder(row, piece, self.observers, sound, self.settings) for row, piece in begins]
            for recorder in open_ones:
                recorder.add(number, picture)
            yield from (recorder.finish() for recorder in open_ones if recorder.end == number + 1)
            open_ones = [recorder for recorder in open_ones if recorder.end > number + 1]
            yield from (
                Made(row, thumbnail(_shown(picture, row)), boxes=boxes)
                for row, boxes in [*((row, piece.track.boxes) for row, piece in jobs if row.reason), *stills]
                if row.first_frame + row.num_frames // 2 == number
            )
        yield from (recorder.finish() for recorder in open_ones)  # a damaged file gave fewer frames this time

    def _candidates(self, unit: Unit, watched: Watched, rate: float) -> list["_Candidate"]:
        """What may become clips: of what a list wants, else of every track."""
        if unit.wanted:
            chosen = chosen_pieces(unit.wanted, watched, rate, self.settings)
            return [_Candidate(piece, number, wanted) for number, (piece, wanted) in enumerate(chosen)]
        return [
            _Candidate(piece, number, None)
            for number, track in enumerate(watched.tracks)
            for piece in pieces_of(track, watched.tracks, watched.image_size, rate, self.settings)
        ]


class _Candidate(NamedTuple):
    """A piece, the number of its track, and the list's entry that asked for it."""

    piece: Piece
    track: int
    wanted: Wanted | None


def archive_path(folder: Path, unit: Unit) -> Path:
    """Where a unit's archive is."""
    return folder / f"{unit.key}.tar"


def _known(path: Path, unit: Unit) -> Done | None:
    """Of an archive that is whole, and of a raw file that has not changed."""
    contents = read_contents(path) if path.is_file() else None
    if contents is None or not contents.rows:
        return None
    if unit.path.is_file() and contents.rows[0].source_bytes not in (0, unit.path.stat().st_size):
        return None
    kept = sum(not row.reason for row in contents.rows)
    return Done(unit.key, kept, len(contents.rows) - kept)


def _job(candidate: _Candidate, base: Row, place: int, watched: Watched) -> tuple[Row, Piece]:
    piece, number, wanted = candidate
    track, crop = piece.track, piece.crop
    row = replace(
        base,
        name=wanted.name if wanted is not None else f"{base.name}_{place:03d}",
        person=wanted.person if wanted is not None else "",
        split=wanted.split if wanted is not None else "",
        reason=piece.reason,
        first_frame=track.first,
        num_frames=len(track.scores),
        start=_time(watched, track.first),
        end=_time(watched, track.end),
        x=crop.x,
        y=crop.y,
        side=crop.size,
        track=number,
        face=rounded(piece.face, 1),
        confidence=rounded(piece.confidence),
        outside=rounded(piece.outside),
        crowd=rounded(piece.crowd),
    )
    return row, piece


def _faceless(watched: Watched, rate: float) -> list[tuple[int, int]]:
    """First frame and end of the shots in which no face was seen."""
    ends = [*watched.shots[1:], len(watched.times)]
    with_faces = {track.shot for track in watched.tracks}
    return [
        (first, end)
        for shot, (first, end) in enumerate(zip(watched.shots, ends, strict=True))
        if shot not in with_faces and end - first >= SHORTEST_GAP * rate
    ]


def _empty_row(base: Row, gap: tuple[int, int], watched: Watched) -> Row:
    first, end = gap
    return replace(
        base,
        name=f"{base.name}_no_face_{first}",
        reason="no_face",
        first_frame=first,
        num_frames=end - first,
        start=_time(watched, first),
        end=_time(watched, end),
    )


def _time(watched: Watched, frame: int) -> float:
    """Seconds at which a frame is shown; the end of the video for the one after the last."""
    times = watched.times
    if frame < len(times):
        return round(float(times[frame]), 4)
    last = float(times[-1] - times[-2]) if len(times) > 1 else 0.04
    return round(float(times[-1]) + last, 4)


def _shown(picture: Picture, row: Row) -> UInt8[np.ndarray, "_h _w 3"]:
    """What a contact sheet shows of a row: the crop, or all of the frame."""
    return picture if not row.side else cut(picture, Crop(row.x, row.y, row.side), THUMBNAIL)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

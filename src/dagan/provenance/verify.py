"""What a file says of where it comes from: manifest, tags, mark; and whether that fits a model and a source picture.

Finding nothing proves nothing: other tools do not mark what they make, and ours can be told not to.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from dagan.errors import UserError
from dagan.images import Crop
from dagan.provenance.grid import Grey, Place
from dagan.provenance.manifest import Manifest, read_manifest
from dagan.provenance.payload import TOOL, Payload
from dagan.provenance.reading import DECODED, Reading, contrasts, read_at, sampled
from dagan.provenance.recipe import TOOL_NAME, first_byte
from dagan.provenance.search import around, cropped, searched
from dagan.provenance.tags import Tags, read_tags

MOST_READ = 3000  # frames of a video that are decoded
PART = 0.85  # of a frame's longer side: a larger square is the whole frame, or a crop of it
SQUARE = 1.12  # of a frame's longer to its shorter side: it may be a cropped square

Finding = Literal["signed", "marked", "tagged", "changed", "nothing"]
Fit = Literal["same", "other", "agrees", "unknown"]
Part = Literal["weights", "source"]
FindFaces = Callable[[Path], Sequence[Place]]  # squares about faces, as the animator would crop them


class Verdict(NamedTuple):
    """What was found. "signed": an intact manifest of ours; "marked": the mark, no intact manifest; "tagged": tags
    alone, which anybody can write; "changed": a manifest that no longer fits its file, no mark; "nothing".

    `manifest` may be another tool's.
    """

    finding: Finding
    manifest: Manifest | None
    tags: Tags | None
    mark: Reading | None


def verdict(path: Path, trusted: bytes = b"", find_faces: FindFaces | None = None) -> Verdict:
    """Looks for all three in a video or a picture. `trusted`: certificates (PEM) whose signatures count as trusted.

    Raises:
        UserError: no such file, or neither a video nor a picture.
    """
    frames = _frames(path)
    tags = read_tags(path)
    manifest = _manifest(path, trusted)
    mark = find_mark(frames, _places(frames[0], tags), (lambda: find_faces(path)) if find_faces else None)
    return Verdict(_finding(manifest, tags, mark), manifest, tags, mark)


def find_mark(
    frames: Sequence[Grey], places: Sequence[Place], find_faces: Callable[[], Sequence[Place]] | None = None
) -> Reading | None:
    """The mark in these places at any contrast, else in cropped frames or about faces."""
    found = read_at(frames, contrasts(frames, places), DECODED)
    if found is not None:
        return found
    height, width = frames[0].shape
    faces = find_faces() if find_faces is not None else ()
    windows = [around(face) for face in faces if face.width < PART * max(width, height)]
    if max(width, height) <= SQUARE * min(width, height):
        windows.append(cropped(width, height))
    return read_at(frames, searched(frames, windows), 2 * DECODED) if windows else None


def fit(verdict: Verdict, part: Part, digest: str) -> Fit:
    """Whether the file was made with weights, or from a picture, of this SHA-256. The manifest knows ("same", "other");
    the mark can only rule out ("other") or agree, as one in 256 others does."""
    manifest = verdict.manifest
    if manifest is not None and manifest.state != "invalid" and part in manifest.recipe:
        return "same" if manifest.recipe[part] == digest else "other"
    if verdict.mark is not None:
        read: Payload = verdict.mark.payload
        return "agrees" if getattr(read, part) == first_byte(digest) else "other"
    return "unknown"


def is_ours(manifest: Manifest | None) -> bool:
    return manifest is not None and (manifest.tool or "").split(" ")[0] == TOOL_NAME


def _finding(manifest: Manifest | None, tags: Tags | None, mark: Reading | None) -> Finding:
    if manifest is not None and manifest.state != "invalid" and is_ours(manifest):
        return "signed"
    if mark is not None and mark.payload.tool == TOOL:
        return "marked"
    if manifest is not None and manifest.state == "invalid":
        return "changed"
    return "tagged" if tags is not None else "nothing"


def _manifest(path: Path, trusted: bytes) -> Manifest | None:
    try:
        return read_manifest(path, trusted)
    except ImportError as error:
        raise UserError(f"manifests cannot be read: {error.name} is not installed; pip install c2pa-python") from error


def _frames(path: Path) -> list[Grey]:
    """The frames of a video, or a picture alone."""
    from itertools import islice

    from dagan.data.decoding import DecodeReport, read_frames
    from dagan.data.pictures import is_picture, read_image

    if path.suffix.lower() != ".gif" and is_picture(path):
        return sampled([read_image(path)])
    return sampled(islice(read_frames(path, DecodeReport()), MOST_READ))


def _places(frame: Grey, tags: Tags | None) -> list[Place]:
    """Where the mark is without a search: where the tags say, the whole frame, the square in its middle."""
    height, width = frame.shape
    side = min(width, height)
    places = [Place(0, 0, width, height)]
    if width != height:
        places.append(Place((width - side) / 2, (height - side) / 2, side, side))
    if tags is not None and tags.square is not None and tags.size is not None:
        places[:0] = _tagged(tags.square, tags.size, frame)
    return places


def _tagged(square: Crop, size: tuple[int, int], frame: Grey) -> list[Place]:
    """The part of a square that lies in a picture of (width, height), in a frame that may have been scaled."""
    x, y, side = square
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + side, size[0]), min(y + side, size[1])
    if right <= left or bottom <= top:
        return []
    across, down = frame.shape[1] / size[0], frame.shape[0] / size[1]
    return [Place(left * across, top * down, (right - left) * across, (bottom - top) * down)]

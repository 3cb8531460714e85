"""The manifest's row: one clip, kept or dropped, with every score and the reason."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

REASONS = {  # in the order in which they are looked for
    "unreadable": "the raw file cannot be read",
    "no_face": "a shot in which no face is seen",
    "short": "shorter than --min-seconds",
    "small": "the face is smaller than --min-face pixels",
    "uncertain": "the face detector is not certain (--min-confidence)",
    "cut_off": "the face or its crop reaches beyond the frame (--max-outside)",
    "crowd": "another face in the crop (--max-crowd)",
    "moving": "the face leaves any crop that stands still within --min-seconds",
    "blurred": "out of focus, or too strongly compressed (--min-sharpness)",
    "lost": "the face reader does not find the face in enough frames (--min-found)",
    "still": "the face does not move, as in a photo (--min-motion)",
    "shaking": "the picture shakes (--max-shake)",
    "caption": "large text in the crop (--max-caption)",
    "mixed": "not the same face throughout (--min-likeness)",
    "silent": "the mouth does not move with the sound (--min-sync)",
    "duplicate": "the same content as another clip",
    "excluded": "on the list of --exclude",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One clip, or a stretch of a raw file that gave none. Times are in seconds of the raw file; x, y and side are the
    crop in pixels of the upright frame. `reason` is empty for a clip that is kept. Scores are None if not measured."""

    name: str
    source: str
    reason: str = ""
    detail: str = ""
    file: str = ""
    person: str = ""
    split: str = ""
    start: float = 0.0
    end: float = 0.0
    first_frame: int = 0
    num_frames: int = 0
    rate: float = 0.0
    turned: int = 0
    width: int = 0
    height: int = 0
    x: int = 0
    y: int = 0
    side: int = 0
    track: int | None = None
    face: float | None = None
    confidence: float | None = None
    outside: float | None = None
    crowd: float | None = None
    found: float | None = None
    sharpness: float | None = None
    motion: float | None = None
    shake: float | None = None
    caption: float | None = None
    likeness: float | None = None
    sync: float | None = None
    sync_delay: float | None = None
    sha256: str = ""
    source_bytes: int = 0
    source_sha256: str = ""
    licence: str = ""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end - self.start


KINDS: dict[Any, type] = {str: str, int: int, float: float, int | None: int, float | None: float}
FIELDS = {field.name: KINDS[field.type] for field in fields(Row)}  # what each field holds, if anything
SCORES = ("face", "confidence", "outside", "crowd", "found", "sharpness", "motion", "shake", "caption", "likeness")


def to_lines(rows: Iterable[Row]) -> str:
    """Rows as JSON lines."""
    return "".join(f"{json.dumps(asdict(row), ensure_ascii=False)}\n" for row in rows)


def from_lines(text: str) -> list[Row]:
    """Raises ValueError or TypeError for text that `to_lines` did not write."""
    return [Row(**_known(json.loads(line))) for line in text.splitlines()]


def _known(plain: Any) -> dict[str, Any]:
    if not isinstance(plain, dict):
        raise TypeError("a line of the manifest is no object")
    return plain


def rounded(value: float | None, digits: int = 4) -> float | None:
    """As it is stored: the last digits of a score say nothing."""
    return None if value is None else round(float(value), digits)

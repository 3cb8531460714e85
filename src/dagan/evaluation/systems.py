"""What is evaluated: the protocol of a system, and two that need no model: images that another system made, and the
evaluator's own test images. Models are in `model_systems.py`."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from dagan.data.clips import fit_square, frame_files
from dagan.data.decoding import VIDEO_SUFFIXES, DecodeReport, read_frames
from dagan.data.pictures import IMAGE_SUFFIXES, read_image
from dagan.data.protocols import ReenactmentPair
from dagan.errors import UserError
from dagan.evaluation.pairs import Motion


class PairImages(NamedTuple):
    """The frames of a pair, at one size; `rest` as in `ReenactmentPair`."""

    source: UInt8[np.ndarray, "h w 3"]
    driving: UInt8[np.ndarray, "h w 3"]
    rest: UInt8[np.ndarray, "h w 3"] | None = None


@runtime_checkable
class System(Protocol):
    """Makes, or finds, the image for a pair."""

    def generate(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"] | None:
        """The image of the source as it should look in the driving frame; None if there is none."""
        ...


@runtime_checkable
class Resting(Protocol):
    """A system that chooses the rest frame of a driving clip."""

    def rest_frame(self, pair: ReenactmentPair, source: UInt8[np.ndarray, "h w 3"]) -> int:
        """The number of the frame from which motion is measured. Raises UserError when the clip cannot be read."""
        ...


@runtime_checkable
class SystemConfig(Protocol):
    """A system as a value that other processes can build; `motion`: how the driver's motion reaches the source."""

    @property
    def name(self) -> str: ...

    def fingerprint(self) -> str:
        """Changes when the images could."""
        ...

    def build(self, motion: Motion = "given") -> System: ...


@dataclass(frozen=True, kw_only=True)
class GeneratedFolder:
    """Images or videos that any system made: `<key>.png|jpg`, `<key>.mp4` or a folder `<key>` of frames."""

    path: str
    size: int
    label: str | None = None

    @property
    def name(self) -> str:
        return self.label or self.path

    def fingerprint(self) -> str:
        """Of names, sizes and times: reading thousands of images for it would take longer than scoring some."""
        files = sorted(path for path in Path(self.path).rglob("*") if path.is_file())
        facts = [(str(f.relative_to(self.path)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
        return hashlib.sha256(repr(facts).encode()).hexdigest()

    def build(self, motion: Motion = "given") -> "GeneratedFiles":
        if not Path(self.path).is_dir():
            raise UserError(f"no such folder of generated images: {self.path}")
        return GeneratedFiles(Path(self.path), self.size)


class GeneratedFiles:
    """Reads what `GeneratedFolder` names; one video's frames are kept at a time."""

    def __init__(self, folder: Path, size: int) -> None:
        self._folder, self._size = folder, size
        self._video: tuple[Path, list[UInt8[np.ndarray, "size size 3"]]] | None = None

    def generate(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"] | None:
        path = find_by_stem(self._folder, pair.key)
        if path is None:
            return None
        if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
            return fit_square(read_image(path), self._size)
        frames = self._frames(path)
        return frames[pair.driving.number] if pair.driving.number < len(frames) else None

    def _frames(self, path: Path) -> list[UInt8[np.ndarray, "size size 3"]]:
        if self._video is None or self._video[0] != path:
            whole = map(read_image, frame_files(path)) if path.is_dir() else read_frames(path, DecodeReport())
            self._video = path, [fit_square(frame, self._size) for frame in whole]
        return self._video[1]


def find_by_stem(folder: Path, stem: str) -> Path | None:
    """The image, video or folder of this name, whatever its suffix."""
    for suffix in ("", *sorted(IMAGE_SUFFIXES), *sorted(VIDEO_SUFFIXES)):
        path = folder / f"{stem}{suffix}"
        if path.is_dir() if suffix == "" else path.is_file():
            return path
    return None

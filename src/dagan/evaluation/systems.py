"""Who is judged: a model of ours, the images that another system made, or the evaluator's own test pieces."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageFilter
from torch import Tensor

import dagan
from dagan.data.clips import Clip, find_clips, fit_square, frame_files
from dagan.data.decoding import VIDEO_SUFFIXES, DecodeReport, read_frames
from dagan.data.pictures import IMAGE_SUFFIXES, read_image
from dagan.data.protocols import Frame, ReenactmentPair, read_chosen_frames
from dagan.data.weight_files import sha256_of
from dagan.errors import UserError
from dagan.geometry.keypoints import in_one_batch
from dagan.images import to_pixels, to_tensor
from dagan.models.talking_head import TalkingHead
from dagan.models.weights import DEFAULT_WEIGHTS
from dagan.types import View

BUNDLED = "bundled weights"
BLUR = 3.0  # pixels: standard deviation of the blurred test piece at 256 x 256


@runtime_checkable
class Generated(Protocol):
    """What a model's answer must have; `dagan.types.Rendering` does."""

    @property
    def generated(self) -> Tensor: ...


Model = Callable[[Tensor, Tensor], Generated]  # source, driving `1 3 h w` in [0, 1]: any talking head fits


class PairImages(NamedTuple):
    """The frames of a pair, at one size. `rest`: the one of `ReenactmentPair.rests` that motion counts from."""

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
    """A system that chooses the frame from which motion counts."""

    def rest(
        self, pair: ReenactmentPair, source: UInt8[np.ndarray, "h w 3"], rests: Sequence[UInt8[np.ndarray, "h w 3"]]
    ) -> int:
        """Which of a driver's frames to count from."""
        ...


@runtime_checkable
class SystemConfig(Protocol):
    """A system as a value that other processes can build."""

    @property
    def name(self) -> str: ...

    def fingerprint(self) -> str:
        """Changes when the images could."""
        ...

    def build(self) -> System: ...


class ModelSystem:
    """A model, on images rounded to 8 bits as a file would hold them. A talking head encodes equal sources once.

    Between two frames of one clip a model that can tell how background and torso moved does so, unless
    `still_background`.
    """

    def __init__(self, model: Model, device: torch.device | str = "cpu", *, still_background: bool = False) -> None:
        self._model, self._device, self._still_background = model, device, still_background
        self._encoded: tuple[Frame, View] | None = None

    def generate(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"] | None:
        with torch.inference_mode():
            wanted = to_tensor(images.driving)
            image = self._answer(pair, images, wanted.to(self._device)).generated.float().cpu()
        if image.shape != wanted.shape:
            raise ValueError(f"the model made an image of shape {tuple(image.shape)} of {tuple(wanted.shape)}")
        if not image.isfinite().all():
            name = pair.source.clip.name
            raise UserError(f"the model's image for {name} has values that are not finite; the weights are broken")
        return to_pixels(image)

    def rest(
        self, pair: ReenactmentPair, source: UInt8[np.ndarray, "h w 3"], rests: Sequence[UInt8[np.ndarray, "h w 3"]]
    ) -> int:
        """The frame that `dagan animate` would choose of these."""
        with torch.inference_mode():
            model, view = self._seen(pair, source)
            found = [model.view(to_tensor(image).to(self._device)).keypoints for image in rests]
            return model.rest_frame(view.keypoints, in_one_batch(found))

    def _seen(self, pair: ReenactmentPair, source: UInt8[np.ndarray, "h w 3"]) -> tuple[TalkingHead, View]:
        """The talking head, and the source encoded by it."""
        model = self._model
        if not isinstance(model, TalkingHead):
            raise UserError("relative motion needs a model with keypoints; this one takes images only")
        if self._encoded is None or self._encoded[0] != pair.source:
            self._encoded = pair.source, model.encode(model.view(to_tensor(source).to(self._device)))
        return model, self._encoded[1]

    def _answer(self, pair: ReenactmentPair, images: PairImages, driving: Tensor) -> Generated:
        if not isinstance(self._model, TalkingHead) and images.rest is None:
            return self._model(to_tensor(images.source).to(self._device), driving)
        model, view = self._seen(pair, images.source)
        if images.rest is not None:  # as `dagan animate` does: the background stands still
            rest = model.view(to_tensor(images.rest).to(self._device)).keypoints
            return model.render(view, model.mover(view.keypoints, rest)(model.view(driving).keypoints))
        wanted = model.detect(driving)
        is_one_video = pair.source.clip == pair.driving.clip and not self._still_background
        if not is_one_video:
            return model.render(view, wanted.keypoints)
        return model.render(view, model.follow(view, wanted), background=model.background(view.image, driving))


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file of ours; None for the bundled weights."""

    path: str | None = None
    device: str = "cpu"
    label: str | None = None
    still_background: bool = False

    @property
    def name(self) -> str:
        name = self.path or BUNDLED
        return self.label or (f"{name}, still background" if self.still_background else name)

    def fingerprint(self) -> str:
        bundled = Path(dagan.__file__).parent / "assets" / DEFAULT_WEIGHTS
        path = Path(self.path) if self.path is not None else bundled
        content = sha256_of(path) if path.is_file() else "missing"
        return f"{content} still background" if self.still_background else content

    def build(self) -> ModelSystem:
        model = dagan.load(self.path, self.device)
        return ModelSystem(model, self.device, still_background=self.still_background)


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

    def build(self) -> "GeneratedFiles":
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


Piece = Callable[[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"]], UInt8[np.ndarray, "h w 3"]]
PIECES: dict[str, Piece] = {
    "driving frame": lambda source, driving: driving,
    "blurred driving frame": lambda source, driving: blurred(driving),
    "unmoved source": lambda source, driving: source,
    "black frame": lambda source, driving: np.zeros_like(driving),
}
OTHER_PERSON = "another person"


@dataclass(frozen=True, kw_only=True)
class TestPiece:
    """An image of known quality in the place of a generated one: what the evaluator is checked with."""

    __test__ = False  # not a test, whatever pytest thinks of the name
    name: str
    clips: str | None = None  # where another person is found
    size: int = 256

    def fingerprint(self) -> str:
        return f"test piece: {self.name}"

    def build(self) -> System:
        if self.name != OTHER_PERSON:
            return PieceSystem(PIECES[self.name])
        return OtherPerson(find_clips(self.clips or "."), self.size)


@dataclass(frozen=True)
class PieceSystem:
    """A function of source and driving frame."""

    piece: Piece

    def generate(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"] | None:
        return self.piece(images.source, images.driving)


@dataclass
class OtherPerson:
    """The first frame of the next clip, by name, that shows neither of the two people."""

    clips: list[Clip]
    size: int
    _frames: dict[str, UInt8[np.ndarray, "size size 3"]] = field(default_factory=dict)

    def generate(self, pair: ReenactmentPair, images: PairImages) -> UInt8[np.ndarray, "h w 3"] | None:
        people = {pair.source.clip.identity, pair.driving.clip.identity}
        others = [clip for clip in self.clips if clip.identity not in people]
        if not others:
            raise UserError("one person only: there is nobody else to compare with")
        chosen = next((clip for clip in others if clip.name > pair.driving.clip.name), others[0])
        if chosen.name not in self._frames:
            self._frames[chosen.name] = read_chosen_frames(chosen, [0], self.size)[0]
        return self._frames[chosen.name]


def blurred(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """The image after a Gaussian blur."""
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(BLUR)))

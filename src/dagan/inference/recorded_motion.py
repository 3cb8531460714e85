"""A recorded motion: the keypoints and expressions of a driving video, without any of its pixels, and its file."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.data.tensor_files import save_tensors
from dagan.errors import UserError
from dagan.face import NUM_EXPRESSIONS, NUM_LANDMARKS
from dagan.files import check_place
from dagan.models.families import CODES
from dagan.models.family import Family
from dagan.models.talking_head import TalkingHead
from dagan.types import Keypoints

JITTER = 0.07  # standard deviation of the coefficients of a held expression, from frame to frame (docs/decisions.md)
SUFFIX = ".safetensors"
FORMAT = "dagan-motion-1"
MAX_RATE = 1000  # frames per second
RATE = re.compile(r"[0-9]{1,20}(/[0-9]{1,20}|\.[0-9]{1,20})?")
MAX_SHOWN = 40  # characters of a text from a file in an error message
REMEDY = "record it again with this model, or give the video itself"


@dataclass(frozen=True, eq=False)
class RecordedMotion:
    """The keypoints of t frames, on the CPU; their rate; and which keypoint networks found them (`fingerprint`)."""

    keypoints: Any  # the driving code, of all frames: `Keypoints` t k 2, or a family's own
    fps: Fraction
    fingerprint: str

    def __len__(self) -> int:
        return len(next(iter(self.keypoints.named().values())))

    def steadied(self) -> "RecordedMotion":
        """The motion with the jitter of its expressions averaged out: a face reader sees each frame on its own."""
        seen = self.keypoints
        if not isinstance(seen, Keypoints) or seen.expression is None:
            return self
        return replace(self, keypoints=seen._replace(expression=steadied(seen.expression, JITTER)))

    def on(self, device: torch.device | str) -> Any:
        """The codes of all frames on a device."""
        return self.keypoints.each(lambda part: part.to(device))

    def at(self, number: int, device: torch.device | str = "cpu") -> Any:
        """The code of one frame on a device."""
        return self.keypoints.each(lambda part: part[number : number + 1].to(device))

    def frames(self, device: torch.device | str = "cpu", numbers: Iterable[int] | None = None) -> Iterator[Any]:
        """The code of one frame after another on a device; `numbers`: of these frames (None: all)."""
        placed = replace(self, keypoints=self.on(device))
        yield from map(placed.at, range(len(self)) if numbers is None else numbers, repeat(device))


@torch.inference_mode()
def record_motion(model: Family, frames: Iterable[Float[Tensor, "1 3 h w"]], fps: Fraction) -> RecordedMotion:
    """What the model finds in each frame of a driving video.

    Raises:
        UserError: no frames.
    """
    device = next(model.parameters()).device
    return motion_of((model.view(frame.to(device)).code for frame in frames), fps, fingerprint(model))


def motion_of(found: Iterable[Any], fps: Fraction, fingerprint: str) -> RecordedMotion:
    """The codes of the frames as one motion; `fingerprint`: of the model that found them.

    Kept in one growing block: thousands of small ones would leave no room for a frame in the memory that is freed
    between them. Raises UserError as `record_motion`.
    """
    last: Any = None
    blocks: defaultdict[str, bytearray] = defaultdict(bytearray)
    for last in found:
        for name, part in last.named().items():
            blocks[name] += part.float().cpu().numpy().tobytes()
    if last is None:
        raise UserError("cannot record a motion from a video without frames")
    parts = {
        name: torch.frombuffer(blocks[name], dtype=torch.float32).view(-1, *part.shape[1:])
        for name, part in last.named().items()
    }
    return RecordedMotion(type(last)(**parts), fps, fingerprint)


@torch.inference_mode()
def fingerprint(model: Family) -> str:
    """Identifies the networks that find driving codes; the same for weights in half precision.

    A recorded motion can be used while these networks stay the same, also after the generator was trained further.
    """
    digest = hashlib.sha256()
    for part in model.watching():
        for name, tensor in sorted(part.state_dict().items()):
            if tensor.is_floating_point():
                digest.update(f"{name} {tuple(tensor.shape)} ".encode())
                digest.update(tensor.half().cpu().contiguous().numpy().tobytes())
    if isinstance(model, TalkingHead) and model.face_reader is not None:
        digest.update(f"margin {model.face_reader.margin}".encode())
    return digest.hexdigest()[:16]


def check_motion(motion: RecordedMotion, source: Any, fingerprint: str) -> None:
    """Checks that a motion was recorded with the networks that found the source's code; `fingerprint`: theirs.

    Raises:
        UserError: other networks, another number of keypoints, or jacobians or expressions in one of the two only.
    """
    theirs, ours = (_kind(code) for code in (motion.keypoints, source))
    if theirs != ours:
        raise UserError(f"the motion has {theirs}, but the model finds {ours}; {REMEDY}")
    if fingerprint != motion.fingerprint:
        raise UserError(
            f"the motion was recorded with model {motion.fingerprint}, but this is model {fingerprint}; {REMEDY}"
        )


def _kind(code: Any) -> str:
    if not isinstance(code, Keypoints):
        parts = (f"{name} {'x'.join(map(str, part.shape[1:]))}" for name, part in code.named().items())
        return f"a {type(code).__name__} ({', '.join(parts)})"
    jacobians = "without" if code.jacobian is None else "with"
    readings = "" if code.expression is None else " and expressions"
    return f"{code.position.shape[1]} keypoints {jacobians} jacobians{readings}"


def save_motion(motion: RecordedMotion, path: str | Path) -> None:
    """Writes a motion file; the file appears complete or not at all.

    Raises:
        UserError: as `check_place`.
    """
    path = Path(path)
    check_place(path)
    metadata = {"format": FORMAT, "fps": str(motion.fps), "fingerprint": motion.fingerprint}
    if not isinstance(motion.keypoints, Keypoints):
        metadata["code"] = type(motion.keypoints).__name__
    save_tensors(path, motion.keypoints.named(), metadata)


def load_motion(path: str | Path) -> RecordedMotion:
    """Reads a motion file.

    Raises:
        UserError: no such file, not a motion file, damaged, or without frames.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise UserError(f"no such motion file: {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except (SafetensorError, OSError) as error:
        raise UserError(f"not a motion file that can be read: {path} ({error})") from error
    if metadata.get("format") != FORMAT:
        raise UserError(f"not a recorded motion: {path} (expected format {FORMAT}, got {metadata.get('format')})")
    read = _family_code if "code" in metadata else _keypoints
    return RecordedMotion(
        read(tensors, path, metadata), _rate(metadata.get("fps", ""), path), metadata.get("fingerprint", "")
    )


def _family_code(tensors: dict[str, Tensor], path: str | Path, metadata: Mapping[str, str]) -> Any:
    """A code of a family; `check_motion` compares its shapes with the model's."""
    kind = CODES.get(metadata["code"])
    if kind is None:
        raise UserError(
            f"{path} is a motion of a model that this version does not know ({metadata['code'][:MAX_SHOWN]})"
        )
    if set(tensors) != set(kind._fields) or len({len(part) for part in tensors.values() if part.ndim}) != 1:
        raise UserError(f"damaged motion file: {path} is no {metadata['code']} of some frames")
    if not all(bool(part.isfinite().all()) for part in tensors.values()):
        raise UserError(f"damaged motion file: {path} has a code with values that are not numbers")
    return kind(**{name: part.float() for name, part in tensors.items()})


def _keypoints(tensors: dict[str, Tensor], path: str | Path, _: Mapping[str, str]) -> Keypoints:
    position = tensors.get("position")
    if position is None or position.ndim != 3 or position.shape[2] != 2 or 0 in position.shape:
        raise UserError(f"damaged motion file: {path} has no keypoint positions of shape (frames, keypoints, 2)")
    shapes = {
        "position": position.shape,
        "jacobian": (*position.shape, 2),
        "landmarks": (len(position), NUM_LANDMARKS, 2),
        "expression": (len(position), NUM_EXPRESSIONS),
    }
    found = {name: tensors[name].float() for name in shapes if name in tensors}
    for name, part in found.items():
        if part.shape != shapes[name]:
            raise UserError(f"damaged motion file: {path} has {name} of shape {tuple(part.shape)}")
    if ("landmarks" in found) != ("expression" in found):
        raise UserError(f"damaged motion file: {path} has landmarks or expressions, not both")
    if not all(bool(part.isfinite().all()) for part in found.values()):
        raise UserError(f"damaged motion file: {path} has keypoints that are not numbers")
    return Keypoints(**found)


def _rate(text: str, path: str | Path) -> Fraction:
    """A rate in the forms that `save_motion` writes; `1e999999999` would be a number of as many digits."""
    if RATE.fullmatch(text) is not None:
        with suppress(ZeroDivisionError):
            rate = Fraction(text)
            if 0 < rate <= MAX_RATE:
                return rate
    shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
    raise UserError(
        f"damaged motion file: {path} has frame rate {shown!r}; expected a number above 0 and up to {MAX_RATE}"
    )


REACH = 2  # frames before and after


def steadied(values: Float[Tensor, "t n"], noise: float) -> Float[Tensor, "t n"]:
    """The values after a bilateral filter in time (Tomasi and Manduchi 1998): jitter below `noise` is averaged out,
    larger changes are kept.

    A neighbouring frame whose value differs by `noise` has a weight of 0.6, by three times that of 0.01; the second
    neighbour has half the weight of the first.
    """
    total, weights = values.clone(), torch.ones_like(values)
    for distance in range(1, min(REACH, len(values) - 1) + 1):
        earlier, later = values[:-distance], values[distance:]
        weight = torch.exp(-((later - earlier) / noise).square() / 2) / distance
        for side, other in ((slice(distance, None), earlier), (slice(None, -distance), later)):
            total[side] += weight * other
            weights[side] += weight
    return total / weights

"""A recorded motion: the keypoints of a driving video, with what a face reader sees, and without one pixel of the
driver: small enough to bundle."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import repeat
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.errors import UserError
from dagan.face import NUM_EXPRESSIONS, NUM_LANDMARKS
from dagan.files import written_whole
from dagan.models.talking_head import TalkingHead
from dagan.types import Keypoints

TREMBLING = 0.07  # by how much coefficients of an expression that is held may differ (docs/decisions.md)
SUFFIX = ".safetensors"
FORMAT = "dagan-motion-1"
REMEDY = "record it again with this model, or drive with the video itself"


@dataclass(frozen=True, eq=False)
class Motion:
    """The keypoints of t frames, on the CPU; the frames' rate; and which detector saw them (see `fingerprint`)."""

    keypoints: Keypoints  # t k 2, t k 2 2, t n 2, t e
    fps: Fraction
    fingerprint: str

    def __len__(self) -> int:
        return len(self.keypoints.position)

    def steadied(self) -> "Motion":
        """With what a face reader saw of expressions made steady: it looks at each frame for itself."""
        expression = self.keypoints.expression
        if expression is None:
            return self
        return replace(self, keypoints=self.keypoints._replace(expression=steadied(expression, TREMBLING)))

    def on(self, device: torch.device | str) -> Keypoints:
        """The keypoints of all frames, `t k 2`, on a device."""
        return self.keypoints.each(lambda part: part.to(device))

    def at(self, number: int, device: torch.device | str = "cpu") -> Keypoints:
        """The keypoints of one frame, `1 k 2`, on a device."""
        return self.keypoints.each(lambda part: part[number : number + 1].to(device))

    def frames(self, device: torch.device | str = "cpu") -> Iterator[Keypoints]:
        """The keypoints of one frame after the other, `1 k 2`, on a device."""
        placed = replace(self, keypoints=self.on(device))
        yield from map(placed.at, range(len(self)), repeat(device))


@torch.inference_mode()
def record_motion(model: TalkingHead, frames: Iterable[Float[Tensor, "1 3 h w"]], fps: Fraction) -> Motion:
    """What the model's keypoint detector sees in each frame of a driving video. Only keypoints are kept.

    Raises:
        UserError: no frames.
    """
    device = next(model.parameters()).device
    return motion_of((model.view(frame.to(device)).keypoints for frame in frames), fps, model)


def motion_of(found: Iterable[Keypoints], fps: Fraction, model: TalkingHead) -> Motion:
    """What the model's detector found in each frame (`1 k 2`) as a motion; UserError as `record_motion`.

    Kept in one growing block: between thousands of small ones, no room for a frame would be left in what is freed.
    """
    last: Keypoints | None = None
    blocks: dict[str, bytearray] = {name: bytearray() for name in Keypoints._fields}
    for last in found:
        for name, part in last.named().items():
            blocks[name] += part.float().cpu().numpy().tobytes()
    if last is None:
        raise UserError("cannot record a motion from a video without frames")
    parts = {
        name: torch.frombuffer(blocks[name], dtype=torch.float32).view(-1, *part.shape[1:])
        for name, part in last.named().items()
    }
    return Motion(Keypoints(**parts), fps, fingerprint(model))


@torch.inference_mode()
def fingerprint(model: TalkingHead) -> str:
    """Names the networks that turn an image into keypoints: equal for equal weights, in half precision or single.

    Retraining the generator or the motion network keeps recorded motions usable; retraining these does not.
    """
    digest = hashlib.sha256()
    for part in (model.depth, model.keypoints, model.face_reader):
        for name, tensor in sorted(part.state_dict().items()) if part is not None else ():
            if tensor.is_floating_point():
                digest.update(f"{name} {tuple(tensor.shape)} ".encode())
                digest.update(tensor.half().cpu().contiguous().numpy().tobytes())
    if model.face_reader is not None:
        digest.update(f"margin {model.face_reader.margin}".encode())
    return digest.hexdigest()[:16]


def check_driver(motion: Motion, model: TalkingHead, source: Keypoints) -> None:
    """Refuses keypoints of another detector than the one that found the source's: they mean other things.

    Raises:
        UserError: other networks, another number of keypoints, or jacobians on one side only.
    """
    theirs, ours = (_kind(keypoints) for keypoints in (motion.keypoints, source))
    if theirs != ours:
        raise UserError(f"this motion holds {theirs}, but the model finds {ours}; {REMEDY}")
    if (own := fingerprint(model)) != motion.fingerprint:
        raise UserError(f"this motion was recorded with model {motion.fingerprint}, but this is model {own}; {REMEDY}")


def _kind(keypoints: Keypoints) -> str:
    jacobians = "without" if keypoints.jacobian is None else "with"
    readings = "" if keypoints.expression is None else " and expressions"
    return f"{keypoints.position.shape[1]} keypoints {jacobians} jacobians{readings}"


def save_motion(motion: Motion, path: str | Path) -> None:
    """Writes a motion file; the file appears complete or not at all.

    Raises:
        UserError: the folder does not exist.
    """
    from safetensors.torch import save_file

    path = Path(path)
    if not path.parent.is_dir():
        raise UserError(f"no such folder for the motion file: {path.parent}; create it first")
    metadata = {"format": FORMAT, "fps": str(motion.fps), "fingerprint": motion.fingerprint}
    with written_whole(path) as partial:
        save_file(motion.keypoints.named(), partial, metadata)
        partial.chmod(0o644)  # safetensors writes for the owner alone


def load_motion(path: str | Path) -> Motion:
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
    return Motion(_keypoints(tensors, path), _rate(metadata.get("fps", ""), path), metadata.get("fingerprint", ""))


def _keypoints(tensors: dict[str, Tensor], path: str | Path) -> Keypoints:
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
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise UserError(f"damaged motion file: {path} has frame rate {text!r}") from error
    if rate <= 0:
        raise UserError(f"damaged motion file: {path} has frame rate {text!r}; expected more than 0")
    return rate


REACH = 2  # frames before and after


def steadied(values: Float[Tensor, "t n"], noise: float) -> Float[Tensor, "t n"]:
    """Each value's mean with those of the frames around that differ from it as noise does (a bilateral filter in time,
    Tomasi and Manduchi 1998): what trembles rests, what moves keeps its pace.

    A value that differs by `noise` counts 0.6, by three times that 0.01, and less the further away it is in time.
    """
    total, weights = values.clone(), torch.ones_like(values)
    for distance in range(1, min(REACH, len(values) - 1) + 1):
        earlier, later = values[:-distance], values[distance:]
        weight = torch.exp(-((later - earlier) / noise).square() / 2) / distance
        for side, other in ((slice(distance, None), earlier), (slice(None, -distance), later)):
            total[side] += weight * other
            weights[side] += weight
    return total / weights

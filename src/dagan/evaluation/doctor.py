"""The self-test: each observer looks at the bundled photo, and at the photo changed in a way whose effect is known."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from dagan.data.decoding import read_image
from dagan.evaluation.evaluator import Evaluator, Look
from dagan.evaluation.metrics.pairwise import head_pose_error
from dagan.evaluation.synthetic_heads import turn_head
from dagan.evaluation.systems import blurred
from dagan.observers.mediapipe_face import FACE_LANDMARKER, MediaPipeFace

PHOTO = FACE_LANDMARKER.with_name("astronaut.png")
FACE_BOX = (118, 16, 330, 228)  # left, top, right, bottom in the photo: the face in the middle, room to move
SIDE = 256
TURN = 15.0  # degrees
POSE_ERROR = 4.0  # degrees, root mean square of yaw, pitch and roll
SAME_PERSON = 0.6  # cosine of the photo and the turned photo; SFace's own threshold for one person is 0.363
DRAWN_SIDE = 768  # pixels of the picture


class Finding(NamedTuple):
    """One observer's result in a line, and whether it is what it should be."""

    name: str
    text: str
    is_good: bool


class Diagnosis(NamedTuple):
    """All findings, and the photo with its landmarks drawn."""

    findings: tuple[Finding, ...]
    picture: UInt8[np.ndarray, "h w 3"]


def photo() -> UInt8[np.ndarray, "256 256 3"]:
    """The face of the bundled photo, framed as the clips are."""
    image = Image.fromarray(read_image(PHOTO)).crop(FACE_BOX)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def diagnose(evaluator: Evaluator) -> Diagnosis:
    """Every observer of an evaluator on the photo, and on the photo turned clockwise by `TURN` degrees."""
    plain = photo()
    turned = np.asarray(Image.fromarray(plain).rotate(-TURN, Image.Resampling.BICUBIC))  # PIL turns counterclockwise
    with MediaPipeFace() as face:  # the whole mesh, whichever landmarks the evaluator chose
        seen = face.observe(plain)
    mesh = seen.landmarks if seen is not None else None
    before, after, blank = evaluator.look(plain), evaluator.look(turned), evaluator.look(np.zeros_like(plain))
    checks: tuple[Callable[[], Finding], ...] = (
        lambda: _landmarks(before, blank),
        lambda: _pose(before, mesh, evaluator, plain),
        lambda: _action_units(before, evaluator),
        lambda: _identity(before, after),
        lambda: _lpips(evaluator, before, plain),
    )
    return Diagnosis(tuple(check() for check in checks), draw(plain, before))


def _landmarks(before: Look, blank: Look) -> Finding:
    if before.landmarks is None:
        return Finding("landmarks", "no face found in the photo", False)
    inside = bool(((before.landmarks[:, :2] > 0) & (before.landmarks[:, :2] < SIDE)).all())
    text = f"{len(before.landmarks)} points, {'all' if inside else 'not all'} inside the photo"
    return Finding(
        "landmarks",
        f"{text}; {'none' if not blank.has_face else 'a face (!)'} in a black picture",
        inside and not blank.has_face,
    )


def _pose(
    before: Look, mesh: Float[np.ndarray, "478 3"] | None, evaluator: Evaluator, plain: UInt8[np.ndarray, "h w 3"]
) -> Finding:
    if before.head_pose is None or mesh is None:
        return Finding("head pose", "no face found", False)
    yaw, pitch, roll = before.head_pose
    errors = []
    for turn in np.eye(3) * TURN:
        seen = evaluator.look(turn_head(plain, mesh, *turn.tolist())).head_pose
        change = [a - b for a, b in zip(seen, before.head_pose, strict=True)] if seen is not None else [0.0] * 3
        errors.append(head_pose_error(change, turn.tolist()))
    text = f"yaw {yaw:.1f}, pitch {pitch:.1f}, roll {roll:.1f} degrees; turned by {TURN:g} about each axis: wrong by "
    return Finding("head pose", text + ", ".join(f"{error:.1f}" for error in errors), max(errors) <= POSE_ERROR)


def _action_units(before: Look, evaluator: Evaluator) -> Finding:
    if before.action_units is None:
        return Finding("action units", "no face found", False)
    names, units = evaluator.action_units.names, before.action_units
    present = [f"{name} ({strength:.2f})" for name, strength in zip(names, units, strict=True)]
    present = [text for text, on in zip(present, units > evaluator.action_units.thresholds, strict=True) if on]
    smiles = any("lip corner puller" in text for text in present)
    return Finding("action units", f"present: {', '.join(present) or 'none'}; the photo shows a smile", smiles)


def _identity(before: Look, after: Look) -> Finding:
    if before.identity is None or after.identity is None:
        return Finding("identity", "not available", False)
    cosine = float(before.identity @ after.identity)
    return Finding("identity", f"photo and turned photo: cosine {cosine:.2f}", cosine >= SAME_PERSON)


def _lpips(evaluator: Evaluator, before: Look, plain: UInt8[np.ndarray, "h w 3"]) -> Finding:
    if evaluator.lpips is None or before.features is None:
        return Finding("LPIPS", "not available", False)
    features = (evaluator.look(image).features for image in (blurred(plain), np.zeros_like(plain)))
    soft, black = (evaluator.lpips.distance(before.features, f).item() for f in features if f is not None)
    text = f"photo and blurred photo {soft:.3f}, and a black picture {black:.3f}"
    return Finding("LPIPS", text, 0 < soft < black)


def draw(image: UInt8[np.ndarray, "h w 3"], look: Look) -> UInt8[np.ndarray, "side side 3"]:
    """The image, enlarged, with every landmark as a dot."""
    canvas = Image.fromarray(image).resize((DRAWN_SIDE, DRAWN_SIDE), Image.Resampling.LANCZOS)
    pen = ImageDraw.Draw(canvas)
    scale = DRAWN_SIDE / image.shape[0]
    for x, y in look.landmarks[:, :2] * scale if look.landmarks is not None else ():
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(0, 255, 120))
    return np.asarray(canvas)

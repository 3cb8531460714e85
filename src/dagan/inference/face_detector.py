"""Where the faces of a picture are: a small protocol, and YuNet behind it."""

from importlib import resources
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from safetensors.torch import load_file

from dagan.inference.yunet import STRIDES, YuNetNetwork

YUNET_FILE = "face_detection_yunet_2023mar.safetensors"  # see assets/NOTICE.md
CANVAS = 640  # side of the one picture size that is searched
MIN_SCORE = 0.6
MAX_OVERLAP = 0.3  # intersection over union above which the weaker of two boxes is the same face
# YuNet finds faces of about 10 to 300 pixels: larger pictures are tried at these sides, until one shows a face.
SIDES = (640, 320, 160)


class FaceBox(NamedTuple):
    """A face in pixels of its image, pixel edges at whole numbers; (x, y) is the upper left corner.

    `points`: right eye, left eye, nose tip, right and left mouth corner, as (x, y); right is the person's right.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    points: Float[np.ndarray, "5 2"]


@runtime_checkable
class FaceDetector(Protocol):
    """Anything that finds faces."""

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[FaceBox]:
        """Faces of an RGB image, the best first; empty if there is none."""
        ...


class YuNet:
    """The bundled detector, in PyTorch on the CPU; about 25 ms a picture."""

    def __init__(self) -> None:
        with resources.as_file(resources.files("dagan") / "assets" / YUNET_FILE) as path:
            weights = load_file(path)
        self._network = YuNetNetwork().eval().requires_grad_(False)
        self._network.load_state_dict(weights)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[FaceBox]:
        """Faces of an RGB image, the best first. Large pictures are shrunk for the search, small ones are not grown."""
        longest = max(image.shape[:2])
        sides = [side for side in SIDES if side < longest] if longest > CANVAS else [longest, *SIDES[1:]]
        for side in sides:
            if side <= longest and (faces := self._detect_at(image, side / longest)):
                return faces
        return []

    def look(self, image: UInt8[np.ndarray, "h w 3"]) -> list[FaceBox]:
        """Faces of a picture of at most `CANVAS` pixels a side, as large as it is."""
        return self._detect_at(image, 1.0)

    def _detect_at(self, image: UInt8[np.ndarray, "h w 3"], scale: float) -> list[FaceBox]:
        canvas = torch.from_numpy(_on_canvas(image, scale)).to(memory_format=torch.channels_last)
        with torch.inference_mode():
            levels = self._network(canvas)
        decoded = [
            _decode(cells.face.numpy(), cells.objectness.numpy(), cells.box.numpy(), cells.points.numpy(), stride)
            for cells, stride in zip(levels, STRIDES, strict=True)
        ]
        scores, boxes, points = (np.concatenate(parts) for parts in zip(*decoded, strict=True))
        boxes, points = boxes / scale, points / scale
        return [_face(boxes[i], points[i], float(scores[i])) for i in _suppress(boxes, scores)]


def _face(box: Float[np.ndarray, "4"], points: Float[np.ndarray, "5 2"], score: float) -> FaceBox:
    x, y, width, height = box.tolist()
    return FaceBox(x, y, width, height, score, points)


def _on_canvas(image: UInt8[np.ndarray, "h w 3"], scale: float) -> Float[np.ndarray, "1 3 640 640"]:
    """The image in the upper left of YuNet's input: BGR, 0 to 255, black around."""
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    if (height, width) != image.shape[:2]:
        image = np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))
    canvas = np.zeros((1, 3, CANVAS, CANVAS), np.float32)
    canvas[0, :, :height, :width] = image[..., ::-1].transpose(2, 0, 1)
    return canvas


def _decode(
    face: Float[np.ndarray, "n 1"],
    objectness: Float[np.ndarray, "n 1"],
    box: Float[np.ndarray, "n 4"],
    points: Float[np.ndarray, "n 10"],
    stride: int,
) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m 4"], Float[np.ndarray, "m 5 2"]]:
    """Scores, boxes (x, y, width, height) and points in canvas pixels of the cells that hold a face.

    Cells lie in rows, `stride` pixels apart. Centres and points are offsets from the cell in strides; sizes are
    logarithms of strides. The score is the geometric mean of the two confidences.
    """
    scores = np.sqrt(np.clip(face, 0, 1) * np.clip(objectness, 0, 1))[:, 0]
    kept = np.flatnonzero(scores >= MIN_SCORE)
    row, column = np.divmod(kept, CANVAS // stride)
    cell = np.stack([column, row], -1).astype(np.float32)  # m 2
    size = np.exp(box[kept, 2:]) * stride
    corner = (cell + box[kept, :2]) * stride - size / 2
    return scores[kept], np.concatenate([corner, size], -1), (cell[:, None] + points[kept].reshape(-1, 5, 2)) * stride


def _suppress(boxes: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, "n"]) -> list[int]:
    """Indices of the best box of every face, best first: greedy non-maximum suppression."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if all(_overlap(boxes[index], boxes[other]) <= MAX_OVERLAP for other in kept):
            kept.append(index)
    return kept


def _overlap(a: Float[np.ndarray, "4"], b: Float[np.ndarray, "4"]) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(a[:2] + a[2:], b[:2] + b[2:]) - np.maximum(a[:2], b[:2])
    shared = float(np.prod(np.clip(sides, 0, None)))
    return shared / (float(np.prod(a[2:]) + np.prod(b[2:])) - shared)

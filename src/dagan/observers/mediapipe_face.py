"""MediaPipe's Face Landmarker: the default face observer."""

import hashlib
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dagan.errors import UserError
from dagan.face import BLENDSHAPE_NAMES
from dagan.observers.faces import FaceObservation, HeadPose, ObserverVersion

FACE_LANDMARKER = Path(__file__).parents[1] / "assets" / "face_landmarker.task"


class MediaPipeFace:
    """MediaPipe's Face Landmarker (Apache-2.0, bundled): landmarks, head pose and blendshapes, about 14 ms a face.

    Each image is looked at by itself (no tracking), so results do not depend on their order. Use it in a `with`
    statement, or close it: MediaPipe complains about a graph that is still open when Python ends.

    Raises:
        UserError: MediaPipe is not installed, or the weights are missing.
    """

    def __init__(self, weights: Path = FACE_LANDMARKER) -> None:
        if not weights.is_file():
            raise UserError(f"face landmark weights not found: {weights}")
        self._mediapipe = _import_mediapipe()
        self.version = ObserverVersion(
            "mediapipe_face_landmarker",
            f"mediapipe {self._mediapipe.__version__}",
            hashlib.sha256(weights.read_bytes()).hexdigest(),
        )
        with _silent_stderr():
            self._landmarker = _landmarker(self._mediapipe, weights)
            self.observe(np.zeros((64, 64, 3), np.uint8))  # the native part logs on its first image, too

    def observe(self, image: UInt8[np.ndarray, "h w 3"]) -> FaceObservation | None:
        """The most prominent face of an RGB image, or None when there is none."""
        frame = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        result = self._landmarker.detect(frame)
        if not result.face_landmarks:
            return None
        return _observation(result, image.shape[0], image.shape[1])

    def close(self) -> None:
        """Frees the native graph; the observer cannot be used afterwards."""
        self._landmarker.close()

    def __enter__(self) -> "MediaPipeFace":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pose_from_matrix(matrix: Float[np.ndarray, "4 4"]) -> HeadPose:
    """Head pose from the face-to-camera transform (camera: x right, y up, looking along -z; face: nose along +z).

    The rotation is read as R = R_y(yaw) R_x(-pitch) R_z(-roll), which no uniform scale of the matrix changes.
    """
    nose = matrix[:3, 2]
    yaw = math.atan2(nose[0], nose[2])
    pitch = math.atan2(nose[1], math.hypot(nose[0], nose[2]))
    roll = -math.atan2(matrix[1, 0], matrix[1, 1])
    return HeadPose(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))


def _observation(result: Any, height: int, width: int) -> FaceObservation:
    points = np.array([(p.x, p.y, p.z) for p in result.face_landmarks[0]], np.float32)  # n 3, x and y in [0, 1]
    points *= np.array([width, height, width], np.float32)  # z has about the scale of x
    shapes = result.face_blendshapes[0]
    if tuple(shape.category_name for shape in shapes) != BLENDSHAPE_NAMES:
        raise RuntimeError("the Face Landmarker's blendshapes are not the 52 this version of dagan knows")
    scores = np.array([shape.score for shape in shapes], np.float32)
    return FaceObservation(points, pose_from_matrix(result.facial_transformation_matrixes[0]), scores)


def _import_mediapipe() -> Any:
    try:
        with _silent_stderr():
            import mediapipe
            import mediapipe.tasks.python.vision
    except ImportError as error:
        raise UserError("measuring faces needs MediaPipe, which is missing: pip install 'dagan[eval]'") from error
    return mediapipe


def _landmarker(mediapipe: Any, weights: Path) -> Any:
    vision = mediapipe.tasks.vision
    options = vision.FaceLandmarkerOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_buffer=weights.read_bytes()),
        running_mode=vision.RunningMode.IMAGE,
        num_faces=1,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    return vision.FaceLandmarker.create_from_options(options)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Sends file descriptor 2 to nowhere: MediaPipe's native start-up messages cannot be switched off otherwise."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)

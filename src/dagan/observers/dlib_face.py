"""dlib's 68 landmarks: a second observer, which shares no network with MediaPipe's.

Packages of an extra: the model data behind it excludes commercial use, so it is never part of this package.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from dagan.data.weight_files import sha256_of
from dagan.errors import UserError
from dagan.observers.faces import ObserverVersion

WEIGHTS = "shape_predictor_68_face_landmarks.dat"
MODELS = "face_recognition_models"
INSTALL = (
    "--landmarks dlib68 needs dlib and its landmark model, which are not installed: pip install 'dagan[dlib]' "
    "(the model's training data excludes commercial use)"
)
LARGER = 1  # times the image is doubled for the detector, which finds no face below 80 pixels


class Dlib68:
    """The 68 landmarks of Multi-PIE by dlib's regression trees, of the largest face that its detector finds.

    Raises:
        UserError: dlib, or the landmark model, is not installed.
    """

    def __init__(self) -> None:
        dlib, weights = _import_dlib(), _weights()
        self._detect: Any = dlib.get_frontal_face_detector()
        self._predict: Any = dlib.shape_predictor(str(weights))
        self.version = ObserverVersion("dlib, 68 points", f"dlib {dlib.__version__}", sha256_of(weights))

    def landmarks(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "68 2"] | None:
        """In pixels, edges at whole numbers; None when there is no face."""
        pixels = np.ascontiguousarray(image)
        boxes = self._detect(pixels, LARGER)
        if not boxes:
            return None
        found = self._predict(pixels, max(boxes, key=lambda box: box.area()))
        return np.array([(point.x, point.y) for point in found.parts()], np.float32) + 0.5


def _import_dlib() -> Any:
    try:
        import dlib
    except ImportError as error:
        raise UserError(INSTALL) from error
    return dlib


def _weights() -> Path:
    """The file of the package that carries it; the package itself is not imported."""
    found = find_spec(MODELS)
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        if (path := Path(folder) / "models" / WEIGHTS).is_file():
            return path
    raise UserError(INSTALL)

"""SFace (Zhong et al., 2021; OpenCV Zoo, Apache-2.0): a 128-dimensional face embedding, by onnxruntime on the CPU."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8

from dagan.data.weight_files import sha256_of
from dagan.errors import UserError
from dagan.observers.faces import FaceObserver, ObserverVersion
from dagan.runtime.packages import import_onnxruntime

SIDE = 112
# Where SFace (as ArcFace) expects the eyes, the nose tip and the mouth corners, from left to right in the picture;
# pixel centres at whole numbers.
TEMPLATE = ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041))
# The same five points of the face mesh: each eye is the mean of its two corners.
MESH_POINTS: tuple[tuple[int, ...], ...] = ((33, 133), (362, 263), (1,), (61,), (291,))


class SFace:
    """Identity embeddings of faces that are aligned by the landmarks of a face observer; about 15 ms a face.

    Raises:
        UserError: ONNX Runtime is not installed, or cannot read the weights.
    """

    def __init__(self, face: FaceObserver, weights: Path, num_threads: int = 1) -> None:
        onnxruntime = import_onnxruntime()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = num_threads, 1
        options.log_severity_level = 3  # the file lists its constants as inputs, 160 warnings
        try:
            self._session = onnxruntime.InferenceSession(
                weights.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime raises its own classes, which share no base but this
            raise UserError(f"not an ONNX file that can be read: {weights} ({str(error).splitlines()[0]})") from error
        self._input = self._session.get_inputs()[0].name
        self._face = face
        self.version = ObserverVersion(
            f"sface, aligned by {face.version.name}", f"onnxruntime {onnxruntime.__version__}", sha256_of(weights)
        )

    def identity(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " d"] | None:
        """The embedding at unit length, or None when there is no face."""
        seen = self._face.observe(image)
        if seen is None:
            return None
        aligned = align(image, five_points(seen.landmarks))
        data = rearrange(aligned, "h w c -> 1 c h w").astype(np.float32)  # RGB, 0 to 255
        embedding = self._session.run(None, {self._input: data})[0][0]
        return np.asarray(embedding / np.linalg.norm(embedding), np.float32)


def five_points(landmarks: Float[np.ndarray, "478 _d"]) -> Float[np.ndarray, "5 2"]:
    """Eyes, nose tip and mouth corners in pixels (edges at whole numbers), from left to right in an upright picture."""
    return np.stack([landmarks[list(group), :2].mean(axis=0) for group in MESH_POINTS])


def align(image: UInt8[np.ndarray, "h w 3"], points: Float[np.ndarray, "5 2"]) -> Float[np.ndarray, "112 112 3"]:
    """The face turned, scaled and moved so that its points lie on SFace's template; black beyond the image."""
    template = np.array(TEMPLATE) + 0.5  # to pixel edges at whole numbers, as the points are
    turn, shift = similarity(template, points)
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    at = np.stack([columns, rows], -1) @ turn.T + shift  # 112 112 2: where each pixel comes from
    grid = torch.from_numpy(at / np.array([image.shape[1], image.shape[0]]) * 2 - 1).float()[None]
    pixels = torch.tensor(image, dtype=torch.float32).permute(2, 0, 1)[None]
    aligned = F.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return rearrange(aligned, "1 c h w -> h w c").numpy()


def similarity(
    source: Float[np.ndarray, "n 2"], target: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, "2 2"], Float[np.ndarray, "2"]]:
    """Rotation times scale, and shift, that carry `source` onto `target` with the least squared error.

    Complex numbers say it shortest: target = a source + b, where a turns and scales; no mirroring can come out.
    """
    z, w = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    centred = z - z.mean()
    a = np.vdot(centred, w - w.mean()) / np.vdot(centred, centred).real
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag], [a.imag, a.real]]), np.array([b.real, b.imag])

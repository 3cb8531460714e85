"""Landmarks and head pose out of one look at the face mesh: each a small part of a `FaceObservation`."""

import hashlib
import math
from collections import OrderedDict

import numpy as np
from jaxtyping import Float, UInt8

from dagan.observers.faces import FaceObservation, FaceObserver, HeadPose, ObserverVersion

REMEMBERED = 8  # images: those of one pair, and the source of the next

# Points of the face mesh nearest to the 68 of Multi-PIE / dlib, in their order: jaw 17, brows 5 + 5, nose 4 + 5, eyes
# 6 + 6, outer lips 12, inner lips 8. The inner 51 mean the same spots. The jaw's 17 lie on the outline of the mesh;
# the 68-point annotation spaces them along the visible outline, so they are alike but not the same.
MESH_68: tuple[int, ...] = (
    *(162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389),
    *(71, 63, 105, 66, 107, 336, 296, 334, 293, 301),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
MIRROR_68: tuple[int, ...] = (  # the order of the 68 points in a mirrored picture
    *range(16, -1, -1),
    *range(26, 16, -1),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)
ACROSS = ((234, 454), (33, 263), (61, 291), (127, 356))  # points of the mesh from the picture's left to its right
DOWN = ((10, 152), (9, 164), (151, 18))  # from the forehead to the chin


class RememberingFace:
    """A face observer that looks once at each image, however many metrics ask."""

    def __init__(self, face: FaceObserver) -> None:
        self.face = face
        self._seen: OrderedDict[bytes, FaceObservation | None] = OrderedDict()

    @property
    def version(self) -> ObserverVersion:
        return self.face.version

    def observe(self, image: UInt8[np.ndarray, "h w 3"]) -> FaceObservation | None:
        key = image_key(image)
        if key not in self._seen:
            self._seen[key] = self.face.observe(image)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return self._seen[key]


def image_key(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """What is the same only for equal images: cheap beside any look at one."""
    return hashlib.blake2b(np.ascontiguousarray(image).tobytes() + repr(image.shape).encode(), digest_size=16).digest()


class MeshLandmarks:
    """All points of the face mesh, or the chosen ones."""

    def __init__(self, face: FaceObserver, chosen: tuple[int, ...] | None = None) -> None:
        self._face, self._chosen = face, chosen
        kind = "all points" if chosen is None else f"{len(chosen)} points"
        self.version: ObserverVersion = face.version._replace(name=f"{face.version.name}, {kind}")

    def landmarks(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "n 3"] | None:
        seen = self._face.observe(image)
        if seen is None or self._chosen is None:
            return seen.landmarks if seen is not None else None
        return seen.landmarks[list(self._chosen)]


class FittedPose:
    """The pose that the observer fits to its own face model."""

    def __init__(self, face: FaceObserver) -> None:
        self._face = face
        self.version = face.version

    def head_pose(self, image: UInt8[np.ndarray, "h w 3"]) -> HeadPose | None:
        seen = self._face.observe(image)
        return seen.pose if seen is not None else None


class AxesPose:
    """The pose of two axes through 3D landmarks, across and down the face: cruder, but with nothing fitted.

    Pitch has an offset of its own for every face (how far the chin stands out), which differences cancel.
    """

    def __init__(self, face: FaceObserver) -> None:
        self._face = face
        self.version = face.version._replace(name=f"axes of {face.version.name}")

    def head_pose(self, image: UInt8[np.ndarray, "h w 3"]) -> HeadPose | None:
        seen = self._face.observe(image)
        return pose_from_landmarks(seen.landmarks) if seen is not None else None


def pose_from_landmarks(landmarks: Float[np.ndarray, "478 3"]) -> HeadPose:
    """Head pose from the face mesh in pixels (x right, y down, z away from the camera)."""
    across, down = (np.sum([landmarks[b] - landmarks[a] for a, b in pairs], axis=0) for pairs in (ACROSS, DOWN))
    across = across / np.linalg.norm(across)
    nose = np.cross(down, across)  # towards the camera: -z for a frontal face
    nose = nose / np.linalg.norm(nose)
    yaw = math.atan2(nose[0], -nose[2])
    pitch = math.atan2(-nose[1], math.hypot(nose[0], nose[2]))
    roll = math.atan2(across[1], across[0])
    return HeadPose(math.degrees(yaw), math.degrees(pitch), math.degrees(roll))

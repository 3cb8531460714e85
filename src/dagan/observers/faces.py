"""What an observer sees of a face, and the protocols of observers: landmarks, head pose, action units, identity.

Head pose follows the picture: yaw > 0 when the nose points to the right edge of the image, pitch > 0 when it points
up, roll > 0 when the head leans clockwise as the viewer sees it (its top towards the right edge). A frontal face is
(0, 0, 0).
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from dagan.face import BLENDSHAPE_NAMES


class HeadPose(NamedTuple):
    """Head rotation in degrees; signs as in the module's first lines."""

    yaw: float
    pitch: float
    roll: float


class FaceObservation(NamedTuple):
    """The face of one image: landmarks, head pose, and expression coefficients in [0, 1] by `BLENDSHAPE_NAMES`.

    Landmarks are in pixels: x right and y down, the outer edges of the image at 0 and w or h; z grows away from the
    camera and is 0 at the head's centre.
    """

    landmarks: Float[np.ndarray, "n 3"]
    pose: HeadPose
    blendshapes: Float[np.ndarray, "52"]

    def blendshape(self, name: str) -> float:
        """One expression coefficient by its ARKit name, such as "jawOpen"."""
        return float(self.blendshapes[BLENDSHAPE_NAMES.index(name)])


class ObserverVersion(NamedTuple):
    """An observer for the report: its name, the software that ran it and the sha256 of its weights."""

    name: str
    software: str
    weights_sha256: str


@runtime_checkable
class FaceObserver(Protocol):
    """Sees at most one face in an image."""

    @property
    def version(self) -> ObserverVersion: ...

    def observe(self, image: UInt8[np.ndarray, "h w 3"]) -> FaceObservation | None: ...


@runtime_checkable
class LandmarkObserver(Protocol):
    """Landmarks in pixels, x right and y down; None when there is no face."""

    @property
    def version(self) -> ObserverVersion: ...

    def landmarks(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "n _d"] | None: ...


@runtime_checkable
class HeadPoseObserver(Protocol):
    """Head rotation in degrees; None when there is no face."""

    @property
    def version(self) -> ObserverVersion: ...

    def head_pose(self, image: UInt8[np.ndarray, "h w 3"]) -> HeadPose | None: ...


@runtime_checkable
class ActionUnitObserver(Protocol):
    """Strengths of facial action units in the order of `names`, and the `thresholds` above which each is present."""

    @property
    def version(self) -> ObserverVersion: ...

    @property
    def names(self) -> tuple[str, ...]: ...

    @property
    def thresholds(self) -> Float[np.ndarray, " u"]: ...

    def action_units(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " u"] | None: ...


@runtime_checkable
class IdentityObserver(Protocol):
    """A unit-length embedding that is alike for images of one person; None when there is no face."""

    @property
    def version(self) -> ObserverVersion: ...

    def identity(self, image: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " d"] | None: ...

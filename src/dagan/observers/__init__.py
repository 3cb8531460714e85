"""Face observers: what the metrics see of a face."""

from dagan.face import BLENDSHAPE_NAMES, NUM_MESH_POINTS
from dagan.observers.faces import (
    ActionUnitObserver,
    FaceObservation,
    FaceObserver,
    HeadPose,
    HeadPoseObserver,
    IdentityObserver,
    LandmarkObserver,
    ObserverVersion,
)
from dagan.observers.mediapipe_face import FACE_LANDMARKER, MediaPipeFace, pose_from_matrix

__all__ = [
    "BLENDSHAPE_NAMES",
    "FACE_LANDMARKER",
    "NUM_MESH_POINTS",
    "ActionUnitObserver",
    "FaceObservation",
    "FaceObserver",
    "HeadPose",
    "HeadPoseObserver",
    "IdentityObserver",
    "LandmarkObserver",
    "MediaPipeFace",
    "ObserverVersion",
    "pose_from_matrix",
]

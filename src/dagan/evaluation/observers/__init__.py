"""Face observers: what the metrics see of a face."""

from dagan.evaluation.observers.faces import (
    BLENDSHAPE_NAMES,
    ActionUnitObserver,
    FaceObservation,
    FaceObserver,
    HeadPose,
    HeadPoseObserver,
    IdentityObserver,
    LandmarkObserver,
    ObserverVersion,
)
from dagan.evaluation.observers.mediapipe_face import FACE_LANDMARKER, MediaPipeFace, pose_from_matrix
from dagan.models.face_mesh import NUM_LANDMARKS

__all__ = [
    "BLENDSHAPE_NAMES",
    "FACE_LANDMARKER",
    "NUM_LANDMARKS",
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

"""The evaluator: every observer that the metrics need, chosen by name, and what they see in one image."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from dagan.data.weight_files import ALEXNET, ASSETS, LPIPS_LINEAR, SFACE, WeightFile, find_weights, sha256_of
from dagan.errors import UserError
from dagan.evaluation.metrics.lpips import Features, LpipsAlex, load_lpips
from dagan.evaluation.regions import Regions, head_region, mouth_region
from dagan.models.matte import WEIGHTS as MATTE_WEIGHTS
from dagan.models.matte import MatteNet, load_matte
from dagan.observers.blendshape_units import EVEN_THRESHOLD, BlendshapeUnits
from dagan.observers.dlib_face import Dlib68
from dagan.observers.face_shape import FaceShape, face_shape
from dagan.observers.faces import (
    ActionUnitObserver,
    FaceObserver,
    HeadPose,
    HeadPoseObserver,
    IdentityObserver,
    LandmarkObserver,
    ObserverVersion,
)
from dagan.observers.mediapipe_face import MediaPipeFace
from dagan.observers.mesh import MESH_68, AxesPose, FittedPose, MeshLandmarks, RememberingFace, image_key
from dagan.observers.sface import SFace

REMEMBERED = 4  # images: those of one pair, and the source of the next

LANDMARKS: dict[str, Callable[[FaceObserver], LandmarkObserver]] = {
    "mediapipe478": MeshLandmarks,
    "mediapipe68": lambda face: MeshLandmarks(face, MESH_68),
    "dlib68": lambda face: Dlib68(),
}
SECOND = ("dlib68",)  # landmarks that share no network with the face observer
HEAD_POSES: dict[str, Callable[[FaceObserver], HeadPoseObserver]] = {"mediapipe": FittedPose, "axes": AxesPose}
ACTION_UNITS: dict[str, Callable[[FaceObserver], ActionUnitObserver]] = {
    "blendshapes": BlendshapeUnits,
    "even": lambda face: BlendshapeUnits(face, EVEN_THRESHOLD),
}
IDENTITIES: dict[str, Callable[[FaceObserver, Path], IdentityObserver]] = {"sface": SFace}
NONE = "none"  # an identity or perceptual network that is not wanted


class Look(NamedTuple):
    """What the evaluator sees in one image; None where there is no face, or no such observer.

    `mesh` is all points of the face observer, `shape` what they say of the face; `second_shape` is the same by a second
    observer.
    """

    image: Float[Tensor, "1 3 h w"]
    landmarks: Float[np.ndarray, "n _d"] | None
    head_pose: HeadPose | None
    action_units: Float[np.ndarray, " u"] | None
    identity: Float[np.ndarray, " d"] | None
    features: Features | None
    mesh: Float[np.ndarray, "478 _d"] | None = None
    second_shape: FaceShape | None = None

    @property
    def has_face(self) -> bool:
        return self.head_pose is not None

    @property
    def shape(self) -> FaceShape | None:
        return face_shape(self.mesh[list(MESH_68)]) if self.mesh is not None else None


@dataclass(kw_only=True)
class Evaluator:
    """The observers in use. `unmeasured` says what each missing network would have measured, and why it is missing.

    Use it in a `with` statement: MediaPipe complains about a graph that is still open when Python ends.
    """

    landmarks: LandmarkObserver
    head_pose: HeadPoseObserver
    action_units: ActionUnitObserver
    identity: IdentityObserver | None = None
    lpips: LpipsAlex | None = None
    lpips_version: ObserverVersion | None = None
    mesh: LandmarkObserver | None = None
    has_second: bool = False  # whether `landmarks` shares no network with the face observer
    matte: MatteNet | None = None
    unmeasured: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self._looks: OrderedDict[bytes, Look] = OrderedDict()

    def look(self, image: UInt8[np.ndarray, "h w 3"]) -> Look:
        """Everything the metrics ask of an image; the last few looks are kept."""
        key = image_key(image)
        if key not in self._looks:
            self._looks[key] = self._see(image)
            if len(self._looks) > REMEMBERED:
                self._looks.popitem(last=False)
        self._looks.move_to_end(key)
        return self._looks[key]

    def _see(self, image: UInt8[np.ndarray, "h w 3"]) -> Look:
        tensor = rearrange(torch.tensor(image, dtype=torch.float32) / 255, "h w c -> 1 c h w")
        with torch.inference_mode():
            features = self.lpips.look(tensor) if self.lpips is not None else None
        landmarks = self.landmarks.landmarks(image)
        second = landmarks if self.has_second else None
        return Look(
            tensor,
            landmarks,
            self.head_pose.head_pose(image),
            self.action_units.action_units(image),
            self.identity.identity(image) if self.identity is not None else None,
            features,
            self.mesh.landmarks(image) if self.mesh is not None else None,
            face_shape(second) if second is not None else None,
        )

    def regions(self, source: Look, driving: Look) -> Regions:
        """Where the regional metrics of a pair look; empty where the face observer finds no face."""
        if self.matte is None or driving.mesh is None:
            return Regions()
        height, width = driving.image.shape[2:]
        head = head_region(self.matte(driving.image), driving.mesh)
        mouth = mouth_region(source.mesh, driving.mesh, height, width) if source.mesh is not None else None
        return Regions(head, mouth)

    def versions(self) -> dict[str, ObserverVersion]:
        """Every observer by its use, for the report."""
        versions = {
            "landmarks": self.landmarks.version,
            "head pose": self.head_pose.version,
            "action units": self.action_units.version,
        }
        if self.identity is not None:
            versions["identity"] = self.identity.version
        if self.lpips_version is not None:
            versions["LPIPS"] = self.lpips_version
        if self.matte is not None:
            name, software = "selfie segmentation in PyTorch", f"torch {torch.__version__}"
            versions["matte"] = ObserverVersion(name, software, sha256_of(ASSETS / MATTE_WEIGHTS))
        return versions

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, kw_only=True)
class EvaluatorConfig:
    """Which observers, by their names in the tables above. Weights are a file or a folder; None: usual places."""

    landmarks: str = "mediapipe478"
    head_pose: str = "mediapipe"
    action_units: str = "blendshapes"
    identity: str = "sface"
    identity_weights: str | None = None
    lpips: str = "alex"
    lpips_weights: str | None = None

    def __post_init__(self) -> None:
        choices = {
            "landmarks": tuple(LANDMARKS),
            "head_pose": tuple(HEAD_POSES),
            "action_units": tuple(ACTION_UNITS),
            "identity": (*IDENTITIES, NONE),
            "lpips": ("alex", NONE),
        }
        for field, names in choices.items():
            if getattr(self, field) not in names:
                option = field.replace("_", "-")
                raise UserError(f"--{option} {getattr(self, field)}: expected one of {', '.join(names)}")

    def build(self) -> Evaluator:
        """The evaluator. Networks whose weights are not found are named in `Evaluator.unmeasured`.

        Raises:
            UserError: MediaPipe is missing, or weights whose path was given cannot be used.
        """
        sface = None if self.identity == NONE else _found((SFACE,), self.identity_weights)
        lpips = None if self.lpips == NONE else _found((ALEXNET, LPIPS_LINEAR), self.lpips_weights)
        missing = (
            ("identity (SFace weights not found; see docs/evaluate.md)", sface == ()),
            ("LPIPS (its weights not found; see docs/evaluate.md)", lpips == ()),
        )
        lpips_network, lpips_version = _lpips(*lpips) if lpips else (None, None)
        mediapipe = MediaPipeFace()
        face = RememberingFace(mediapipe)
        try:
            landmarks = LANDMARKS[self.landmarks](face)
            identity = IDENTITIES[self.identity](face, *sface) if sface else None
        except UserError:
            mediapipe.close()
            raise
        return Evaluator(
            landmarks=landmarks,
            head_pose=HEAD_POSES[self.head_pose](face),
            action_units=ACTION_UNITS[self.action_units](face),
            identity=identity,
            lpips=lpips_network,
            lpips_version=lpips_version,
            mesh=MeshLandmarks(face),
            has_second=self.landmarks in SECOND,
            matte=load_matte(),
            unmeasured=tuple(reason for reason, is_missing in missing if is_missing),
            close=mediapipe.close,
        )


def _found(wanted: tuple[WeightFile, ...], given: str | None) -> tuple[Path, ...]:
    """The files of a network; none if they are not in the usual places.

    Raises:
        UserError: a path was given, and they are not there.
    """
    try:
        return tuple(find_weights(file, given) for file in wanted)
    except UserError:
        if given is not None:
            raise
        return ()


def _lpips(alexnet: Path, linear: Path) -> tuple[LpipsAlex, ObserverVersion]:
    hashes = f"{sha256_of(alexnet)}+{sha256_of(linear)}"
    return load_lpips(alexnet, linear), ObserverVersion(
        "lpips 0.1, alexnet in float16", f"torch {torch.__version__}", hashes
    )

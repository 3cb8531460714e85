"""Landmarks of clips, as training reads them."""

from pathlib import Path

import numpy as np

from dagan.data.clips import Clip, ClipFrames
from dagan.data.landmarks import LandmarkTracks
from dagan.face import MESH_INDICES
from dagan.observers.clip_landmarks import find_landmarks, save_landmarks
from dagan.observers.faces import FaceObservation, HeadPose, ObserverVersion
from parts import face_clips


class Pretended:
    """Sees a face whose landmarks lie at the middle of the image, in all but black images."""

    version = ObserverVersion("pretended", "", "")

    def observe(self, image: np.ndarray) -> FaceObservation | None:
        if not image.any():
            return None
        height, width = image.shape[:2]
        points = np.tile([width / 2, height / 4, width / 8], (478, 1))
        return FaceObservation(points, HeadPose(0.0, 0.0, 0.0), np.full(52, 0.5))


def test_what_is_found_is_what_training_reads(tmp_path: Path) -> None:
    frames = np.full((5, 64, 128, 3), 9, np.uint8)
    frames[4] = 0
    found = find_landmarks(Pretended(), frames, stride=2)
    assert found.found.tolist() == [True, False, True, False, False]
    assert np.allclose(found.landmarks[0], [0.0, -0.5])
    assert np.allclose(found.farther[0], 0.25)
    (clip,) = face_clips(1, 5)
    clip = ClipFrames(clip.frames, Clip(Path("p__0.mp4"), "p", "p__0"))
    save_landmarks(found, tmp_path / "p__0.npz")
    tracks = LandmarkTracks([clip], [tmp_path])
    assert np.allclose(tracks.guided[0][0], np.tile([0.0, -0.5], (len(MESH_INDICES), 1)))
    assert np.isnan(tracks.guided[0][1]).all()
    assert np.allclose(tracks.expressions[0][2], 0.5)
    assert [path.name for path in tmp_path.iterdir()] == ["p__0.npz"]

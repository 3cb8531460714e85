"""Frames with ordered landmarks: what the ordinal term of the default weights is fed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dagan.data.clips import ClipFrames
from dagan.errors import UserError
from dagan.losses.face_order import RANKED_LANDMARKS
from dagan.training.depth_order import OrderedFaces, find_faces
from parts import face_clips, write_landmarks


@pytest.fixture
def clips(tmp_path: Path) -> list[ClipFrames]:
    found = face_clips(2)
    write_landmarks(tmp_path, found)
    return found


def test_a_sample_depends_on_its_number_alone_and_is_in_range(clips: list[ClipFrames], tmp_path: Path) -> None:
    faces = find_faces(clips, [tmp_path])
    first, again = OrderedFaces(faces, 48, 8, seed=0)[3], OrderedFaces(faces, 48, 99, seed=0)[3]
    other = OrderedFaces(faces, 48, 8, seed=0)[4]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.frame, other.frame)
    assert first.frame.shape == (3, 48, 48)
    assert 0 <= first.frame.min() <= first.frame.max() <= 1
    assert first.position.shape == (len(RANKED_LANDMARKS), 2)


def test_the_landmarks_stay_on_the_face_when_the_picture_is_turned_and_mirrored(tmp_path: Path) -> None:
    """A white dot at one landmark of a dark picture: wherever the sample has the dot, it has the landmark."""
    (clip,) = face_clips(1)
    frames = np.zeros_like(np.asarray(clip.frames))
    frames[:, 18:24, 40:46] = 255  # its middle is (43, 21)
    marked = ClipFrames(frames, clip.clip)
    side = frames.shape[1]
    write_landmarks(tmp_path, [marked], nose=(43 / side * 2 - 1, 21 / side * 2 - 1))
    samples = OrderedFaces(find_faces([marked], [tmp_path]), side, 12, seed=0)
    for index in range(12):
        sample = samples[index]
        brightest = sample.frame.mean(0)
        brightest = brightest * (brightest > 0.5 * brightest.max())
        y, x = torch.meshgrid(torch.arange(side) + 0.5, torch.arange(side) + 0.5, indexing="ij")
        middle = torch.stack([(brightest * at).sum() / brightest.sum() for at in (x, y)]) / side * 2 - 1
        assert (middle - sample.position[RANKED_LANDMARKS.index(1)]).norm() < 0.06


def test_depth_grows_with_the_picture_so_that_the_order_stays_as_clear(clips: list[ClipFrames], tmp_path: Path) -> None:
    samples = OrderedFaces(find_faces(clips, [tmp_path]), 48, 6, seed=0)
    sizes = torch.stack([torch.pdist(samples[index].position).max() for index in range(6)])
    depths = torch.stack([samples[index].farther.max() - samples[index].farther.min() for index in range(6)])
    assert sizes.max() > 1.05 * sizes.min()
    assert torch.allclose(depths / sizes, (depths / sizes)[0].expand(6), rtol=1e-3)


def test_a_frame_without_a_face_is_never_shown(clips: list[ClipFrames], tmp_path: Path) -> None:
    write_landmarks(tmp_path, clips, found=lambda frame: frame == 2)
    assert [face.frames.tolist() for face in find_faces(clips, [tmp_path])] == [[2], [2]]
    write_landmarks(tmp_path, clips, found=lambda frame: False)
    with pytest.raises(UserError, match="no face was found"):
        find_faces(clips, [tmp_path])


def test_landmarks_that_are_missing_or_without_depth_are_named(clips: list[ClipFrames], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no landmarks for"):
        find_faces(clips, [tmp_path / "elsewhere"])
    path = tmp_path / f"{clips[0].clip.name}.npz"
    with np.load(path) as track:
        np.savez(path.with_suffix(".old"), landmarks=track["landmarks"], found=track["found"])
    path.with_suffix(".old.npz").replace(path)
    with pytest.raises(UserError, match=r"no landmarks or farther or found.*dagan landmarks"):
        find_faces(clips, [tmp_path])

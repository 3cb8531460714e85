"""Landmarks found beforehand."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from dagan.data.landmarks import LandmarkTracks
from dagan.errors import UserError
from dagan.face import EXPRESSIONS, JAW_AND_LIDS, MESH_INDICES, MIRROR, MIRRORED_EXPRESSIONS, NUM_LANDMARKS
from dagan.observers import BLENDSHAPE_NAMES
from parts import face_clips


def write_track(folder: Path, name: str, num_frames: int = 6) -> np.ndarray:
    """Landmark n of frame t is at (t / 10, n / 1000) in every coordinate; no face in frame 2."""
    folder.mkdir(exist_ok=True)
    landmarks = np.zeros((num_frames, 478, 2), np.float16)
    landmarks[..., 0], landmarks[..., 1] = np.arange(num_frames)[:, None] / 10, np.arange(478) / 1000
    blendshapes = np.arange(52) / 100 + np.arange(num_frames)[:, None]
    found = np.arange(num_frames) != 2
    np.savez_compressed(folder / f"{name}.npz", landmarks=landmarks, found=found, blendshapes=blendshapes)
    return landmarks


def test_guided_landmarks_come_in_their_order(tmp_path: Path) -> None:
    clips = face_clips(2)
    landmarks = [write_track(tmp_path, clip.clip.name) for clip in clips][1]
    found = LandmarkTracks(clips, [tmp_path]).at(1, 3, flipped=False)
    assert found.found
    assert np.array_equal(found.position.numpy(), landmarks[3][list(MESH_INDICES)].astype(np.float32))


def test_a_mirrored_frame_has_mirrored_landmarks_with_left_and_right_exchanged(tmp_path: Path) -> None:
    clips = face_clips(1)
    landmarks = write_track(tmp_path, clips[0].clip.name)
    flipped = LandmarkTracks(clips, [tmp_path]).at(0, 3, flipped=True).position.numpy()
    assert np.array_equal(flipped, landmarks[3][[MESH_INDICES[place] for place in MIRROR]].astype(np.float32) * [-1, 1])


def test_the_mirrored_order_exchanges_pairs_and_keeps_the_midline() -> None:
    exchanged = {landmark: MESH_INDICES[place] for landmark, place in zip(MESH_INDICES, MIRROR, strict=True)}
    assert len(set(MESH_INDICES)) == NUM_LANDMARKS
    assert set(MIRROR) == set(range(NUM_LANDMARKS))
    assert all(exchanged[exchanged[landmark]] == landmark for landmark in MESH_INDICES)
    assert [landmark for landmark in MESH_INDICES if exchanged[landmark] == landmark] == [1, 152, 10, 13, 14]


@pytest.mark.parametrize("frame", [2, 6, 100], ids=["no face", "just past the track", "past the track"])
def test_frames_without_landmarks_count_as_not_found(tmp_path: Path, frame: int) -> None:
    clips = face_clips(1)
    write_track(tmp_path, clips[0].clip.name)
    missing = LandmarkTracks(clips, [tmp_path]).at(0, frame, flipped=False)
    assert not missing.found
    assert torch.equal(missing.position, torch.zeros(NUM_LANDMARKS, 2))


def test_expressions_are_named_as_blendshapes_and_unknown_without_a_face(tmp_path: Path) -> None:
    clips = face_clips(1)
    num_frames = len(clips[0])
    write_track(tmp_path, clips[0].clip.name, num_frames - 1)
    (expressions,) = LandmarkTracks(clips, [tmp_path]).expressions
    names = [BLENDSHAPE_NAMES.index(name) for name in EXPRESSIONS]
    assert expressions.shape == (num_frames, len(names))
    assert np.allclose(expressions[3], np.array(names) / 100 + 3, atol=1e-3)
    assert np.isnan(expressions[[2, num_frames - 1]]).all()  # no face, and no longer in the track


def test_a_flip_swaps_the_expressions_of_the_sides() -> None:
    names = list(EXPRESSIONS)
    mirrored = [names[place] for place in MIRRORED_EXPRESSIONS]
    assert names[JAW_AND_LIDS] == ["jawOpen", "eyeBlinkLeft", "eyeBlinkRight"]
    assert mirrored[:5] == ["jawOpen", "eyeBlinkRight", "eyeBlinkLeft", "mouthSmileRight", "mouthSmileLeft"]
    assert [name.replace("Left", "").replace("Right", "") for name in mirrored] == [
        name.replace("Left", "").replace("Right", "") for name in names
    ]
    assert [name for name, other in zip(names, mirrored, strict=True) if name == other] == [
        *("jawOpen", "mouthPucker", "browInnerUp")
    ]


def test_guided_landmarks_of_a_clip_are_unknown_without_a_face(tmp_path: Path) -> None:
    clips = face_clips(1)
    landmarks = write_track(tmp_path, clips[0].clip.name, len(clips[0]) - 1)
    (guided,) = LandmarkTracks(clips, [tmp_path]).guided
    assert guided.shape == (len(clips[0]), NUM_LANDMARKS, 2)
    assert np.array_equal(guided[3], landmarks[3][list(MESH_INDICES)].astype(np.float32))
    assert np.isnan(guided[[2, -1]]).all()


def test_every_folder_is_searched(tmp_path: Path) -> None:
    clips = face_clips(2)
    write_track(tmp_path / "one", clips[0].clip.name)
    write_track(tmp_path / "other", clips[1].clip.name)
    tracks = LandmarkTracks(clips, [tmp_path / "one", tmp_path / "other"])
    assert tracks.at(0, 0, flipped=False).found
    assert tracks.at(1, 0, flipped=False).found


def test_a_clip_without_landmarks_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"p0__0.*dagan landmarks"):
        LandmarkTracks(face_clips(1), [tmp_path])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not really", b"text"])
def test_a_damaged_track_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p0__0.npz").write_bytes(content)
    with pytest.raises(UserError, match=r"p0__0\.npz") as refused:
        LandmarkTracks(face_clips(1), [tmp_path])
    assert "\n" not in str(refused.value)


def test_a_track_of_something_else_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "p0__0.npz", poses=np.zeros(3))
    with pytest.raises(UserError, match=r"p0__0\.npz"):
        LandmarkTracks(face_clips(1), [tmp_path])


def test_a_track_that_unpacks_to_gigabytes_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = face_clips(1)
    write_track(tmp_path, clips[0].clip.name)
    monkeypatch.setattr("dagan.data.landmarks.MOST_BYTES", 1000)
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(UserError, match=r"p0__0\.npz unpacks to 0 MB, expected at most 0 MB"):
        LandmarkTracks(clips, [tmp_path])


@pytest.mark.parametrize("shape", [(6, 100, 2), (5, 478, 2), (478, 2), ()])
def test_a_track_of_another_shape_is_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    clips = face_clips(1)
    found, blendshapes = np.ones(6, bool), np.zeros((6, 52))
    np.savez(tmp_path / "p0__0.npz", landmarks=np.zeros(shape), found=found, blendshapes=blendshapes)
    with pytest.raises(UserError, match=r"p0__0\.npz: landmarks is .*, expected \(6, 478, 2\)"):
        LandmarkTracks(clips, [tmp_path])


def test_a_track_whose_shape_is_larger_than_memory_is_named(tmp_path: Path) -> None:
    clips = face_clips(1)
    write_track(tmp_path, clips[0].clip.name)
    header = io.BytesIO()
    fields = {"descr": "<f2", "fortran_order": False, "shape": (10**12, 478, 2)}
    np.lib.format.write_array_header_1_0(header, fields)
    with zipfile.ZipFile(tmp_path / "p0__0.npz", "w") as archive:
        archive.writestr("landmarks.npy", header.getvalue())
    with pytest.raises(UserError, match=r"p0__0\.npz holds no landmarks"):
        LandmarkTracks(clips, [tmp_path])

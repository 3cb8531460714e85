"""Retargeting trained on landmarks that are known and found."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dagan.data.landmarks import LandmarkTracks
from dagan.errors import UserError
from dagan.face import MEAN_FACE, MIRROR, NUM_EXPRESSIONS, NUM_LANDMARKS
from dagan.models.talking_head import TalkingHead
from dagan.training.retargeting import Faces, RetargetingRecipe, find_faces, pairs_of, train_retargeting
from dagan.transfer.retargeting import FaceRetargetingConfig
from parts import face_clips

MEAN = 0.4 * torch.tensor(MEAN_FACE)[:, :2]
JAW_DROP = 0.12


def some_faces(num_clips: int = 40, length: int = 5) -> Faces:
    """People who open their jaws to another extent in every frame, and a detector that is a little off."""
    people = MEAN + 0.012 * torch.randn(num_clips, 1, NUM_LANDMARKS, 2)
    jaw = torch.rand(num_clips, length)
    landmarks = people.expand(-1, length, -1, -1).clone()
    landmarks[:, :, [1, 8], 1] += JAW_DROP * jaw[..., None]
    landmarks = landmarks.flatten(0, 1)
    expression = torch.zeros(*jaw.shape, NUM_EXPRESSIONS)
    expression[..., 0] = jaw
    expression = expression.flatten(0, 1)
    first = length * torch.arange(num_clips).repeat_interleave(length)
    found = landmarks + 0.002 * torch.randn_like(landmarks)
    return Faces(landmarks, found, expression, first, torch.full_like(first, length))


@pytest.mark.slow
def test_what_is_trained_on_some_people_opens_the_jaws_of_others() -> None:
    model = FaceRetargetingConfig(reader_width=32, placer_width=32, gain=1.0).build()
    losses = train_retargeting(model, some_faces(), RetargetingRecipe(steps=300, batch_size=64, learning_rate=5e-3))
    assert losses["reading"] < 0.01
    strangers = some_faces()
    shut, jaw = strangers.landmarks.clone(), strangers.expression[:, 0]
    shut[:, [1, 8], 1] -= JAW_DROP * jaw[:, None]
    with torch.no_grad():
        moved = model.of_landmarks(shut.roll(5, 0), shut)(strangers.landmarks).position  # the next person's
    dropped = (moved - shut.roll(5, 0))[:, 8, 1] / JAW_DROP
    assert torch.corrcoef(torch.stack([dropped, jaw]))[0, 1] > 0.9


def test_training_gives_the_same_weights_again() -> None:
    faces, recipe = some_faces(4), RetargetingRecipe(steps=4, batch_size=8)
    states = []
    for _ in range(2):
        torch.manual_seed(0)
        model = FaceRetargetingConfig(reader_width=8, placer_width=8).build()
        before = {name: value.clone() for name, value in model.state_dict().items()}
        train_retargeting(model, faces, recipe)
        states.append(model.state_dict())
        assert not torch.equal(before["reader.0.weight"], states[-1]["reader.0.weight"])
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_pairs_are_of_one_clip_and_mirrored_or_found_alike() -> None:
    faces = some_faces(6)
    source, driving, expression = pairs_of(faces, 200, torch.Generator().manual_seed(0))
    seen = set()
    for a, b, value in zip(source, driving, expression, strict=True):
        for points in (faces.landmarks, faces.found):
            for flip in (False, True):
                all_points = points[:, MIRROR] * torch.tensor([-1.0, 1.0]) if flip else points
                at = [(all_points == one).all((1, 2)).nonzero() for one in (a, b)]
                if len(at[0]) and len(at[1]):
                    seen.add((points is faces.found, flip))
                    assert faces.first[at[0]] == faces.first[at[1]]
                    assert value[0] == faces.expression[at[0], 0]
    assert len(seen) == 4


def test_eyes_change_places_in_the_mirror() -> None:
    faces = some_faces(2)
    strengths = torch.arange(NUM_EXPRESSIONS) / 100
    faces = faces._replace(expression=strengths.expand(len(faces.first), NUM_EXPRESSIONS))
    _, _, expression = pairs_of(faces, 50, torch.Generator().manual_seed(0))
    assert {tuple(row.tolist()) for row in expression[:, :3]} == {
        tuple(strengths[[0, *eyes]].tolist()) for eyes in ((1, 2), (2, 1))
    }


@pytest.fixture
def tracked(tmp_path: Path) -> Path:
    """Two clips of six frames: four of the first have a face, none of the second."""
    rng = np.random.default_rng(0)
    for clip, found in zip(face_clips(2), ([1, 1, 0, 1, 1, 0], [0] * 6), strict=True):
        np.savez(
            tmp_path / f"{clip.clip.name}.npz",
            landmarks=rng.uniform(-0.6, 0.6, (6, 478, 2)),
            found=np.array(found, bool),
            blendshapes=rng.uniform(0, 1, (6, 52)),
        )
    return tmp_path


def test_faces_are_found_in_frames_whose_landmarks_are_known(tiny_config, tracked: Path) -> None:
    from dataclasses import replace

    keypoints = replace(tiny_config.keypoints, num_keypoints=NUM_LANDMARKS + 1)
    model: TalkingHead = replace(tiny_config, keypoints=keypoints).build().eval()
    clips = face_clips(2)
    tracks = LandmarkTracks(clips, [tracked])
    faces = find_faces(model, clips, tracks, per_clip=3)
    chosen = [0, 3, 4]  # the first, one between, the last of 0, 1, 3, 4
    assert torch.equal(faces.landmarks, torch.from_numpy(tracks.guided[0][chosen]))
    assert torch.equal(faces.expression, torch.from_numpy(tracks.expressions[0][chosen]))
    assert faces.first.tolist() == [0, 0, 0]
    assert faces.length.tolist() == [3, 3, 3]
    images = torch.from_numpy(clips[0].frames[chosen]).permute(0, 3, 1, 2) / 255
    expected = model.view(images).keypoints.position[:, :NUM_LANDMARKS]
    assert torch.allclose(faces.found, expected, atol=1e-5)
    with pytest.raises(UserError, match="no face is known in any of 1 clips"):
        find_faces(model, clips[1:], LandmarkTracks(clips[1:], [tracked]), per_clip=3)

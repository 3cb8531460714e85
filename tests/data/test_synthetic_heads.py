"""The world of known depth: its truths agree with each other and with the pictures."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dagan.data.synthetic import BACKGROUND, BODY, HEAD, SyntheticClip, synthetic_clip
from dagan.data.synthetic.raster import rasterise
from dagan.data.synthetic.shape import HeadShape, directions, head_radius
from dagan.data.synthetic.store import synthetic_clips
from dagan.errors import UserError

SIZE = 64


@pytest.fixture(scope="module")
def clip() -> SyntheticClip:
    return synthetic_clip(5, SIZE, identity=5)


@pytest.fixture(scope="module")
def moving() -> SyntheticClip:
    return synthetic_clip(12, SIZE, identity=3)


def centres() -> np.ndarray:
    y, x = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    return np.stack([x, y], -1)


def test_a_clip_comes_from_its_seeds_alone(clip: SyntheticClip) -> None:
    again, other_person = synthetic_clip(5, SIZE, 5), synthetic_clip(1, SIZE, 6)
    other_scene = synthetic_clip(1, SIZE, 5, clip=1)
    assert np.array_equal(clip.frames, again.frames)
    assert np.array_equal(clip.depth, again.depth)
    for other in (other_person, other_scene):
        assert np.abs(clip.frames[0].astype(int) - other.frames[0]).mean() > 5


def test_a_longer_clip_begins_as_the_shorter_one(clip: SyntheticClip) -> None:
    assert np.array_equal(synthetic_clip(2, SIZE, 5).frames, clip.frames[:2])


def test_every_frame_shows_a_head_on_a_body_before_a_background(clip: SyntheticClip) -> None:
    for identity in range(3):
        one = synthetic_clip(1, SIZE, identity)
        share = [(one.part[0] == part).mean() for part in (BACKGROUND, BODY, HEAD)]
        assert share[0] > 0.2
        assert share[1] > 0.03
        assert 0.1 < share[2] < 0.5
        depth, part = one.depth[0], one.part[0]
        assert depth[part == HEAD].max() < depth[part == BACKGROUND].min()


def test_the_nose_stands_out_the_eyes_lie_in_sockets_and_the_ears_stick_out() -> None:
    def radius(u: float, v: float) -> float:
        direction = np.array([np.cos(v) * np.sin(u), np.sin(v), -np.cos(v) * np.cos(u)])
        return float(head_radius(direction[None], HeadShape())[0])

    nose, beside_nose = radius(0, 0.36), radius(0.35, 0.36)
    assert nose > beside_nose + 0.012
    assert radius(0.36, 0.0) < radius(0.36, -0.2)  # under the brow
    assert radius(1.62, 0.07) > radius(1.2, 0.07) + 0.01
    assert np.allclose(np.linalg.norm(directions(np.array([0.3]), np.array([2.0])), axis=-1), 1)


def test_depth_pose_and_camera_predict_the_flow_of_the_rigid_head(clip: SyntheticClip) -> None:
    rotation = clip.rotation[1] @ clip.rotation[0].T
    shift = clip.translation[1] - rotation @ clip.translation[0]
    rays = np.concatenate([centres(), np.ones((SIZE, SIZE, 1))], -1) @ np.linalg.inv(clip.intrinsics).T
    moved = (rays * clip.depth[0][..., None]) @ rotation.T + shift
    landed = moved @ clip.intrinsics.T
    flow = landed[..., :2] / landed[..., 2:] - centres()
    apart = np.linalg.norm(flow - clip.flow[0], axis=-1)[clip.part[0] == HEAD]
    assert np.median(apart) < 1e-3  # most of the head is rigid
    assert np.percentile(apart, 99) < 0.3  # the rest talks


def test_the_next_frame_read_along_the_flow_shows_the_same_colours_where_it_is_not_hidden(
    moving: SyntheticClip,
) -> None:
    at = int(np.abs(moving.flow).mean((1, 2, 3)).argmax())
    frame, following = torch.from_numpy(moving.frames[at : at + 2]).permute(0, 3, 1, 2).float().div(255).split(1)
    seen = (moving.part[at] == HEAD) & ~moving.occluded[at]

    def error(share: float) -> float:
        """Along so much of the flow; blurred, since textures as fine as the pixels alias."""
        grid = torch.from_numpy((centres() + share * moving.flow[at]) * 2 / SIZE - 1)[None].float()
        carried = torch.nn.functional.grid_sample(following, grid, padding_mode="border", align_corners=False)
        difference = torch.nn.functional.avg_pool2d(carried - frame, 3, 1, 1)
        return float(difference.abs().mean(1)[0].numpy()[seen].mean())

    assert error(1.0) < 0.9 * error(0.0) < 0.9 * error(-1.0)  # the rest is light that changes
    assert error(1.0) < error(2.0)


def test_background_that_the_head_is_about_to_cover_counts_as_occluded(moving: SyntheticClip) -> None:
    clip = moving
    covered = (clip.part[:-1] == BACKGROUND) & (clip.part[1:] == HEAD)
    assert covered.any()
    assert clip.occluded[covered].all()
    stays = (clip.part[:-1] == BACKGROUND) & (clip.part[1:] == BACKGROUND)
    assert not clip.occluded[stays].any()
    assert np.abs(clip.flow[stays]).max() == 0


def test_the_rasteriser_interpolates_depth_as_it_lies_on_a_slanted_triangle() -> None:
    corners = np.array([[-1.0, -1, 2], [3, -1, 6], [-1, 3, 2]])
    focal, middle = 8.0, 8.0
    projected = corners[:, :2] / corners[:, 2:] * focal + middle
    at = rasterise(projected, corners[:, 2], np.array([[0, 1, 2]]), 16, 16)
    x = at.pixel % 16 + 0.5 - middle
    plane = 3 / (1 - x / focal)  # the plane z = x + 3 along each ray
    assert len(at.pixel) > 10
    assert np.allclose(at.depth, plane)
    assert np.allclose(at.weights.sum(-1), 1)


def test_of_two_triangles_the_nearer_one_is_seen() -> None:
    square = np.array([[0.0, 0], [8, 0], [0, 8], [8, 8]])
    projected, depth = np.concatenate([square, square]), np.array([2.0] * 4 + [1.0] * 4)
    at = rasterise(projected, depth, np.array([[0, 1, 2], [1, 3, 2], [4, 5, 6]]), 8, 8)
    assert len(at.pixel) == 64
    assert len(set(at.pixel.tolist())) == 64
    near = at.pixel[at.triangle == 2]
    assert all(pixel % 8 + pixel // 8 < 8 for pixel in near)
    assert len(near) >= 28


def test_stored_clips_are_rendered_once_and_read_back_with_their_truth(tmp_path: Path) -> None:
    (first,) = synthetic_clips([2], tmp_path, 2, 32)
    written = {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    (second,) = synthetic_clips([2], tmp_path, 2, 32)
    assert written == {file: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    clip, truth = synthetic_clip(2, 32, 2), second.truth()
    assert np.array_equal(first.clip.frames[0], clip.frames[0])
    assert np.array_equal(truth.depth, clip.depth)
    assert np.array_equal(truth.intrinsics, clip.intrinsics)
    with pytest.raises(UserError, match="cannot write"):
        synthetic_clips([2], Path("/proc/nothing"), 2, 32)

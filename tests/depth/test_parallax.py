import math

import torch

from dagan.depth.estimate import DepthPicture, portrait_camera
from dagan.depth.parallax import MARGIN, NUM_FRAMES, SWING, build_scene, orbit, parallax_frames, render
from dagan.geometry.camera import rotation_from_axis_angle

SIDE = 64
CAMERA = portrait_camera(SIDE, SIDE, float(SIDE))


def smooth_image() -> torch.Tensor:
    y, x = torch.meshgrid(torch.linspace(0, 6, SIDE), torch.linspace(0, 6, SIDE), indexing="ij")
    return torch.stack([x.sin(), y.sin(), (x + y).cos()])[None] / 2 + 0.5


def head_before_wall() -> tuple[torch.Tensor, torch.Tensor]:
    """A bright disc before a wall whose left half is dark red and whose right half is dark green."""
    x = torch.arange(SIDE) + 0.5 - SIDE / 2
    disc = torch.hypot(x[:, None], x[None]) < 18
    image = torch.zeros(1, 3, SIDE, SIDE)
    image[:, 0, :, : SIDE // 2] = 0.4
    image[:, 1, :, SIDE // 2 :] = 0.4
    image[:, :, disc] = 1
    return image, torch.where(disc, 0.8, 1.1)[None, None]


def test_the_path_is_closed_smooth_and_as_wide_as_asked():
    path = torch.cat(list(orbit(40, 6.0)))
    steps = (path.roll(-1, 0) - path).norm(dim=1)
    assert steps.max() < 2.2 * steps.min()
    assert math.isclose(math.degrees(path[:, 1].abs().max()), 6, rel_tol=1e-5)
    assert torch.allclose(path.mean(0), torch.zeros(3), atol=1e-7)


def test_a_camera_that_stays_sees_the_picture_from_a_little_closer():
    image = smooth_image()
    scene = build_scene(image, torch.ones(1, 1, SIDE, SIDE), CAMERA)
    seen = render(scene, torch.zeros(1, 3))
    grid = torch.nn.functional.affine_grid(
        torch.eye(2, 3)[None] / (1 + MARGIN * SWING), [1, 3, SIDE, SIDE], align_corners=False
    )
    expected = torch.nn.functional.grid_sample(image, grid, align_corners=False)
    assert (seen - expected).abs().max() < 0.03


def test_the_head_stays_and_the_wall_moves():
    image, depth = head_before_wall()
    scene = build_scene(image, depth, CAMERA)
    turn = 0.08
    left, right = (render(scene, torch.tensor([[0.0, angle, 0.0]])) for angle in (turn, -turn))

    def centre_of_head(seen: torch.Tensor) -> float:
        weight = seen.amin(1)[0] > 0.7
        return float((weight * torch.arange(SIDE)).sum() / weight.sum())

    assert abs(centre_of_head(left) - centre_of_head(right)) < 1
    border = [(seen[0, 1, 2] > 0.2).nonzero()[0].item() for seen in (left, right)]  # where green begins, above the head
    shift = 2 * SIDE * (1 + MARGIN * SWING) * 2 * turn * (1.1 - 0.8) / 1.1
    assert abs(border[0] - border[1]) >= 0.7 * shift


def test_what_comes_into_view_beside_the_head_is_wall_not_hole():
    image, depth = head_before_wall()
    scene = build_scene(image, depth, CAMERA)
    for axis_angle in orbit(8, 6.0):
        seen = render(scene, axis_angle)
        assert (seen[:, :2].sum(1) > 0.38).all()  # red, green, a mixture of them, or white: nowhere black
        dim = seen[0].amin(0) < 0.2
        assert (seen[0].amax(0)[dim] < 0.55).float().mean() > 0.9  # and the head is not smeared over the wall


def test_turning_all_points_keeps_their_distance_to_the_pivot():
    image, depth = head_before_wall()
    scene = build_scene(image, depth, CAMERA)
    assert scene.pivot.tolist() == [0, 0, torch.tensor(0.8).item()]
    rotation = rotation_from_axis_angle(next(orbit(4)))[0]
    assert torch.allclose(rotation @ rotation.T, torch.eye(3), atol=1e-6)


def test_frames_come_one_by_one_and_go_round():
    image, depth = head_before_wall()
    disparity = (1 / depth - 1 / 1.2) / (1 / 0.7 - 1 / 1.2)
    frames = list(parallax_frames(DepthPicture(image, disparity, CAMERA)))
    assert len(frames) == NUM_FRAMES
    step = (frames[0] - frames[1]).abs().mean()
    assert (frames[0] - frames[-1]).abs().mean() < 2 * step + 1e-3
    assert (frames[0] - frames[NUM_FRAMES // 2]).abs().mean() > 2 * step

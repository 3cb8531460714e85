import pytest
import torch

from dagan.depth.estimate import DepthPicture, portrait_camera
from dagan.depth.export import export_picture, following_bounds, limited
from dagan.errors import UserError
from dagan.geometry.camera import back_project
from dagan.images import colour_map


def picture(disparity: torch.Tensor) -> DepthPicture:
    height, width = disparity.shape[2:]
    return DepthPicture(torch.rand(1, 3, height, width), disparity, portrait_camera(width, height, float(width)))


def test_the_colours_of_a_video_follow_slowly():
    bounds = following_bounds(torch.tensor([[[[0.2, 0.8]]]]), None)
    assert bounds == pytest.approx((0.2, 0.8))
    one_flash = following_bounds(torch.tensor([[[[0.2, 1.0]]]]), bounds)
    assert one_flash[0] == pytest.approx(0.2)
    assert 0.8 < one_flash[1] < 0.82
    for _ in range(200):
        bounds = following_bounds(torch.tensor([[[[0.4, 1.0]]]]), bounds)
    assert bounds == pytest.approx((0.4, 1.0), abs=1e-3)


def test_equal_depths_have_equal_colours_between_the_same_bounds():
    one, other = torch.tensor([[[[0.3, 0.5]]]]), torch.tensor([[[[0.5, 0.9]]]])
    assert torch.equal(colour_map(one, (0.2, 0.8))[..., 1], colour_map(other, (0.2, 0.8))[..., 0])
    assert torch.equal(colour_map(other, (0.2, 0.8))[..., 1], colour_map(other)[..., 1])  # beyond the bounds: the last


def test_a_smaller_map_is_of_the_same_place():
    flat = picture(torch.full((1, 1, 30, 60), 0.5))
    small = limited(flat, 20)
    assert small.disparity.shape == (1, 1, 10, 20)
    points, coarse = (back_project(p.depth, torch.linalg.inv(p.intrinsics)) for p in (flat, small))
    assert torch.allclose(coarse[0, :, 4, 7], points[0, :, 13, 22], atol=1e-6)  # the middle one of 3 x 3 pixels
    assert limited(flat, 100).disparity.shape == (1, 1, 30, 60)


def test_a_map_that_is_all_jumps_gives_no_empty_mesh(tmp_path):
    checks = (torch.arange(64)[:, None] + torch.arange(64)[None]) % 2
    with pytest.raises(UserError, match="would be empty"):
        list(export_picture(picture(checks.float()[None, None]), {"glb": tmp_path / "mesh.glb"}))
    assert not list(tmp_path.iterdir())

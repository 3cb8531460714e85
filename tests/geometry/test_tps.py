"""Random warps of the plane."""

import numpy as np
import torch
from torch import Tensor

import references
from dagan.geometry.tps import PlaneWarp


def random_warp(batch: int = 2, seed: int = 0) -> PlaneWarp:
    return PlaneWarp.random(batch, torch.Generator().manual_seed(seed), torch.zeros(()))


def test_the_warp_equals_its_definition_written_as_loops() -> None:
    plane_warp, points = random_warp(), torch.rand(2, 4, 2) * 2 - 1
    moved = plane_warp(points)
    for b in range(2):
        facts = plane_warp.linear[b], plane_warp.shift[b], plane_warp.controls, plane_warp.weights[b]
        for n in range(4):
            expected = references.plane_warp(points[b, n].numpy(), *(fact.numpy() for fact in facts))
            assert np.allclose(moved[b, n].numpy(), expected, atol=1e-5)


def test_the_jacobian_is_the_one_that_autograd_finds() -> None:
    plane_warp, points = random_warp(1), torch.rand(1, 6, 2) * 2 - 1

    def one(point: Tensor) -> Tensor:
        return plane_warp(point.view(1, 1, 2)).view(2)

    expected = torch.stack([torch.autograd.functional.jacobian(one, point) for point in points[0]])
    assert torch.allclose(plane_warp.jacobian(points)[0], expected, atol=1e-4)


def test_without_weights_and_with_the_unit_matrix_nothing_moves() -> None:
    still = PlaneWarp(torch.eye(2)[None], torch.zeros(1, 2), torch.rand(9, 2), torch.zeros(1, 9))
    points = torch.rand(1, 5, 2)
    assert torch.equal(still(points), points)
    assert torch.equal(still.jacobian(points), torch.eye(2).expand(1, 5, 2, 2))


def test_the_grid_is_the_warp_of_every_pixel_centre() -> None:
    grid = random_warp().grid(3, 5)
    centres = torch.from_numpy(references.grid(3, 5)).float().view(1, 15, 2).expand(2, -1, -1)
    assert torch.allclose(grid.reshape(2, 15, 2), random_warp()(centres), atol=1e-6)


def test_a_seed_gives_one_warp_another_seed_another_and_each_image_its_own() -> None:
    points = torch.rand(1, 5, 2).expand(2, -1, -1)
    first, again, other = random_warp()(points), random_warp()(points), random_warp(seed=1)(points)
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)
    assert not torch.allclose(first[0], first[1], atol=1e-3)


def test_random_warps_bend_but_stay_near_the_identity() -> None:
    plane_warp = random_warp(100)
    points = (torch.rand(1, 50, 2) * 2 - 1).expand(100, -1, -1)
    moved = (plane_warp(points) - points).norm(dim=-1)
    assert 0.03 < moved.mean() < 0.3
    jacobian = plane_warp.jacobian(points)
    assert torch.linalg.det(jacobian).min() > 0.2  # never folded
    assert jacobian.std(dim=1).mean() > 0.005  # more than affine


def test_an_affine_plane_warp_is_its_motion_everywhere() -> None:
    motion = torch.tensor([[[1.1, -0.2, 0.1], [0.3, 0.9, -0.2]]])
    points = torch.rand(1, 7, 2) * 2 - 1
    warp = PlaneWarp.affine(motion)
    assert torch.allclose(warp(points), points @ motion[:, :, :2].mT + motion[:, None, :, 2])
    assert torch.equal(warp.jacobian(points), motion[:, None, :, :2].expand(1, 7, 2, 2))

"""L_E: Eq. 12, and FOMM's form for local frames."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from dagan.geometry.tps import PlaneWarp
from dagan.losses.equivariance import equivariance, jacobian_equivariance
from dagan.models.keypoints import KeypointConfig
from dagan.types import Keypoints
from parts import identity_flow, random_keypoints


def random_warp(batch: int = 2) -> PlaneWarp:
    return PlaneWarp.random(batch, torch.default_generator, torch.zeros(()))


def carried(transformed: Keypoints, plane_warp: PlaneWarp) -> Keypoints:
    """Keypoints of the image whose transformed image has `transformed`: points at T(x), frames turned by dT/dx."""
    assert transformed.jacobian is not None
    frames = plane_warp.jacobian(transformed.position) @ transformed.jacobian
    return Keypoints(plane_warp(transformed.position), frames)


def test_points_and_frames_that_move_with_the_image_have_no_loss() -> None:
    plane_warp, transformed = random_warp(), random_keypoints(with_jacobian=True)
    keypoints = carried(transformed, plane_warp)
    assert equivariance(keypoints, transformed, plane_warp) == 0
    assert jacobian_equivariance(keypoints, transformed, plane_warp).item() == pytest.approx(0, abs=1e-5)


def test_a_spot_that_is_warped_with_its_image_is_carried_back_to_where_it_was() -> None:
    """The image sampled at T(z) shows at x_T what the image shows at T(x_T): the direction of T, from pixels."""
    side, at = 128, torch.tensor([0.2, -0.3])
    grid = identity_flow(1, side, side)
    spot = torch.exp(-0.5 * (grid - at).square().sum(-1) / 0.002)[:, None]
    plane_warp = PlaneWarp.random(1, torch.Generator().manual_seed(3), spot)
    warped = functional.grid_sample(spot, plane_warp.grid(side, side), align_corners=False)

    def mean(image: torch.Tensor) -> Keypoints:
        weight = image[:, 0] / image.sum()
        return Keypoints((weight[..., None] * grid).sum((1, 2))[:, None])

    assert equivariance(mean(spot), mean(warped), plane_warp) < 2e-3
    assert equivariance(mean(spot), mean(spot), plane_warp) > 2e-2  # standing still would be wrong


def test_points_that_go_astray_cost_their_mean_distance() -> None:
    plane_warp, transformed = random_warp(), random_keypoints()
    astray = Keypoints(plane_warp(transformed.position) + torch.tensor([0.1, -0.3]))
    assert equivariance(astray, transformed, plane_warp).item() == pytest.approx(0.2, abs=1e-5)


def test_frames_that_do_not_turn_cost_their_distance_from_turning() -> None:
    quarter = PlaneWarp(
        torch.tensor([[[0.0, -1.0], [1.0, 0.0]]]), torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1, 1)
    )
    unturned = Keypoints(torch.rand(1, 3, 2), torch.eye(2).expand(1, 3, 2, 2))
    assert jacobian_equivariance(unturned, unturned, quarter).item() == pytest.approx(1.0, abs=1e-4)  # all entries by 1


def test_gradients_reach_the_points_and_frames_of_both_images() -> None:
    keypoints, transformed = random_keypoints(with_jacobian=True), random_keypoints(with_jacobian=True)
    leaves = [value.requires_grad_() for value in (*keypoints, *transformed) if value is not None]
    plane_warp = random_warp()
    equivariance(keypoints, transformed, plane_warp).backward()
    jacobian_equivariance(keypoints, transformed, plane_warp).backward()
    assert all(leaf.grad is not None and leaf.grad.flatten(1).abs().sum(1).min() > 0 for leaf in leaves)


def test_the_loss_of_frames_does_not_move_points() -> None:
    keypoints, transformed = random_keypoints(with_jacobian=True), random_keypoints(with_jacobian=True)
    position = transformed.position.requires_grad_()
    assert transformed.jacobian is not None
    transformed.jacobian.requires_grad_()
    jacobian_equivariance(keypoints, transformed, random_warp()).backward()
    assert position.grad is None


def test_gradients_reach_the_detector() -> None:
    config = KeypointConfig(num_keypoints=3, width=4, cap=8, num_blocks=2, kernel=3, has_jacobian=True)
    for loss, head in ((equivariance, "heatmap.weight"), (jacobian_equivariance, "jacobian.conv.weight")):
        detector, plane_warp, image = replace(config).build(), random_warp(), torch.rand(2, 3, 64, 64)
        warped = functional.grid_sample(image, plane_warp.grid(64, 64), align_corners=False)
        loss(detector(image, None), detector(warped, None), plane_warp).backward()
        moved = {name for name, p in detector.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
        assert head in moved
        if loss is equivariance:
            assert "hourglass.down.0.conv.weight" in moved


def test_frames_that_are_missing_are_said_to_be() -> None:
    with pytest.raises(ValueError, match="jacobians"):
        jacobian_equivariance(random_keypoints(), random_keypoints(), random_warp())

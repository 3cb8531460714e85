"""F_kp: Eq. 6."""

from dataclasses import replace

import pytest
import torch

from dagan.geometry.keypoints import position_from_heatmap
from dagan.models.keypoints import TEMPERATURE, KeypointConfig, KeypointDetector, Modality
from dagan.nn.blocks import FixedSize

TINY = KeypointConfig(num_keypoints=5, width=4, cap=8, num_blocks=2, kernel=3)
RGBD = replace(TINY, modality=Modality.RGBD)
FRAMES = replace(TINY, has_jacobian=True)


@pytest.mark.parametrize("config", [TINY, RGBD, FRAMES, replace(TINY, num_stem_blocks=1)])
@pytest.mark.parametrize("size", [(32, 32), (96, 96), (64, 32)])
def test_every_image_gets_k_points_inside_of_it(config: KeypointConfig, size: tuple[int, int]) -> None:
    detector = config.build().eval()
    position, jacobian, *_ = detector(torch.rand(3, 3, *size), torch.rand(3, 1, *size))
    assert position.shape == (3, 5, 2)
    assert position.abs().max() < 1
    assert (None if jacobian is None else tuple(jacobian.shape)) == ((3, 5, 2, 2) if config.has_jacobian else None)


def test_a_fixed_working_size_gives_the_same_points_for_a_picture_of_any_size() -> None:
    detector = replace(TINY, resize=FixedSize(side=16)).build().eval()
    image = torch.rand(1, 3, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
    small = image[..., ::2, ::2]
    assert torch.allclose(detector(image, None).position, detector(small, None).position, atol=1e-2)


def test_points_are_the_mean_positions_under_a_softmax_of_the_maps() -> None:
    detector, seen = TINY.build().eval(), []
    detector.heatmap.register_forward_hook(lambda module, inputs, logits: seen.append(logits))
    position = detector(torch.rand(2, 3, 32, 32), None).position
    heatmap = torch.softmax(seen[0].flatten(2) / TEMPERATURE, -1).view_as(seen[0])
    assert torch.allclose(position, position_from_heatmap(heatmap), atol=1e-6)


def test_depth_moves_rgbd_points_and_not_rgb_points() -> None:
    image, flat, steep = torch.rand(1, 3, 32, 32), torch.zeros(1, 1, 32, 32), torch.rand(1, 1, 32, 32)
    with_depth, without = RGBD.build().eval(), TINY.build().eval()
    assert not torch.allclose(with_depth(image, flat).position, with_depth(image, steep).position, atol=1e-4)
    assert torch.equal(without(image, flat).position, without(image, None).position)


def test_rgbd_points_without_depth_are_refused() -> None:
    with pytest.raises(ValueError, match="depth network"):
        RGBD.build()(torch.rand(1, 3, 32, 32), None)


def test_modalities_join_image_and_depth_in_the_papers_order() -> None:
    image, depth = torch.rand(1, 3, 8, 8), torch.rand(1, 1, 8, 8)
    assert torch.equal(Modality.RGBD.join(image, depth), torch.cat([image, depth], 1))
    assert (Modality.RGB.num_channels, Modality.RGBD.num_channels) == (3, 4)


def test_local_frames_start_as_the_identity() -> None:
    jacobian = FRAMES.build().eval()(torch.rand(2, 3, 32, 32), None).jacobian
    assert jacobian is not None
    assert torch.allclose(jacobian, torch.eye(2).expand(2, 5, 2, 2), atol=1e-5)


def test_points_stay_float32_under_autocast() -> None:
    detector = FRAMES.build().eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        position, jacobian, *_ = detector(torch.rand(1, 3, 32, 32), None)
    assert jacobian is not None
    assert position.dtype == jacobian.dtype == torch.float32


def test_gradients_of_points_and_frames_reach_every_parameter() -> None:
    detector: KeypointDetector = replace(RGBD, has_jacobian=True, num_stem_blocks=1).build()
    position, jacobian, *_ = detector(torch.rand(2, 3, 64, 64), torch.rand(2, 1, 64, 64))
    assert jacobian is not None
    (position * torch.randn(5, 2)).sum().add((jacobian * torch.randn(5, 2, 2)).sum()).backward()
    untouched = {n for n, p in detector.named_parameters() if p.grad is None or p.grad.abs().sum() == 0}
    assert untouched <= {"heatmap.bias"}  # the same for all pixels: the softmax does not see it

"""One test for each numbered equation of the paper, against loops or by what the text says of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

import references
from dagan.geometry.camera import reproject
from dagan.geometry.grid import coordinate_grid
from dagan.geometry.local_motion import offset
from dagan.geometry.tps import PlaneWarp
from dagan.geometry.warp import warp
from dagan.losses.equivariance import equivariance
from dagan.losses.keypoint_distance import crowding, keypoint_distance
from dagan.losses.objective import PAPER_OBJECTIVE, TERMS, Objective
from dagan.losses.photometric import photometric_error
from dagan.models.decoder import PlainDecoderConfig
from dagan.models.generator import GeneratorConfig
from dagan.models.keypoints import TEMPERATURE, KeypointConfig, Modality
from dagan.models.pose import PoseConfig
from dagan.models.refine import AttentionConfig
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from parts import random_keypoints, tiny_perceptual


def array(value: Tensor) -> np.ndarray:
    return value.detach().double().numpy()


def test_equation_01_depth_comes_from_one_image_alone(tiny_model: TalkingHead) -> None:
    images = torch.rand(2, 3, 64, 64)
    depth = tiny_model.view(images).depth
    assert depth is not None
    assert tiny_model.depth is not None
    assert depth.shape == (2, 1, 64, 64)
    assert depth.min() > 0
    assert torch.allclose(depth[:1], tiny_model.depth(images[:1]), atol=1e-5)


def test_equation_02_pose_and_camera_come_from_both_images_in_their_order() -> None:
    network = PoseConfig(base_width=8, head_width=8).build().eval()
    one, other = torch.rand(2, 1, 3, 64, 64)
    pose, back = network(one, other), network(other, one)
    assert torch.allclose(pose.rotation @ pose.rotation.mT, torch.eye(3), atol=1e-5)
    assert torch.linalg.det(pose.rotation).item() == pytest.approx(1, abs=1e-5)
    assert pose.translation.shape == (1, 3)
    assert torch.equal(pose.intrinsics.tril(-1), torch.zeros(1, 3, 3))
    assert pose.intrinsics.diagonal(dim1=1, dim2=2).min() > 0
    assert not torch.allclose(pose.rotation, back.rotation, atol=1e-6)


def test_equation_03_pixels_land_where_the_loops_say() -> None:
    network = PoseConfig(base_width=8, head_width=8, motion_scale=1.0).build().eval()
    pose = network(torch.rand(1, 3, 32, 48), torch.rand(1, 3, 32, 48))
    depth = torch.rand(1, 1, 32, 48) + 0.5
    expected = references.reproject(array(depth[0, 0]), *(array(part[0]) for part in pose))
    assert np.allclose(array(reproject(depth, pose).grid[0]), expected, atol=1e-4)


def test_equation_04_the_image_is_rebuilt_by_bilinear_interpolation() -> None:
    neighbour, landed = torch.rand(1, 3, 6, 9), torch.rand(1, 6, 9, 2) * 2.4 - 1.2
    expected = references.warp(array(neighbour[0]), array(landed[0]))
    rebuilt = functional.grid_sample(neighbour, landed, padding_mode="border", align_corners=False)  # as stage 1 does
    assert np.allclose(array(rebuilt[0]), expected, atol=1e-5)
    assert torch.allclose(warp(neighbour, landed), rebuilt)


def test_equation_05_the_photometric_error_weighs_ssim_by_0_8() -> None:
    frame, rebuilt = torch.rand(2, 1, 3, 6, 7, dtype=torch.float64)
    expected = references.photometric_error(array(rebuilt[0]), array(frame[0]), alpha=0.8)
    assert np.allclose(array(photometric_error(rebuilt, frame)[0, 0]), expected)
    assert photometric_error(frame, frame).abs().max() < 1e-9


def test_equation_06_keypoints_come_from_the_image_joined_with_its_depth() -> None:
    config = KeypointConfig(modality=Modality.RGBD, width=4, cap=8, num_blocks=2, kernel=3)
    detector, image, depth, seen = config.build().eval(), torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32), []
    detector.resize.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    detector.heatmap.register_forward_hook(lambda module, inputs, logits: seen.append(logits))
    keypoints = detector(image, depth)
    joined, logits = seen
    assert torch.equal(joined, torch.cat([image, depth], dim=1))
    rows = [references.softmax(array(row)) for row in logits.flatten(2)[0] / TEMPERATURE]
    expected = references.expectation(np.array(rows).reshape(15, 8, 8))
    assert keypoints.position.shape == (1, 15, 2)  # K = 15, Sec. 4.2
    assert np.allclose(array(keypoints.position[0]), expected, atol=1e-5)


def test_equation_07_offsets_are_source_minus_driving_keypoints() -> None:
    source, driving = random_keypoints(1), random_keypoints(1)
    grid = coordinate_grid(6, 8, source.position)
    moved = offset(source, driving, grid)
    assert np.allclose(
        array(moved[0]), references.offset_motion(array(source.position[0]), array(driving.position[0]), 6, 8)
    )
    offsets = (moved - grid)[:, :, 0, 0]
    assert torch.allclose(offsets, source.position - driving.position, atol=1e-6)


def test_equation_08_the_source_feature_is_warped_by_the_masked_motion_and_occluded() -> None:
    generator = GeneratorConfig(width=4, cap=8, decoder=PlainDecoderConfig(num_res_blocks=1))
    config = TalkingHeadConfig(
        keypoints=KeypointConfig(num_keypoints=3, width=4, cap=8, num_blocks=2),
        motion=replace(TalkingHeadConfig().motion, width=4, cap=8, num_blocks=2),
        generator=generator,
    )
    model, image, seen = config.build().eval(), torch.rand(1, 3, 32, 32), []
    model.generator.refine.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    source, driving = random_keypoints(1, 3), random_keypoints(1, 3)
    rendering = model.render(model.view(image)._replace(keypoints=source), driving)
    motions = references.offset_motion(array(source.position[0]), array(driving.position[0]), 8, 8)
    motions = np.concatenate([references.grid(8, 8)[None], motions])  # the background stays
    masked = (array(rendering.mask[0])[..., None] * motions).sum(0)  # M_m * w_m
    appearance = array(model.generator.encoder(image)[-1][0])  # E_I(I_s)
    expected = array(rendering.occlusion[0]) * references.warp(appearance, masked)
    assert np.allclose(array(rendering.flow[0]), masked, atol=1e-5)
    assert np.allclose(array(seen[0][0]), expected, atol=1e-4)


def test_equation_09_depth_queries_attend_to_the_warped_feature() -> None:
    attention = AttentionConfig().build(16)
    depth, warped = torch.randn(2, 1, 16, 4, 5)
    refined = attention(warped, depth, True)
    named = {"q": attention.query, "k": attention.key, "v": attention.value}
    weights = {f"W_{name}": array(layer.weight)[:, :, 0, 0] for name, layer in named.items()}
    weights |= {f"b_{name}": array(layer.bias) for name, layer in named.items()}
    feature, rows = references.attention(array(depth[0].flatten(1)), array(warped[0].flatten(1)), weights)
    assert np.allclose(array(refined.feature[0].flatten(1)), feature, atol=1e-5)
    assert refined.attention is not None
    assert np.allclose(array(refined.attention[0]), rows, atol=1e-5)
    assert np.allclose(array(refined.attention.sum(-1)), 1, atol=1e-5)


def test_equation_10_the_loss_is_the_sum_weighted_as_in_section_4_2() -> None:
    weights = dict(PAPER_OBJECTIVE)
    feature_matching = weights.pop("feature_matching")  # a part of L_G (A.1), weighted as in FOMM
    assert weights == {"perceptual": 10, "adversarial": 1, "equivariance": 10, "keypoint_distance": 10}
    values = {name: 0.1 * (place + 1) for place, name in enumerate(TERMS) if name in dict(PAPER_OBJECTIVE)}
    total = Objective(PAPER_OBJECTIVE).total({name: torch.tensor(value) for name, value in values.items()})
    expected = sum(weight * values[name] for name, weight in weights.items())
    assert total.item() == pytest.approx(expected + feature_matching * values["feature_matching"], rel=1e-5)


def test_equation_11_the_perceptual_loss_sums_four_resolutions() -> None:
    perceptual = tiny_perceptual(scales=(1.0, 0.5, 0.25, 0.125))
    generated, driving = torch.rand(2, 1, 3, 16, 16)
    expected = 0.0
    for factor in (1, 2, 4, 8):
        pair = [array(image[0]) for image in (generated, driving)]
        if factor > 1:
            pair = [np.stack([references.shrink(channel, factor) for channel in image]) for image in pair]
        features = [perceptual.vgg(torch.from_numpy(image).float()[None]) for image in pair]
        expected += sum(np.mean(abs(array(ours) - array(theirs))) for ours, theirs in zip(*features, strict=True))
    assert perceptual(generated, driving).item() == pytest.approx(expected, rel=2e-3)
    assert perceptual(driving, driving) == 0


def test_equation_12_keypoints_are_carried_back_by_the_known_transformation() -> None:
    plane_warp = PlaneWarp.random(1, torch.default_generator, torch.zeros(()))
    keypoints, transformed = random_keypoints(1), random_keypoints(1)
    facts = plane_warp.linear[0], plane_warp.shift[0], plane_warp.controls, plane_warp.weights[0]
    carried = [references.plane_warp(point, *map(array, facts)) for point in array(transformed.position[0])]
    expected = np.mean([abs(x - back).mean() for x, back in zip(array(keypoints.position[0]), carried, strict=True)])
    assert equivariance(keypoints, transformed, plane_warp).item() == pytest.approx(expected, rel=1e-4)


def test_equation_13_crowded_keypoints_are_counted_and_ours_is_zero_where_the_count_is() -> None:
    crowded = 0.4 * random_keypoints(1, 8).position
    counted = references.pair_values(array(crowded[0]), lambda distance: 1 - np.sign(distance - 0.2))
    assert 0 < counted < 2
    assert crowding(crowded).item() == pytest.approx(counted, rel=1e-5)
    assert keypoint_distance(crowded) > 0
    spread = crowded * 0.25 / (crowded[:, :, None] - crowded[:, None]).abs().sum(-1).add(9 * torch.eye(8)).min()
    assert crowding(spread) == keypoint_distance(spread) == 0

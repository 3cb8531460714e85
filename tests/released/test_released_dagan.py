"""The published DaGAN, imported: every tensor and every loss of the reference results (RELEASED_MODEL.md)."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import dagan
import published
from dagan.geometry.grid import corner_grid
from dagan.geometry.tps import PlaneWarp
from dagan.losses.adversarial import discriminator_adversarial, feature_distances, generator_adversarial
from dagan.losses.equivariance import equivariance, jacobian_equivariance
from dagan.losses.keypoint_distance import released_crowding
from dagan.losses.perceptual import PerceptualLoss
from dagan.models.weights import load_discriminator
from dagan.nn.blocks import ReleasedDown
from dagan.nn.pyramid import PAPER_SCALES, ImagePyramid
from dagan.nn.vgg import VGG, VGG_19
from dagan.types import Keypoints

pytestmark = pytest.mark.data
TOLERANCE = 1e-4
VIEWS = ("source", "driving", "driving_initial")
MODES = [(relative, adapt) for relative in (0, 1) for adapt in (0, 1)]
TENSORS = [
    *(f"disp_source_scale{scale}" for scale in range(4)),
    "disp_driving",
    *(f"kp_{view}_{part}" for view in (*VIEWS, "transformed") for part in ("value", "jacobian")),
    *(f"kp_norm_relative{r}_adapt{a}_{part}" for r, a in MODES for part in ("value", "jacobian")),
    *("mask", "occlusion_map", "deformation", "deformed", "prediction", "prediction_relative_adapt", "attention_rows"),
    *(f"pyramid_driving_{scale}" for scale in PAPER_SCALES[1:]),
    *("disc_prediction_map_real", "disc_prediction_map_generated", "tps_frame", "tps_jacobian_at_kp"),
]
INPUTS = {"source_u8", "driving_u8", "driving_initial_u8", "attention_queries", "tps_theta", "tps_control_params"}


def keypoint_parts(name: str, keypoints: Keypoints) -> dict[str, Tensor]:
    assert keypoints.jacobian is not None
    return {f"kp_{name}_value": keypoints.position, f"kp_{name}_jacobian": keypoints.jacobian}


@pytest.fixture(scope="module")
def arrays(reference) -> dict[str, Tensor]:
    return reference("dagan")


@pytest.fixture(scope="module")
def plane_warp(arrays) -> PlaneWarp:
    theta, weights = arrays["tps_theta"][None], arrays["tps_control_params"][None]
    controls = PlaneWarp.random(1, torch.Generator(), theta).controls
    return PlaneWarp(theta[..., :2], theta[..., 2], controls, weights)


@pytest.fixture(scope="module")
def model_file(imported):
    return imported("dagan", prefix="module.")


@pytest.fixture(scope="module")
def ours(model_file, arrays, images, plane_warp) -> dict[str, Any]:
    """Everything that the reference has, by its names, and the judgements, from one load of the imported file."""
    model = dagan.load(model_file)
    with torch.inference_mode():
        found = dict(results(model, arrays, images, plane_warp))
        return found | judgements(model_file, images, found)


def results(model, arrays, images, plane_warp) -> Iterator[tuple[str, Tensor]]:
    views = {name: model.view(images[name]) for name in VIEWS}
    source, driving, initial = (views[name].keypoints for name in VIEWS)
    for scale, disparity in enumerate(model.depth.pyramid(images["source"])):
        yield f"disp_source_scale{scale}", disparity
    yield "disp_driving", views["driving"].depth
    for name, view in views.items():
        yield from keypoint_parts(name, view.keypoints).items()
    for relative, adapt in MODES:
        moved = dagan.transfer(source, driving, initial, relative=bool(relative), adapt_scale=bool(adapt))
        yield from keypoint_parts(f"norm_relative{relative}_adapt{adapt}", moved).items()
    rendering = model.render(views["source"], driving, with_attention=True)
    yield from zip(("prediction", "deformation", "mask", "occlusion_map", "deformed"), rendering[:5], strict=True)
    yield "attention_rows", rendering.attention[0, arrays["attention_queries"]]
    moved = dagan.transfer(source, driving, initial, relative=True, adapt_scale=True)
    yield "prediction_relative_adapt", model.render(views["source"], moved).generated
    grid = plane_warp.grid(256, 256, corner_grid)
    frame = F.grid_sample(images["driving"], grid, padding_mode="reflection", align_corners=False)
    transformed = model.view(frame).keypoints
    yield "tps_frame", frame
    yield "tps_jacobian_at_kp", plane_warp.jacobian(transformed.position)
    yield from keypoint_parts("transformed", transformed).items()
    for scale, level in zip(PAPER_SCALES, ImagePyramid(down=ReleasedDown)(images["driving"]), strict=True):
        yield f"pyramid_driving_{scale}", level


def judgements(model_file, images, found: dict[str, Tensor]) -> dict[str, Any]:
    _, discriminator = load_discriminator(model_file)
    driving = Keypoints(found["kp_driving_value"])
    real, fake = (discriminator(image, driving) for image in (images["driving"], found["prediction"]))
    maps = {"disc_prediction_map_real": real.prediction, "disc_prediction_map_generated": fake.prediction}
    return maps | {"real": real, "fake": fake}


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_is_the_published_one(name, ours, arrays):
    assert published.largest_difference(ours[name], arrays[name]) <= TOLERANCE


def test_no_tensor_of_the_reference_is_left_out(arrays):
    elsewhere = {"prediction_spade", "disp_source_resnet50"}  # test_released_spade.py, test_released_depth.py
    assert set(arrays) == set(TENSORS) | INPUTS | elsewhere


def test_attention_rows_are_whole(ours):
    torch.testing.assert_close(ours["attention_rows"].sum(-1), torch.ones(4))


def test_the_adversarial_losses_are_the_published_ones(ours, reference_losses):
    assert float(generator_adversarial(ours["fake"])) == pytest.approx(reference_losses["generator_gan"], rel=TOLERANCE)
    both = float(discriminator_adversarial(ours["real"], ours["fake"]))
    assert both == pytest.approx(reference_losses["discriminator_gan"], rel=TOLERANCE)


def test_feature_matching_is_the_published_one_in_each_layer(ours, reference_losses):
    distances = [float(distance) for distance in feature_distances(ours["real"], ours["fake"])]
    assert distances == pytest.approx(reference_losses["feature_matching"], rel=TOLERANCE)


@pytest.mark.parametrize("view", ["source", "driving"])
def test_the_keypoint_distance_is_the_published_one(view, ours, reference_losses):
    distance = float(released_crowding(ours[f"kp_{view}_value"]))
    assert distance == pytest.approx(reference_losses[f"kp_distance_{view}"], rel=TOLERANCE)


def test_both_equivariance_losses_are_the_published_ones(ours, plane_warp, reference_losses):
    seen, transformed = (
        Keypoints(ours[f"kp_{name}_value"], ours[f"kp_{name}_jacobian"]) for name in ("driving", "transformed")
    )
    value = float(equivariance(seen, transformed, plane_warp))
    assert value == pytest.approx(reference_losses["equivariance_value"], rel=TOLERANCE)
    jacobian = float(jacobian_equivariance(seen, transformed, plane_warp))
    assert jacobian == pytest.approx(reference_losses["equivariance_jacobian"], rel=TOLERANCE)


def test_the_perceptual_loss_is_the_published_one_at_every_scale_and_layer(ours, images, reference_losses):
    vgg = VGG(VGG_19)
    vgg.load_state_dict({name: published.rule_tensor(name, value.shape) for name, value in vgg.state_dict().items()})
    loss = PerceptualLoss(vgg, down=ReleasedDown)
    with torch.inference_mode():
        levels = list(loss.distances(ours["prediction"], images["driving"]))
    for scale, level in zip(("1", "0.5", "0.25", "0.125"), levels, strict=True):
        distances = [float(distance) for distance in level]
        assert distances == pytest.approx(reference_losses["perceptual"][scale], rel=TOLERANCE), scale

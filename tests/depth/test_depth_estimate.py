import math
from itertools import repeat

import numpy as np
import pytest
import torch

import dagan
from dagan.data.pictures import read_image
from dagan.depth.estimate import Framing, depth_pictures, estimate_depth, load_face_depth, portrait_camera
from dagan.errors import UserError
from dagan.images import Crop, apply_crop
from dagan.inference.quarter_turn import turn
from dagan.models.depth import depth_from_disparity
from dagan.models.weights import save_model


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)


def test_disparity_is_that_of_the_network_on_the_crop(frame, tiny_model):
    crop = Crop(20, 10, 60)
    seen = estimate_depth(frame, tiny_model.depth, crop=crop, size=256)
    with torch.inference_mode():
        expected = tiny_model.depth(apply_crop(frame, crop, 256)[None])
    assert torch.equal(seen.image, apply_crop(frame, crop, 256)[None])
    assert (seen.disparity - expected).abs().mean() < 0.02  # bicubic here, bilinear there
    assert torch.equal(seen.depth, depth_from_disparity(seen.disparity))


def test_the_whole_picture_holds_the_depth_of_the_crop_in_its_place(frame, tiny_model):
    crop = Crop(20, 10, 60)
    whole = estimate_depth(frame, tiny_model.depth, crop=crop, whole=True, size=120)
    alone = estimate_depth(frame, tiny_model.depth, crop=crop, size=60)
    assert whole.image.shape == (1, 3, 80, 120)
    inside = whole.disparity[..., 10:70, 20:80]
    assert torch.allclose(inside[..., 4:-4, 4:-4], alone.disparity[..., 4:-4, 4:-4], atol=0.01)
    assert torch.allclose(whole.image[0] * 255, torch.from_numpy(frame).permute(2, 0, 1).float(), atol=0.01)


def test_the_whole_picture_has_the_focal_length_of_its_crop(frame, tiny_model):
    framing = Framing(Crop(20, 10, 60), whole=True, size=240)
    whole = next(depth_pictures([frame], tiny_model.depth, [framing]))
    assert whole.intrinsics[0].tolist() == [[240, 0, 120], [0, 240, 80], [0, 0, 1]]  # 2 sides of 120 pixels


def test_the_portrait_camera_is_that_of_stage_1():
    from dagan.models.pose import PoseConfig

    pose = PoseConfig(num_layers=18, base_width=8, head_width=8).build().eval()
    with torch.inference_mode():
        start = pose(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)).intrinsics
    assert torch.allclose(portrait_camera(64, 64, 64.0), start)


@pytest.mark.parametrize("whole", [False, True])
def test_a_picture_that_lies_is_seen_upright_and_comes_out_as_it_lies(frame, tiny_model, whole):
    upright = next(depth_pictures([frame], tiny_model.depth, [Framing((20, 10, 60), whole, 120)]))
    lying = turn(frame, 1)
    seen = next(depth_pictures([lying], tiny_model.depth, [Framing((20, 10, 60), whole, 120, quarter=3)]))
    assert torch.equal(seen.image, torch.rot90(upright.image, 1, (2, 3)))
    assert torch.equal(seen.disparity, torch.rot90(upright.disparity, 1, (2, 3)))
    assert seen.intrinsics[0, :2, 2].tolist() == upright.intrinsics[0, :2, 2].flip(0).tolist()
    assert seen.intrinsics[0, 0, 0] == upright.intrinsics[0, 0, 0]


@pytest.mark.parametrize("degrees", [20.0, 90.0])
def test_a_field_of_view_is_the_angle_across_the_width(degrees):
    camera = portrait_camera(100, 60, 10.0, degrees)[0]
    edge = torch.linalg.inv(camera) @ torch.tensor([100.0, 30.0, 1.0])
    assert math.degrees(2 * math.atan(float(edge[0]))) == pytest.approx(degrees, rel=1e-5)
    assert camera[0, 0] == camera[1, 1]


def test_frames_are_seen_when_they_are_asked_for(frame, tiny_model):
    asked = []
    frames = (asked.append(number) or frame for number in range(3))
    pictures = depth_pictures(frames, tiny_model.depth, repeat(Framing(Crop(0, 0, 64), size=64)))
    next(pictures)
    assert asked == [0]


def test_a_depth_file_and_a_model_file_give_the_same_network(tmp_path, tiny_model, tiny_config):
    save_model(tmp_path / "model.safetensors", tiny_model, tiny_config)
    save_model(tmp_path / "depth.safetensors", tiny_model.depth, tiny_config.depth)
    image = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        maps = [load_face_depth(tmp_path / f"{name}.safetensors")(image) for name in ("model", "depth")]
        assert torch.equal(maps[0], maps[1])
        assert torch.equal(maps[0], tiny_model.depth(image))


def test_a_model_without_depth_is_refused(tmp_path):
    from dagan import presets
    from parts import narrowed

    config = narrowed(presets.FOMM)
    save_model(tmp_path / "fomm.safetensors", config.build(), config)
    with pytest.raises(UserError, match="no depth network"):
        load_face_depth(tmp_path / "fomm.safetensors")


def test_the_bundled_network_sees_a_head_before_its_background():
    from importlib.resources import files

    portrait = read_image(str(files("dagan") / "assets" / "astronaut.png"))
    seen = dagan.estimate_depth(portrait, size=64)
    middle, corners = seen.depth[..., 24:40, 24:40], seen.depth[..., :6, [0, 1, 2, -3, -2, -1]]
    assert middle.max() < corners.min()

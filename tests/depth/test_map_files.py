import json

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.depth.estimate import DepthPicture, portrait_camera
from dagan.depth.map_files import npy_stream, write_npy, write_png, write_raw_png


@pytest.fixture
def picture() -> DepthPicture:
    return DepthPicture(torch.rand(1, 3, 12, 20), torch.rand(1, 1, 12, 20), portrait_camera(20, 12, 10.0))


def test_a_16_bit_map_gives_depth_back_by_what_its_text_says(tmp_path, picture):
    write_raw_png(tmp_path / "raw.png", picture)
    with Image.open(tmp_path / "raw.png") as image:
        assert image.mode == "I;16"
        depth = np.asarray(image) / json.loads(image.text["depth_scale"])
        assert json.loads(image.text["intrinsics"]) == [[20, 0, 10], [0, 20, 6], [0, 0, 1]]
    assert np.abs(depth - picture.depth[0, 0].numpy()).max() < 0.51e-4


def test_numbers_are_exact(tmp_path, picture):
    write_npy(tmp_path / "depth.npy", picture.depth)
    read = np.load(tmp_path / "depth.npy", allow_pickle=False)
    assert read.dtype == np.float32
    assert np.array_equal(read, picture.depth[0, 0].numpy())


@pytest.mark.parametrize("count", [1, 2, 1234])
def test_maps_of_a_video_become_one_array_of_any_length(tmp_path, count):
    maps = torch.rand(count, 1, 1, 3, 5)
    with npy_stream(tmp_path / "depth.npy") as write:
        for depth in maps:
            write(depth)
    assert np.array_equal(np.load(tmp_path / "depth.npy", allow_pickle=False), maps[:, 0, 0].numpy())


def test_a_broken_stream_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), npy_stream(tmp_path / "depth.npy") as write:  # noqa: PT012
        write(torch.rand(1, 1, 3, 5))
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


def test_colours_are_kept(tmp_path, picture):
    write_png(tmp_path / "a.png", picture.image)
    seen = np.asarray(Image.open(tmp_path / "a.png")) / 255
    assert np.abs(seen - picture.image[0].permute(1, 2, 0).numpy()).max() < 0.5 / 255 + 1e-6

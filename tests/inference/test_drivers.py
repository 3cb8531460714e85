from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
import torch

from dagan.data.decoding import read_frames
from dagan.errors import UserError
from dagan.images import Crop
from dagan.inference import drivers
from dagan.inference.drivers import cropped_frames, open_driver
from dagan.inference.recorded_motion import RecordedMotion, save_motion
from dagan.inference.video import VideoWriter
from dagan.types import Keypoints

RATE = Fraction(12)


@pytest.fixture
def video(tmp_path):
    """Two seconds of a brightening square of 64 pixels, with a dark band on the left to be cropped away."""
    with VideoWriter(tmp_path / "driving.mp4", RATE, (96, 64)) as writer:
        for index in range(24):
            frame = np.full((64, 96, 3), 60 + 4 * index, np.uint8)
            frame[:, :32] = 0
            writer.write(frame)
    return tmp_path / "driving.mp4"


def test_a_video_driver_knows_the_rate_and_length_of_its_file(video):
    driver = open_driver(video, "none", 32)
    assert (driver.rate, driver.num_frames, driver.audio) == (RATE, 24, None)


def test_a_motion_driver_is_chosen_by_the_ending_of_the_file(tmp_path):
    save_motion(RecordedMotion(Keypoints(torch.zeros(7, 5, 2)), RATE, "0"), tmp_path / "motion.SAFETENSORS")
    driver = open_driver(tmp_path / "motion.SAFETENSORS", "auto", 256)
    assert (driver.rate, driver.num_frames, driver.audio) == (RATE, 7, None)


def test_cropped_frames_are_the_chosen_square_at_the_chosen_size(video):
    frames = list(cropped_frames(video, RATE, Crop(32, 0, 64), 32))
    assert len(frames) == 24
    assert frames[0].shape == (1, 3, 32, 32)
    brightness = torch.stack([frame.mean() * 255 for frame in frames])
    torch.testing.assert_close(brightness, 60 + 4.0 * torch.arange(24), atol=3, rtol=0)


def test_a_face_is_looked_for_a_few_times_in_the_first_seconds_only(video, monkeypatch):
    decoded, looked_at = [], []

    def endless(*_):
        while True:
            decoded.append(1)
            yield from islice(read_frames(video), 1)

    monkeypatch.setattr(drivers, "read_frames", endless)
    monkeypatch.setattr(drivers, "crop_for_video", lambda sample, *_, **__: looked_at.extend(sample) or Crop(0, 0, 64))
    cropped_frames(video, RATE, "auto", 32)
    assert len(looked_at) == drivers.LOOKS_PER_SECOND * drivers.SECONDS_LOOKED_AT
    assert len(decoded) <= RATE * drivers.SECONDS_LOOKED_AT


def test_a_video_without_a_face_is_named(video):
    with pytest.raises(UserError, match=r"no face found in .*driving\.mp4"):
        open_driver(video, "auto", 32)

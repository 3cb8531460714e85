"""What moves a portrait: how a video is framed, and what becomes of frames without a face."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from dagan.errors import UserError
from dagan.images import Crop
from dagan.inference import framing
from dagan.inference.animator import Animator
from dagan.inference.drivers import check_faces, cropped_frames, followable, open_driver, watched
from dagan.inference.recorded_motion import RecordedMotion, save_motion
from dagan.inference.video import VideoWriter
from dagan.types import Keypoints
from drawn_faces import ColourDetector, scene, with_person

RATE = Fraction(12)
SIDE = 96


def write(path, frames, times=None):
    with VideoWriter(path, RATE, (frames[0].shape[1], frames[0].shape[0])) as writer:
        for number, frame in enumerate(frames):
            writer.write(frame, *((times[number],) if times else ()))
    return path


@pytest.fixture
def video(tmp_path):
    """Two seconds of a brightening square of 64 pixels, with a dark band on the left to be cropped away."""
    frames = [np.full((64, 96, 3), 60 + 4 * index, np.uint8) for index in range(24)]
    for frame in frames:
        frame[:, :32] = 0
    return write(tmp_path / "driving.mp4", frames)


@pytest.fixture
def lossless_frames(monkeypatch):
    """A driver in memory: what `open_driver` would decode, and its faces found by their colour."""

    def use(frames):
        from dagan.inference import drivers

        monkeypatch.setattr(drivers, "read_frames", lambda *_: iter(frames))
        monkeypatch.setattr(framing, "YuNet", ColourDetector)

    return use


@pytest.fixture
def animator(tiny_model):
    made = Animator(tiny_model, "torch", "fp32")
    made.set_source(torch.rand(1, 3, 64, 64))
    return made


def person(number, size=(SIDE, SIDE)):
    return with_person(scene(size=size), 24 + round(6 * np.sin(number / 3)), 24, 48)


def test_a_video_driver_knows_the_rate_and_length_of_its_file(video):
    driver = open_driver(video, "none")
    assert (driver.rate, driver.num_frames, driver.audio, driver.times) == (RATE, 24, None, None)


def test_a_motion_driver_is_chosen_by_the_ending_of_the_file(tmp_path):
    save_motion(RecordedMotion(Keypoints(torch.zeros(7, 5, 2)), RATE, "0"), tmp_path / "motion.SAFETENSORS")
    driver = open_driver(tmp_path / "motion.SAFETENSORS", "auto")
    assert (driver.rate, driver.num_frames, driver.audio) == (RATE, 7, None)


def test_a_variable_rate_gives_the_time_of_each_frame(tmp_path):
    times = [Fraction(number, 12 if number < 12 else 6) for number in range(24)]
    times = [time if number < 12 else Fraction(1) + Fraction(number - 12, 6) for number, time in enumerate(times)]
    frames = [np.full((64, 64, 3), 100 + number, np.uint8) for number in range(24)]
    driver = open_driver(write(tmp_path / "v.mp4", frames, times), "none")
    assert [shown.time for shown in driver.times] == times


def test_cropped_frames_are_the_chosen_square_at_the_chosen_size(video):
    _, found = cropped_frames(video, Crop(32, 0, 64), 32)
    frames = list(found)
    assert len(frames) == 24
    assert frames[0].shape == (1, 3, 32, 32)
    brightness = torch.stack([frame.mean() * 255 for frame in frames])
    torch.testing.assert_close(brightness, 60 + 4.0 * torch.arange(24), atol=3, rtol=0)


def test_a_video_without_a_face_is_named_with_how_much_was_looked_at(video):
    with pytest.raises(UserError, match=r"no face found in .*driving\.mp4 \(looked at \d+ of \d+ frames\)"):
        open_driver(video, "auto")


def test_frames_without_a_face_hold_the_last_pose(video, lossless_frames, animator):
    black = np.zeros((SIDE, SIDE, 3), np.uint8)
    lossless_frames([person(i) for i in range(8)] + [black] * 8 + [person(i) for i in range(8)])
    driver = open_driver(video, "auto")
    motion = watched(driver, animator)
    position = motion.keypoints.position
    assert driver.framing.found.tolist() == [True] * 8 + [False] * 8 + [True] * 8
    assert torch.equal(position[8:16], position[7:8].expand(8, -1, -1))
    assert not torch.equal(position[16], position[7])  # eased back


def test_a_driver_with_a_face_in_each_frame_moves_as_it_is(animator):
    frames = [torch.rand(1, 3, 64, 64) for _ in range(4)]
    motion = animator.watch(frames, RATE)
    kept = followable(motion, np.ones(4, bool), animator)
    assert torch.equal(kept.keypoints.position, motion.keypoints.position)


def test_the_rest_frame_is_one_that_shows_the_face(animator):
    motion = animator.watch([torch.rand(1, 3, 64, 64) for _ in range(6)], RATE)
    best = animator.rest_frame(motion)
    others = [number for number in range(6) if number != best]
    assert animator.rest_frame(motion, others) in others


def test_more_than_half_without_a_face_is_refused(video, lossless_frames):
    black = np.zeros((SIDE, SIDE, 3), np.uint8)
    lossless_frames([person(0)] * 5 + [black] * 6)
    with pytest.raises(UserError, match=r"6 of 11 frames of clip\.mp4 have no face; .* --force"):
        check_faces(open_driver(video, "auto"), "clip.mp4")
    lossless_frames([person(0)] * 6 + [black] * 6)
    check_faces(open_driver(video, "auto"), "clip.mp4")

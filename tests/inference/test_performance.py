from fractions import Fraction

import numpy as np
import pytest
import torch

from dagan.errors import UserError
from dagan.images import to_pixels
from dagan.inference.animator import Animator
from dagan.inference.performance import Performer, perform
from dagan.inference.recorded_motion import record_motion
from dagan.types import Keypoints

SIDE = 64


def image(seed: int) -> torch.Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("motion", ["relative", "absolute"])
def test_pictures_are_the_animators_renderings(tiny_model, motion):
    frames = [image(seed) for seed in range(1, 6)]
    animator = Animator(tiny_model, motion)
    animator.set_source(image(0))
    expected = np.stack([to_pixels(rendering.generated) for rendering in animator.stream(frames)])
    pictures = np.stack(list(perform(tiny_model, image(0), motion, False, "torch", "fp32").stream(frames)))
    assert pictures.dtype == np.uint8
    assert np.abs(pictures.astype(int) - expected).max() <= 1


def test_a_recorded_motion_gives_the_pictures_of_its_video(tiny_model):
    frames = [image(seed) for seed in (1, 2, 3)]
    performer = perform(tiny_model, image(0), runtime="torch", precision="fp32", rest="first")
    motion = record_motion(tiny_model, frames, Fraction(25))
    apart = np.stack(list(performer.from_motion(motion))).astype(int) - np.stack(list(performer.stream(frames)))
    assert np.abs(apart).max() <= 1


def test_of_a_watched_video_the_frame_most_like_the_source_is_the_one_that_motion_counts_from(tiny_model):
    frames = [image(seed) for seed in (1, 2, 0, 3)]
    performer = perform(tiny_model, image(0), runtime="torch", precision="fp32")
    animator = Animator(tiny_model)
    animator.set_source(image(0))
    motion = performer.watch(iter(frames), Fraction(25))
    expected = [to_pixels(rendering.generated) for rendering in animator.from_motion(motion)]
    pictures = np.stack(list(performer.from_motion(motion)))
    assert np.abs(pictures.astype(int) - np.stack(expected)).max() <= 1
    with torch.inference_mode():
        view = tiny_model.view(image(0))
        still = to_pixels(tiny_model.render(view, view.keypoints).generated)
    assert np.abs(pictures[2].astype(int) - still).max() <= 1


def test_a_motion_of_another_model_is_refused_before_the_first_frame(tiny_model, tiny_config):
    foreign = record_motion(tiny_config.build().eval(), [image(1)], Fraction(25))
    with pytest.raises(UserError, match=r"recorded with model .* but this is model"):
        perform(tiny_model, image(0), runtime="torch").from_motion(foreign)


def test_a_video_without_frames_gives_no_pictures(tiny_model):
    assert list(perform(tiny_model, image(0), runtime="torch").stream([])) == []


class Slow:
    """An engine whose odd frames take longer, to see that order is kept; a picture is as bright as its frame."""

    name, precision, num_workers = "slow", "fp32", 3

    def set_source(self, source) -> None: ...

    def keypoints(self, frame) -> Keypoints:
        import time

        time.sleep(0.02 * (round(float(frame.mean()) * 255) % 2))
        return Keypoints(frame[:, :1, :2, 0])

    def picture(self, driving) -> torch.Tensor:
        return driving.position.mean().expand(1, 3, 4, 4)


def test_pictures_come_in_the_order_of_their_frames_with_few_in_flight(tiny_model):
    with torch.inference_mode():
        source = tiny_model.view(image(0))
    taken = []
    frames = (taken.append(level) or torch.full((1, 3, SIDE, SIDE), level / 255) for level in range(20))
    seen, leads = [], []
    for picture in Performer(tiny_model, Slow(), source, motion="absolute").stream(frames):
        seen.append(int(picture[0, 0, 0]))
        leads.append(len(taken) - len(seen))
    assert seen == list(range(20))
    assert max(leads) <= Slow.num_workers

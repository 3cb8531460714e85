import numpy as np

from dagan.data.drawn_faces import drawn_clip


def test_a_clip_is_repeatable_and_seeds_give_other_people():
    clip = drawn_clip(4, 32, seed=1)
    assert clip.shape == (4, 32, 32, 3)
    assert clip.dtype == np.uint8
    assert np.array_equal(clip, drawn_clip(4, 32, seed=1))
    assert np.abs(clip[0].astype(int) - drawn_clip(4, 32, seed=2)[0]).mean() > 10


def test_a_longer_clip_goes_on_where_the_shorter_one_ended():
    assert np.array_equal(drawn_clip(8, 32, seed=0)[:4], drawn_clip(4, 32, seed=0))


def test_the_face_moves_smoothly_before_a_still_background():
    clip = drawn_clip(50, 64, seed=0).astype(int)
    steps = np.abs(np.diff(clip, axis=0)).mean((1, 2, 3))
    assert 0 < steps.min() <= steps.max() < 8
    assert np.abs(clip[0] - clip).mean((1, 2, 3)).max() > 2 * steps.mean()
    assert np.ptp(clip[:, :6, :6], axis=0).max() == 0  # a corner


def test_mouth_and_eyes_open_and_close():
    clip = drawn_clip(100, 64, seed=0).astype(float)
    mouth, eyes = clip[:, 36:56, 20:44], clip[:, 20:36, 12:52]
    dark = (mouth.max(-1) < 60).mean((1, 2))
    white = (eyes.min(-1) > 170).mean((1, 2))
    assert dark.max() > 4 * max(dark.min(), 0.005)
    assert white.max() > 3 * max(white.min(), 0.003)

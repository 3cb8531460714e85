import numpy as np
import pytest

from changed_photo import photo
from dagan.images import Crop
from dagan.provenance.grid import Place, averages, grid_at, luma
from dagan.provenance.pattern import KEY, lattice
from dagan.provenance.payload import Payload
from dagan.provenance.reading import contrasts, lattice_score, read_at, sampled
from dagan.provenance.search import FEW, around, cropped, means_of_size, searched
from dagan.provenance.verify import find_mark
from dagan.provenance.watermark import Watermark

PAYLOAD = Payload(13, 77, 88, 3)


@pytest.fixture(scope="module")
def clip() -> list[np.ndarray]:
    """A face that moves a little."""
    return [np.ascontiguousarray(photo()[n : n + 192, 2 * n : 2 * n + 192]) for n in range(8)]


@pytest.fixture(scope="module")
def marked(clip) -> list[np.ndarray]:
    mark = Watermark(PAYLOAD)
    return [mark.apply(one) for one in clip]


def read(frames: list[np.ndarray]) -> Payload | None:
    grey = sampled(frames)
    height, width = grey[0].shape
    found = read_at(grey, contrasts(grey, [Place(0, 0, width, height)]), 8)
    return found and found.payload


def test_what_was_written_is_read_of_a_video_and_of_one_picture(clip, marked):
    assert read(marked) == PAYLOAD
    assert read([Watermark(PAYLOAD).apply(clip[3])]) == PAYLOAD


def test_an_unmarked_video_has_no_mark(clip):
    assert read(clip) is None


def test_the_mark_is_below_42_dB_of_noise(clip, marked):
    error = np.mean((np.stack(marked).astype(float) - np.stack(clip)) ** 2)
    assert 10 * np.log10(255**2 / error) > 42


def test_the_rim_stays_as_it_was_and_so_does_the_given_picture(clip):
    before = clip[0].copy()
    made = Watermark(PAYLOAD).apply(clip[0])
    assert np.array_equal(clip[0], before)
    assert np.abs(made.astype(int) - before)[:2].max() <= 1
    assert np.abs(made.astype(int) - before).max() > 2


def test_the_mark_keeps_to_its_square_which_may_reach_beyond(clip):
    made = Watermark(PAYLOAD, Crop(64, -10, 96)).apply(clip[0])
    changed = np.argwhere((made != clip[0]).any(2))
    assert changed[:, 0].max() < 86
    assert changed[:, 1].min() >= 64
    assert changed[:, 1].max() < 160


def test_a_still_video_does_not_flicker(clip):
    mark = Watermark(PAYLOAD)
    made = [mark.apply(clip[0]) for _ in range(12)]
    assert np.array_equal(made[-1], made[-2])


@pytest.mark.parametrize(("contrast", "brightness"), [(1, 20), (0.8, 0), (0.9, 10)])
def test_brightness_and_contrast_do_not_hide_it(marked, contrast, brightness):
    lit = [np.clip(128 + contrast * (one.astype(float) - 128) + brightness, 0, 255).astype(np.uint8) for one in marked]
    assert read(lit) == PAYLOAD


def test_noise_and_half_size_do_not_hide_it(marked):
    numbers = np.random.default_rng(0)
    noisy = (np.clip(one + numbers.normal(0, 6, one.shape), 0, 255) for one in marked)
    half = [one.reshape(96, 2, 96, 2, 3).mean((1, 3)).astype(np.uint8) for one in noisy]
    assert read(half) == PAYLOAD


def test_a_black_video_is_not_taken_for_marked():
    assert read([np.zeros((64, 64, 3), np.uint8)] * 3) is None


def test_other_keys_read_nothing(marked):
    grey = sampled(marked)
    for key in (b"one", b"two", b"three"):
        assert read_at(grey, contrasts(grey, [Place(0, 0, 192, 192)], key), 8, key) is None


@pytest.mark.slow
def test_a_crop_is_found_by_trying_shifts_and_sizes(marked):
    grey = sampled([one[8:184, 10:186] for one in marked])
    found = find_mark(grey, [Place(0, 0, 176, 176)])
    assert found is not None
    assert found.payload == PAYLOAD
    assert abs(found.place.x + 10) < 1
    assert abs(found.place.width - 192) < 2


@pytest.mark.slow
def test_the_square_of_a_found_face_need_not_be_exact(clip):
    mark = Watermark(PAYLOAD, Crop(30, 40, 128))
    grey = sampled([mark.apply(one) for one in clip])
    found = read_at(grey, searched(grey, [around(Place(33, 38, 124, 124))]), 16)
    assert found is not None
    assert found.payload == PAYLOAD


def test_of_a_crop_the_right_shift_looks_best(marked):
    grey = sampled([one[8:184, 10:186] for one in marked[:4]])
    means, places = means_of_size(grey, cropped(176, 176)._replace(cover=184), 192.0)
    scores = lattice_score(means * np.exp(-2j * np.pi * lattice(KEY).turns[:FEW]).astype(np.complex64))
    best = places[int(scores.argmax())]
    assert abs(best.x + 10) < 0.4
    assert abs(best.y + 8) < 0.4


def test_a_crop_window_never_leaves_the_frame_uncovered():
    window = cropped(100, 100)
    assert (window.least, round(window.most)) == (100, 112)


def test_averages_count_parts_of_pixels_and_repeat_the_edge():
    row = np.array([0.0, 10.0, 20.0, 30.0], np.float32)
    assert np.allclose(averages(4, 0.5, 1.5, 1.5, 2) @ row, [(0 * 0.5 + 10) / 1.5, (20 + 30 * 0.5) / 1.5])
    assert np.allclose(averages(4, -2.0, 2.0, 2.0, 4) @ row, [0, 5, 25, 30])


def test_a_grid_of_whole_cells_is_their_mean():
    picture = np.random.default_rng(0).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    grey = luma(picture)
    assert np.allclose(grid_at(grey, Place(0, 0, 192, 128)), grey.reshape(64, 2, 64, 3).mean((1, 3)), atol=1e-3)


def test_of_a_long_video_frames_from_everywhere_are_kept():
    frames = (np.full((4, 4, 3), number % 256, np.uint8) for number in range(1000))
    kept = [int(one[0, 0]) for one in sampled(frames, most=10)]
    assert 5 <= len(kept) <= 10
    assert kept[0] == 0

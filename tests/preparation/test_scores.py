import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from dagan.preparation.scores import caption_share, grey, motion_and_shake, mouth_opening, sharpness
from dagan.preparation.settings import Settings
from drawn_faces import scene

NUMBERS = np.random.default_rng(0)
MESH = NUMBERS.random((478, 2)) - 0.5
SEEN = np.ones(40, bool)


def _astronaut_face():
    from dagan.data.weight_files import ASSETS

    with Image.open(ASSETS / "astronaut.png") as photo:
        return photo.convert("RGB").crop((170, 60, 290, 200))


def test_a_blurred_face_is_less_sharp_whatever_its_size_and_light():
    face = _astronaut_face()
    sharp = sharpness(np.asarray(face))
    blurred = sharpness(np.asarray(face.filter(ImageFilter.GaussianBlur(4))))
    darker = sharpness((np.asarray(face) * 0.6).astype(np.uint8))
    larger = sharpness(np.asarray(face.resize((360, 420), Image.Resampling.LANCZOS)))
    assert blurred < Settings.min_sharpness < sharp
    assert darker == pytest.approx(sharp, rel=0.1)
    assert larger == pytest.approx(sharp, rel=0.5)


def _moving(path, inner=0.0):
    """Landmarks whose middle goes along a path, while a part of them moves within the face."""
    frames = np.tile(MESH, (len(path), 1, 1)) + np.asarray(path)[:, None]
    frames[:, :100] += inner * np.sin(np.arange(len(path)))[:, None, None]
    return frames


def test_a_photo_that_slides_turns_and_grows_has_no_motion():
    turns = np.exp(1j * np.linspace(0, 0.3, 40)) * np.linspace(1, 1.5, 40)
    slid = (MESH @ np.array([1, 1j]))[None] * turns[:, None] + np.linspace(0, 1, 40)[:, None]
    motion, shake = motion_and_shake(np.stack([slid.real, slid.imag], -1), SEEN, 25.0)
    assert motion < 1e-6
    assert shake < Settings.max_shake
    still = _moving(np.zeros((40, 2)), inner=0.1)
    assert motion_and_shake(still, SEEN, 25.0).motion > 1


def test_a_picture_that_trembles_shakes_and_one_that_pans_does_not():
    pan = np.stack([np.linspace(0, 2, 40), np.zeros(40)], -1)
    trembling = pan + NUMBERS.normal(size=(40, 2)) * 0.05
    assert motion_and_shake(_moving(pan), SEEN, 25.0).shake < 0.1
    assert motion_and_shake(_moving(trembling), SEEN, 25.0).shake > Settings.max_shake


def test_frames_without_a_face_do_not_shake():
    found, track = SEEN.copy(), _moving(np.zeros((40, 2)))
    found[10:14], track[10:14] = False, 5.0
    assert motion_and_shake(track, found, 25.0).shake == 0
    assert motion_and_shake(track, np.zeros(40, bool), 25.0) is None


def test_text_is_seen_and_a_room_or_a_face_is_not():
    page = Image.fromarray(scene(0, (256, 256)))
    assert caption_share(grey(np.asarray(page))) == 0
    assert caption_share(grey(np.asarray(_astronaut_face().resize((256, 256))))) == 0
    font = ImageFont.load_default(24)
    ImageDraw.Draw(page).text(
        (128, 215), "AND THEN I SAID IT", "white", font, "mm", stroke_width=2, stroke_fill="black"
    )
    assert caption_share(grey(np.asarray(page))) > Settings.max_caption


def test_the_mouth_opens_by_the_gap_between_the_inner_lips():
    landmarks = np.zeros((2, 478, 2), np.float32)
    landmarks[:, 152, 1] = 1.0
    landmarks[1, 14, 1] = 0.25
    np.testing.assert_allclose(mouth_opening(landmarks), [0, 0.25])

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from dagan.data.weight_files import ASSETS
from dagan.observers.sface import five_points
from dagan.preparation.scores import HeldFace, caption_share, grey, mouth_opening, shake, sharpness
from dagan.preparation.settings import Settings
from drawn_faces import scene

NUMBERS = np.random.default_rng(0)
MESH = NUMBERS.random((478, 2)) - 0.5
SEEN = np.ones(40, bool)


def _astronaut_face():
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


def _motion(pictures, meshes):
    held = HeldFace()
    for picture, mesh in zip(pictures, meshes, strict=True):
        held.add(np.asarray(picture), np.asarray(mesh))
    return held.motion()


def _slides(step):
    """The astronaut's picture in a window that slides and grows, and where points of it lie."""
    left, side = 100 + step, 260 - step
    with Image.open(ASSETS / "astronaut.png") as photo:
        window = photo.convert("RGB").resize((256, 256), Image.Resampling.BICUBIC, (left, 10, left + side, 10 + side))
    return window, (FACE - (left, 10)) * 256 / side


FACE = np.array([226.0, 110.0]) + (MESH * 100)


def test_a_photo_that_slides_and_grows_does_not_move_and_a_face_whose_mouth_moves_does():
    pictures, meshes = zip(*map(_slides, range(12)), strict=True)
    assert _motion(pictures, meshes) < Settings.min_motion
    talking = []
    for number, (picture, mesh) in enumerate(zip(pictures, meshes, strict=True)):
        x, y = five_points(mesh)[3:].mean(0)
        ImageDraw.Draw(picture).ellipse((x - 25, y - 4 - number, x + 25, y + 4 + number), fill="black")
        talking.append(picture)
    assert _motion(talking, meshes) > 2 * Settings.min_motion
    assert _motion(pictures[:2], meshes[:2]) is None


def _at(path):
    return MESH + np.asarray(path)[:, None]


def test_a_picture_that_trembles_shakes_and_one_that_pans_does_not():
    pan = np.stack([np.linspace(0, 2, 40), np.zeros(40)], -1)
    trembling = pan + NUMBERS.normal(size=(40, 2)) * 0.05
    assert shake(_at(pan), SEEN, 25.0) < 0.1
    assert shake(_at(trembling), SEEN, 25.0) > Settings.max_shake


def test_frames_without_a_face_do_not_shake():
    found, track = SEEN.copy(), _at(np.zeros((40, 2)))
    found[10:14], track[10:14] = False, 5.0
    assert shake(track, found, 25.0) == 0
    assert shake(track, np.zeros(40, bool), 25.0) is None


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

from importlib import resources

import numpy as np
import pytest
from PIL import Image

from dagan.data.pictures import read_image
from dagan.inference.face_detector import YuNet, _overlap, _suppress

PUBLISHED_BOX, PUBLISHED_SCORE = (178.167, 62.908, 89.900, 113.332), 0.93233
PUBLISHED_POINTS = ((200.116, 101.820), (247.134, 102.619), (220.367, 124.545), (198.613, 142.774), (239.668, 143.638))


@pytest.fixture(scope="module")
def detector():
    return YuNet()


@pytest.fixture(scope="module")
def astronaut():
    return read_image(str(resources.files("dagan") / "assets" / "astronaut.png"))


def test_the_astronaut_has_one_face_where_it_is(detector, astronaut):
    (face,) = detector.detect(astronaut)
    assert face.score > 0.9
    assert (face.x + face.width / 2, face.y + face.height / 2) == pytest.approx((223, 120), abs=6)
    assert (face.width, face.height) == pytest.approx((90, 113), abs=10)


def test_the_networks_weights_give_what_the_published_file_gives(detector, astronaut):
    """Numbers of ONNX Runtime 1.32.0 on OpenCV Zoo's file."""
    (face,) = detector.detect(astronaut)
    assert face[:4] == pytest.approx(PUBLISHED_BOX, abs=0.01)
    assert face.score == pytest.approx(PUBLISHED_SCORE, abs=1e-4)
    assert np.abs(face.points - np.array(PUBLISHED_POINTS)).max() < 0.01


def test_points_are_eyes_nose_and_mouth_in_order(detector, astronaut):
    right_eye, left_eye, nose, right_mouth, left_mouth = detector.detect(astronaut)[0].points
    assert right_eye[0] < nose[0] < left_eye[0]
    assert right_mouth[0] < left_mouth[0]
    assert max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1])
    assert right_eye == pytest.approx((200, 102), abs=5)


def test_boxes_scale_and_shift_with_the_picture(detector, astronaut):
    face = detector.detect(astronaut)[0]
    large = np.asarray(Image.fromarray(astronaut).resize((1024, 1024)))
    assert detector.detect(large)[0][:4] == pytest.approx(tuple(2 * v for v in face[:4]), abs=10)
    moved = np.pad(astronaut, ((64, 0), (96, 0), (0, 0)))
    expected = (face.x + 96, face.y + 64, face.width, face.height)
    assert detector.detect(moved)[0][:4] == pytest.approx(expected, abs=4)


def test_a_face_that_fills_a_large_picture_is_found(detector, astronaut):
    close = np.asarray(Image.fromarray(astronaut[40:200, 140:300]).resize((1600, 1600)))
    assert detector.detect(close)[0].width == pytest.approx(900, abs=90)


def test_two_faces_give_two_boxes_with_the_best_first(detector, astronaut):
    faces = detector.detect(np.concatenate([astronaut[:256, 100:356], astronaut[:256, 100:356]], 1))
    assert sorted(face.x > 256 for face in faces) == [False, True]
    assert faces[0].score >= faces[1].score


def test_noise_has_no_face(detector):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    assert detector.detect(noise) == []


def test_overlapping_boxes_are_one_face():
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 10.0, 10.0], [20.0, 0.0, 10.0, 10.0]])
    assert _suppress(boxes, np.array([0.7, 0.9, 0.8])) == [1, 2]
    assert _overlap(boxes[0], boxes[1]) == pytest.approx(81 / 119)
    assert _overlap(boxes[0], boxes[2]) == 0

import time
from importlib import resources

import numpy as np
import pytest
from PIL import Image

from dagan.data.pictures import read_image
from dagan.errors import UserError
from dagan.inference.crop import frame_photo
from dagan.inference.face_choice import choice_line, choose_face, parse_face
from dagan.inference.face_detector import YuNet
from dagan.inference.face_search import find_faces
from dagan.inference.quarter_turn import turn, turn_box
from drawn_faces import face

ASTRONAUT_FACE = 115  # pixels of height in the photo of 512


@pytest.fixture(scope="module")
def detector():
    return YuNet()


@pytest.fixture(scope="module")
def astronaut():
    return read_image(str(resources.files("dagan") / "assets" / "astronaut.png"))


def _pasted(astronaut, face_height, size, at):
    side = round(512 * face_height / ASTRONAUT_FACE)
    page = Image.new("RGB", size, (170, 165, 165))
    page.paste(Image.fromarray(astronaut).resize((side, side), Image.Resampling.LANCZOS), at)
    return np.asarray(page)


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_a_photo_that_lies_is_turned_upright(detector, astronaut, quarter):
    found = find_faces(turn(astronaut, -quarter), detector)
    assert found.quarter == quarter
    assert found.faces[0][:2] == pytest.approx(detector.detect(astronaut)[0][:2], abs=1)


@pytest.mark.parametrize("angle", [-30, 0, 30])
def test_a_head_that_leans_is_not_turned(detector, astronaut, angle):
    leaning = np.asarray(Image.fromarray(astronaut).rotate(angle, Image.Resampling.BICUBIC, fillcolor=(190, 180, 180)))
    found = find_faces(leaning, detector)
    assert found.quarter == 0
    assert [seen[:5] for seen in found.faces] == [seen[:5] for seen in detector.detect(leaning)]


@pytest.mark.slow  # reads 24 megapixels
@pytest.mark.parametrize("height", [60, 40])
def test_a_small_face_in_24_megapixels_is_found_in_tiles(detector, astronaut, height):
    picture = _pasted(astronaut, height, (6000, 4000), (2600, 1500))
    started = time.process_time()
    (found,) = find_faces(picture, detector).faces
    assert time.process_time() - started < 6
    expected = 2600 + 223 * height / ASTRONAUT_FACE
    assert found.x + found.width / 2 == pytest.approx(expected, abs=4)


def test_a_small_face_in_a_smaller_picture_is_found_in_tiles(detector, astronaut):
    picture = _pasted(astronaut, 20, (1200, 640), (900, 400))
    assert detector.detect(picture) == []
    (found,) = find_faces(picture, detector).faces
    assert found.x + found.width / 2 == pytest.approx(900 + 223 * 20 / ASTRONAUT_FACE, abs=3)


def test_a_picture_without_a_face_has_none_on_its_sides_or_in_tiles(detector):
    noise = np.random.default_rng(0).integers(0, 256, (400, 500, 3), dtype=np.uint8)
    assert find_faces(noise, detector).faces == []


def test_faces_are_counted_from_left_to_right_and_one_is_chosen(detector, astronaut):
    small = np.asarray(Image.fromarray(astronaut).resize((300, 300)))
    page = np.full((512, 812, 3), 170, np.uint8)
    page[100:400, :300], page[:, 300:] = small, astronaut
    faces = find_faces(page, detector).faces
    assert [round(seen.x / 100) for seen in faces] == [1, 5]
    assert choose_face(faces, "largest") is choose_face(faces, 2) is choose_face(faces, (520.0, 120.0)) is faces[1]
    assert choose_face(faces, 1) is choose_face(faces, (131.0, 170.0)) is faces[0]
    assert choose_face(faces, 3) is choose_face(faces, (300.0, 500.0)) is None
    assert choice_line(faces, faces[1]).endswith("; --face 1 is the other")
    assert choice_line(faces[:1], faces[0]) is None
    many = choice_line(faces * 10, faces[0]) or ""
    assert many.endswith("; --face 1 to 20, from left to right, or --face x,y takes another")


def test_the_choice_of_a_face_is_read():
    assert [parse_face(text) for text in ("largest", "2", "870,240", " 8 , 9 ")] == [
        "largest",
        2,
        (870.0, 240.0),
        (8.0, 9.0),
    ]


@pytest.mark.parametrize("text", ["", "all", "0", "-1", "1.5", "1,2,3", "x,y", "²", "1e9", "9" * 30])
def test_other_choices_of_a_face_are_refused(text):
    with pytest.raises(UserError, match="--face takes largest, a number from 1"):
        parse_face(text)


def test_a_lying_photo_is_framed_upright_and_its_faces_are_named_where_they_lie(detector, astronaut):
    pair = np.concatenate([astronaut, astronaut[:, ::-1]], 1)
    upright = frame_photo(pair, "auto", 2, detector)
    lying = frame_photo(turn(pair, -1), "auto", 2, detector)
    assert lying.quarter == 1
    assert lying.crop == pytest.approx(upright.crop, abs=2)
    assert "2 faces: took face 2, at 3" in lying.note  # (802, 120) is at (392, 802) in the photo as it lies
    x, y = (float(value) for value in lying.note.split("at ")[1].split(";")[0].split(","))
    assert frame_photo(turn(pair, -1), "auto", (x, y), detector).crop == lying.crop
    with pytest.raises(UserError, match=r"no face for --face 3 in p\.jpg, which shows 2 faces: --face 1 is at"):
        frame_photo(pair, "auto", 3, detector, "p.jpg")


def test_turning_and_turning_back_changes_nothing():
    picture = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    for quarter in range(4):
        turned = turn(picture, quarter)
        assert np.array_equal(turn(turned, -quarter), picture)
        moved = turn_box(face(2, 1, 3), (9, 6), quarter)
        x, y, side = int(moved.x), int(moved.y), int(moved.width)
        inside = turn(picture[1:4, 2:5], quarter)
        assert np.array_equal(turned[y : y + side, x : x + side], inside)
        assert turn_box(moved, turned.shape[1::-1], -quarter)[:4] == (2, 1, 3, 3)

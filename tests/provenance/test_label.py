import numpy as np

from dagan.provenance.label import Label


def test_the_word_is_in_the_lower_left_corner_and_nowhere_else():
    picture = np.full((256, 256, 3), 120, np.uint8)
    made = Label("AI-generated", (256, 256)).apply(picture)
    rows, columns = np.nonzero((made != picture).any(2))
    assert rows.min() > 200
    assert columns.min() == 0
    assert columns.max() < 160
    assert made.max() > 200


def test_a_small_picture_gets_what_fits():
    assert Label("AI-generated", (32, 16)).apply(np.zeros((16, 32, 3), np.uint8)).shape == (16, 32, 3)

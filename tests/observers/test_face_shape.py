"""What a face does, read from 68 landmarks drawn by hand."""

import numpy as np
import pytest

from dagan.observers.face_shape import face_shape
from dagan.observers.mesh import MIRROR_68

RING = ((0, 0), (1 / 3, -1), (2 / 3, -1), (1, 0), (2 / 3, 1), (1 / 3, 1))  # of an eye: corner, upper, corner, lower


def face(lids=6.0, lips=8.0, width=44.0, brow=20.0, nose=0.0):
    """Outer eye corners at (50, 60) and (110, 60): 60 apart."""
    points = np.zeros((68, 2))
    for start, left in ((36, 50), (42, 90)):
        points[start : start + 6] = [(left + 20 * x, 60 + y * lids / 2) for x, y in RING]
    points[17:27] = [(x, 60 - brow) for x in np.linspace(48, 112, 10)]
    points[48], points[54] = (80 - width / 2, 110), (80 + width / 2, 110)
    for upper, lower, x in zip((61, 62, 63), (67, 66, 65), (72, 80, 88), strict=True):
        points[upper], points[lower] = (x, 110 - lips / 2), (x, 110 + lips / 2)
    points[30] = 80 + nose, 85
    return points


def test_every_quantity_is_a_distance_in_units_of_the_eyes():
    assert face_shape(face(nose=9)) == pytest.approx((8 / 60, 6 / 60, 20 / 60, 44 / 60, 9 / 60))


def test_neither_size_nor_place_nor_a_lean_changes_it():
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    moved = face(nose=9) @ turn.T * 1.7 + (30, -12)
    assert face_shape(moved) == pytest.approx(face_shape(face(nose=9)))


def test_a_mirrored_face_turns_the_other_way_and_does_the_same_else():
    mirrored = face(nose=9)[list(MIRROR_68)] * (-1, 1) + (160, 0)
    found, other = face_shape(face(nose=9)), face_shape(mirrored)
    assert other == pytest.approx(found._replace(yaw=-found.yaw))

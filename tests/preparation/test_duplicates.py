import numpy as np

from dagan.preparation.duplicates import find_duplicates
from dagan.preparation.rows import Row

NUMBERS = np.random.default_rng(0)


def _shapes(seed, count=100):
    """Expressions that change smoothly."""
    path = np.random.default_rng(seed).normal(size=(count + 20, 52))
    smooth = np.stack([np.convolve(column, np.ones(9) / 9, "same") for column in path.T], -1)
    return smooth[10:-10].astype(np.float32)


def _row(name, source, face=100.0, rate=25.0, track=0):
    return Row(name=name, source=source, face=face, rate=rate, track=track)


def _found(shapes, rows, people=None):
    people = people or {row.name: "jane" for row in rows}
    return find_duplicates(rows, people, shapes)


def test_the_same_content_again_is_found_and_the_larger_face_stays():
    original = _shapes(0)
    again = original + 0.02 * NUMBERS.normal(size=original.shape).astype(np.float32)
    rows = [_row("a", "a.mp4", 80.0), _row("b", "b.mp4", 120.0)]
    assert _found({"a": original, "b": again}, rows) == {"a": "b"}


def test_content_that_was_cut_elsewhere_or_has_another_rate_is_found():
    original = _shapes(1, 200)
    rows = [_row("a", "a.mp4"), _row("b", "b.mp4", 90.0), _row("c", "c.mp4", 80.0, rate=12.5)]
    shapes = {"a": original, "b": original[37:120], "c": original[::2]}
    assert _found(shapes, rows) == {"b": "a", "c": "a"}


def test_other_words_of_the_same_person_are_no_duplicate():
    rows = [_row("a", "a.mp4"), _row("b", "b.mp4")]
    assert _found({"a": _shapes(0), "b": _shapes(1)}, rows) == {}


def test_clips_of_two_people_and_of_one_track_are_not_compared():
    same = {"a": _shapes(0), "b": _shapes(0)}
    assert _found(same, [_row("a", "a.mp4"), _row("b", "b.mp4")], {"a": "jane", "b": "john"}) == {}
    assert _found(same, [_row("a", "a.mp4"), _row("b", "a.mp4")]) == {}
    assert _found(same, [_row("a", "a.mp4"), _row("b", "a.mp4", track=1)]) == {"b": "a"}

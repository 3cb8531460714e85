import numpy as np
import pytest

from dagan.preparation.tracks import ManyTracks, samples_of
from drawn_faces import ColourDetector, face, scene, with_person

STEP = 3


def _tracks(frames, shots=None, patience=12):
    tracker, detector = ManyTracks(patience), ColourDetector()
    for number in range(0, len(frames), STEP):
        faces = detector.detect(frames[number])
        tracker.add(number, shots[number] if shots else 0, faces, samples_of(frames[number], faces))
    return tracker.finish()


def _two(number):
    return with_person(with_person(scene(), 40 + number, 60), 240 - number, 60, 44, "bob")


def test_two_people_are_two_tracks_with_a_box_in_each_frame():
    ann, bob = _tracks([_two(number) for number in range(61)])
    assert (ann.first, ann.end, bob.first, bob.end) == (0, 61, 0, 61)
    np.testing.assert_allclose(ann.boxes[:, 0], 40 + np.arange(61), atol=0.01)
    np.testing.assert_allclose(bob.boxes[:, 0], 240 - np.arange(61), atol=0.01)


def test_a_cut_ends_a_track_though_the_same_face_stands_in_the_same_place():
    first, second = _tracks([with_person(scene(), 100, 60)] * 60, [0] * 30 + [1] * 30)
    assert (first.shot, second.shot) == (0, 1)
    assert first.end <= 30 <= second.first


def test_another_person_in_the_same_place_is_another_track():
    frames = [with_person(scene(), 100, 60, who="ann" if number < 30 else "bob") for number in range(60)]
    assert [track.first for track in _tracks(frames)] == [0, 30]


def test_a_face_that_is_hidden_for_a_moment_goes_on_and_one_that_is_away_for_long_does_not():
    frames = [with_person(scene(), 100, 60)] * 60
    frames[20:26] = [scene()] * 6
    assert len(_tracks(frames)) == 1
    frames[20:40] = [scene()] * 20
    assert len(_tracks(frames)) == 2


def test_a_face_that_was_seen_once_is_no_track():
    tracker = ManyTracks(5)
    tracker.add(0, 0, [face(10, 10, 40)], samples_of(scene(), [face(10, 10, 40)]))
    assert tracker.finish() == []


def test_a_part_keeps_the_numbers_of_the_video():
    part = _tracks([_two(number) for number in range(61)])[0].part(10, 20)
    assert (part.first, part.end) == (10, 20)
    assert part.boxes[0, 0] == pytest.approx(50)

import numpy as np
import pytest

from dagan.evaluation.doctor import diagnose, draw, photo


def test_the_observers_of_the_package_are_well_and_missing_networks_are_not(evaluator):
    found = {finding.name: finding for finding in diagnose(evaluator).findings}
    assert {name for name, finding in found.items() if finding.is_good} == {"landmarks", "head pose", "action units"}
    assert "478 points, all inside" in found["landmarks"].text
    assert "degrees" in found["head pose"].text


@pytest.mark.data
def test_with_their_weights_all_are_well(full_evaluator):
    assert all(finding.is_good for finding in diagnose(full_evaluator).findings)


def test_landmarks_are_drawn_where_they_are(evaluator):
    look = evaluator.look(photo())
    picture = draw(photo(), look).astype(int)
    nose = (look.landmarks[1, :2] * 3).astype(int)
    assert picture[nose[1], nose[0]].tolist() == [0, 255, 120]
    assert picture.shape == (768, 768, 3)
    assert not np.array_equal(picture, draw(photo(), look._replace(landmarks=None)))

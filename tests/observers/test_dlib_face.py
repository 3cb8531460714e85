"""The second observer, where its packages are installed; else its error."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from dagan.errors import UserError
from dagan.evaluation.evaluator import EvaluatorConfig
from dagan.observers.dlib_face import Dlib68
from dagan.observers.mediapipe_face import MediaPipeFace
from dagan.observers.mesh import MESH_68, MeshLandmarks

needs_dlib = pytest.mark.skipif(not (find_spec("dlib") and find_spec("face_recognition_models")), reason="no dlib")


@pytest.mark.parametrize("module", ["dlib", "face_recognition_models"])
def test_without_its_packages_one_line_says_how_to_install_them(monkeypatch, module):
    if module == "dlib":
        monkeypatch.setitem(sys.modules, "dlib", None)
    else:
        pytest.importorskip("dlib")
        monkeypatch.setattr("dagan.observers.dlib_face.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'dagan\[dlib\]'"):
        Dlib68()


@needs_dlib
def test_it_finds_the_same_points_as_the_face_observer(portrait):
    ours = Dlib68().landmarks(portrait)
    with MediaPipeFace() as face:
        theirs = MeshLandmarks(face, MESH_68).landmarks(portrait)[:, :2]
    inner = np.linalg.norm(ours - theirs, axis=1)[17:]  # the jaw is annotated otherwise
    assert inner.mean() < 0.04 * np.linalg.norm(theirs[45] - theirs[36]) * 2
    assert Dlib68().landmarks(np.zeros((128, 128, 3), np.uint8)) is None


@needs_dlib
def test_with_dlib_an_evaluator_has_two_observers_of_the_same_shape(portrait):
    with EvaluatorConfig(landmarks="dlib68", identity="none", lpips="none").build() as evaluator:
        look = evaluator.look(portrait)
        assert evaluator.versions()["landmarks"].name == "dlib, 68 points"
    assert look.landmarks.shape == (68, 2)
    assert look.second_shape is not None
    assert np.abs(np.subtract(look.shape, look.second_shape)).max() < 0.15

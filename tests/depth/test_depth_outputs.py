from pathlib import Path

import pytest

from dagan.depth.outputs import PICTURE_FORMS, VIDEO_FORMS, plan_outputs
from dagan.errors import UserError


@pytest.mark.parametrize(
    ("name", "wanted", "form"),
    [
        ("a.png", [], "map"),
        ("a.PNG", ["raw"], "raw"),
        ("a.npy", [], "npy"),
        ("a.ply", [], "ply"),
        ("a.glb", ["glb"], "glb"),
        ("a.mp4", [], "parallax"),
        ("a.json", [], "camera"),
    ],
)
def test_an_ending_chooses_the_form_of_a_picture(tmp_path, name, wanted, form):
    assert plan_outputs(tmp_path / name, wanted, False) == {form: tmp_path / name}


def test_a_video_becomes_a_video(tmp_path):
    assert plan_outputs(tmp_path / "a.mp4", [], True) == {"map": tmp_path / "a.mp4"}


@pytest.mark.parametrize("is_video", [False, True])
def test_a_folder_takes_everything_or_what_is_wanted(tmp_path, is_video):
    forms = VIDEO_FORMS if is_video else PICTURE_FORMS
    assert plan_outputs(tmp_path, [], is_video) == {form: tmp_path / file for form, file in forms.items()}
    assert list(plan_outputs(tmp_path / "new", ["npy", "map"], is_video)) == ["map", "npy"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "wanted", "is_video", "words"),
    [
        ("a.obj", [], False, "end in .glb, .json"),
        ("a.txt", [], True, "end in .mp4, .npy"),
        ("a.glb", [], True, "--at SECONDS"),
        ("a", ["glb"], True, "--at SECONDS"),
        ("a", ["gold"], False, "no format 'gold'"),
        ("a.ply", ["glb"], False, "mesh.glb"),
        ("a.png", ["map", "raw"], False, "need a folder"),
        ("absent/a.png", [], False, "does not exist"),
        ("file/", [], False, "a file without an ending"),
    ],
)
def test_what_cannot_be_says_what_can(tmp_path, name, wanted, is_video, words):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=words):
        plan_outputs(tmp_path / name, wanted, is_video)


def test_a_folder_without_permission_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    for path in (tmp_path / "a.png", tmp_path, tmp_path / "new"):
        with pytest.raises(UserError, match="cannot be written"):
            plan_outputs(Path(path), [], False)

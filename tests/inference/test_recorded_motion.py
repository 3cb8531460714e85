from fractions import Fraction

import pytest
import torch
from safetensors.torch import save_file

from dagan.errors import UserError
from dagan.face import NUM_EXPRESSIONS, NUM_LANDMARKS
from dagan.inference.recorded_motion import FORMAT, RecordedMotion, fingerprint, load_motion, record_motion, save_motion
from dagan.types import Keypoints

NTSC = Fraction(30000, 1001)
READ = {
    "position": torch.zeros(2, 5, 2),
    "landmarks": torch.zeros(2, NUM_LANDMARKS, 2),
    "expression": torch.zeros(2, NUM_EXPRESSIONS),
}
METADATA = {"format": FORMAT, "fps": "25", "fingerprint": "0"}


def motion(num_frames: int = 4, has_jacobian: bool = True, is_read: bool = False) -> RecordedMotion:
    keypoints = Keypoints(
        torch.rand(num_frames, 5, 2),
        torch.rand(num_frames, 5, 2, 2) if has_jacobian else None,
        torch.rand(num_frames, NUM_LANDMARKS, 2) if is_read else None,
        torch.rand(num_frames, NUM_EXPRESSIONS) if is_read else None,
    )
    return RecordedMotion(keypoints, NTSC, "0123456789abcdef")


@pytest.mark.parametrize(("has_jacobian", "is_read"), [(True, False), (False, False), (True, True), (False, True)])
def test_a_saved_motion_comes_back_with_its_exact_rate(tmp_path, has_jacobian, is_read):
    kept = motion(has_jacobian=has_jacobian, is_read=is_read)
    save_motion(kept, tmp_path / "driver.safetensors")
    loaded = load_motion(tmp_path / "driver.safetensors")
    assert (loaded.fps, loaded.fingerprint) == (NTSC, kept.fingerprint)
    for part, before in zip(loaded.keypoints, kept.keypoints, strict=True):
        assert (part is None and before is None) or torch.equal(part, before)
    assert [path.name for path in tmp_path.iterdir()] == ["driver.safetensors"]


def test_a_motion_gives_one_frame_after_the_other():
    kept = motion(num_frames=3)
    frames = list(kept.frames())
    assert len(kept) == len(frames) == 3
    assert torch.equal(torch.cat([frame.position for frame in frames]), kept.keypoints.position)
    assert torch.equal(
        torch.cat([frame.position for frame in kept.frames(numbers=[2, 0])]), kept.keypoints.position[[2, 0]]
    )
    assert frames[0].jacobian.shape == (1, 5, 2, 2)
    assert frames[0].expression is None
    read = motion(num_frames=3, is_read=True)
    assert torch.equal(torch.cat([frame.expression for frame in read.frames()]), read.keypoints.expression)
    assert torch.equal(read.at(1).landmarks, read.keypoints.landmarks[1:2])


def test_expressions_are_made_steady_and_nothing_else_is():
    kept = motion(num_frames=5, is_read=True)
    steady = kept.steadied()
    assert not torch.equal(steady.keypoints.expression, kept.keypoints.expression)
    assert all(torch.equal(a, b) for a, b in zip(steady.keypoints[:3], kept.keypoints[:3], strict=True))
    assert motion().steadied().keypoints.expression is None


def test_recording_keeps_the_keypoints_of_every_frame(tiny_model):
    frames = torch.rand(3, 3, 64, 64).split(1)
    recorded = record_motion(tiny_model, frames, NTSC)
    with torch.no_grad():
        seen = tiny_model.view(frames[2]).keypoints
    torch.testing.assert_close(recorded.keypoints.position[2:], seen.position)
    assert recorded.fps == NTSC
    assert recorded.fingerprint == fingerprint(tiny_model)


def test_recording_nothing_is_an_error(tiny_model):
    with pytest.raises(UserError, match="without frames"):
        record_motion(tiny_model, [], NTSC)


def test_the_fingerprint_survives_storing_the_weights_in_half_precision(tiny_model):
    before = fingerprint(tiny_model)
    tiny_model.load_state_dict({name: value.half().float() for name, value in tiny_model.state_dict().items()})
    assert fingerprint(tiny_model) == before


def test_the_fingerprint_is_of_the_networks_that_find_keypoints(tiny_model):
    before = fingerprint(tiny_model)
    with torch.no_grad():
        next(tiny_model.generator.parameters()).add_(1)
    assert fingerprint(tiny_model) == before
    with torch.no_grad():
        next(tiny_model.depth.parameters()).add_(1)
    assert fingerprint(tiny_model) != before


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "driver.safetensors"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_motion(motion(), path)
    assert [file.name for file in tmp_path.iterdir()] == ["driver.safetensors"]
    assert path.read_text() == "old"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        save_motion(motion(), tmp_path / "nowhere" / "driver.safetensors")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no such motion file: .*driver\.safetensors"):
        load_motion(tmp_path / "driver.safetensors")


def test_a_file_that_is_not_safetensors_is_refused(tmp_path):
    (tmp_path / "driver.safetensors").write_bytes(b"not at all" * 9)
    with pytest.raises(UserError, match="not a motion file"):
        load_motion(tmp_path / "driver.safetensors")


@pytest.mark.parametrize(
    ("tensors", "metadata", "complaint"),
    [
        ({"position": torch.zeros(2, 5, 2)}, {"format": "dagan-model-1"}, "not a recorded motion"),
        ({"weight": torch.zeros(2)}, METADATA, "no keypoint positions"),
        ({"position": torch.zeros(0, 5, 2)}, METADATA, "no keypoint positions"),
        ({"position": torch.zeros(2, 5, 3)}, METADATA, "no keypoint positions"),
        ({"position": torch.zeros(2, 5, 2), "jacobian": torch.zeros(2, 4, 2, 2)}, METADATA, "jacobian of shape"),
        (READ | {"landmarks": torch.zeros(2, 5, 2)}, METADATA, "landmarks of shape"),
        (READ | {"expression": torch.zeros(2, 3)}, METADATA, "expression of shape"),
        ({"position": torch.zeros(2, 5, 2), "expression": READ["expression"]}, METADATA, "not both"),
        ({"position": torch.full((2, 5, 2), float("nan"))}, METADATA, "not numbers"),
        ({"position": torch.zeros(2, 5, 2)}, METADATA | {"fps": "fast"}, "frame rate 'fast'"),
        ({"position": torch.zeros(2, 5, 2)}, METADATA | {"fps": "1/0"}, "frame rate '1/0'"),
        ({"position": torch.zeros(2, 5, 2)}, METADATA | {"fps": "-5"}, "frame rate '-5'"),
        ({"position": torch.zeros(2, 5, 2)}, METADATA | {"fps": "1e999999999"}, "frame rate '1e999999999'"),
        ({"position": torch.zeros(2, 5, 2)}, METADATA | {"fps": "9" * 10**6}, "above 0 and up to 1000"),
        ({"position": torch.zeros(2, 5, 2)}, METADATA | {"fps": "1001"}, "above 0 and up to 1000"),
    ],
)
def test_a_file_that_holds_no_sound_motion_is_refused(tmp_path, tensors, metadata, complaint):
    save_file(tensors, tmp_path / "driver.safetensors", metadata)
    with pytest.raises(UserError, match=complaint):
        load_motion(tmp_path / "driver.safetensors")

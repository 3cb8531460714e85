"""What a user can get wrong gets one line on stderr, exit code 2, and nothing half-written."""

import re
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from dagan.cli.main import main
from dagan.inference.recorded_motion import record_motion, save_motion
from dagan.inference.video import VideoWriter


@pytest.fixture
def fails(tmp_path, portrait, driving, model_file, out, capsys):
    """Runs `dagan animate` with some inputs replaced; gives the one line it says."""

    def run(*options, source=portrait, driver=driving, model=model_file, output=out) -> str:
        before = sorted(path for path in tmp_path.rglob("*"))
        inputs = [str(source), str(driver), "-o", str(output), "--model", str(model)]
        torch = [] if "--runtime" in options else ["--runtime", "torch", "--precision", "fp32"]
        code = main(["animate", *inputs, "--size", "64", "--crop", "none", "--device", "cpu", *torch, *options])
        printed = capsys.readouterr()
        assert code == 2
        assert printed.out == ""
        assert printed.err.startswith("dagan: error: ")
        assert printed.err.count("\n") == 1
        assert sorted(path for path in tmp_path.rglob("*")) == before
        return printed.err

    return run


@pytest.mark.parametrize("kind", ["source", "driver", "model"])
def test_a_missing_file_is_named(fails, tmp_path, kind):
    assert "absent.bin" in fails(**{kind: tmp_path / "absent.bin"})


@pytest.mark.parametrize("kind", ["source", "driver", "model"])
def test_a_file_of_another_kind_is_named(fails, tmp_path, kind):
    (tmp_path / "notes.txt").write_text("neither image nor video nor weights")
    assert "notes.txt" in fails(**{kind: tmp_path / "notes.txt"})


@pytest.mark.parametrize("kind", ["source", "driver", "model"])
def test_a_folder_in_the_place_of_a_file_is_named(fails, tmp_path, kind):
    (tmp_path / "folder").mkdir()
    assert "folder" in fails(**{kind: tmp_path / "folder"})


def test_an_empty_driving_file_is_named(fails, tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "empty.mp4" in fails(driver=tmp_path / "empty.mp4")


def test_a_video_without_frames_is_named(fails, tmp_path, driving):
    whole = driving.read_bytes()
    (tmp_path / "none.mp4").write_bytes(whole[: whole.index(b"mdat") + 4])  # the index of its frames, but not one frame
    line = fails(driver=tmp_path / "none.mp4")
    assert "none.mp4" in line
    assert "no frames" in line


def test_a_file_with_sound_alone_is_named(fails, tmp_path):
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    line = fails(driver=tmp_path / "sound.mp4")
    assert "no video" in line
    assert "sound.mp4" in line


def test_a_truncated_image_is_named(fails, tmp_path, portrait):
    whole = portrait.read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    assert "half.png" in fails(source=tmp_path / "half.png")


def test_no_face_in_the_picture_suggests_no_crop(fails, portrait):
    line = fails("--crop", "auto", "--driving-crop", "none")
    assert "no face" in line
    assert str(portrait) in line
    assert "--crop none" in line


def test_no_face_in_the_video_suggests_no_crop(fails, driving):
    line = fails("--driving-crop", "auto")
    assert "no face" in line
    assert str(driving) in line
    assert "--crop none" in line


@pytest.mark.parametrize("crop", ["middle", "1,2,3", "1,2,0,0"])
def test_a_crop_that_cannot_be_is_explained(fails, crop):
    assert re.search("--crop (takes|needs)", fails("--crop", crop))


def test_a_crop_outside_of_the_picture_says_how_large_that_is(fails, portrait):
    line = fails("--crop", "900,900,64,64")
    assert f"outside of {portrait}" in line
    assert "64x64" in line


def test_a_missing_output_folder_is_named(fails, tmp_path):
    assert "nowhere" in fails(output=tmp_path / "nowhere" / "out.mp4")


def test_an_output_that_is_no_video_name_says_what_is(fails, tmp_path):
    assert ".mp4" in fails(output=tmp_path / "out.txt")


def test_an_output_that_is_a_folder_is_named(fails, tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    assert "folder.mp4" in fails(output=tmp_path / "folder.mp4")


def test_an_input_is_never_replaced(fails, driving):
    before = driving.read_bytes()
    assert "driving.mp4" in fails(output=driving)
    assert driving.read_bytes() == before


def test_foreign_weights_are_named(fails, tmp_path, tiny_model):
    save_file(dict(tiny_model.generator.state_dict()), tmp_path / "foreign.safetensors")
    assert "foreign.safetensors" in fails(model=tmp_path / "foreign.safetensors")


def test_truncated_weights_are_named(fails, tmp_path, model_file):
    whole = model_file.read_bytes()
    (tmp_path / "half.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "half.safetensors" in fails(model=tmp_path / "half.safetensors")


def test_a_motion_of_another_model_says_what_to_do(fails, tmp_path, tiny_config):
    import torch

    motion = record_motion(tiny_config.build().eval(), [torch.rand(1, 3, 64, 64)], Fraction(25))
    save_motion(motion, tmp_path / "motion.safetensors")
    assert "record it again" in fails(driver=tmp_path / "motion.safetensors")


def test_weights_in_the_place_of_a_motion_are_named(fails, model_file):
    assert "not a recorded motion" in fails(driver=model_file)


@pytest.mark.parametrize("size", ["0", "-64", "100"])
def test_a_size_that_the_networks_cannot_have_says_which_they_can(fails, size):
    assert "multiple of 32" in fails("--size", size)


def test_scaling_absolute_motion_is_a_contradiction(fails):
    assert "--adapt-scale" in fails("--adapt-scale", "--motion", "absolute")


def test_a_rest_frame_that_is_none_says_what_may_be_given(fails):
    assert "best, first or a frame number" in fails("--rest", "last")
    assert "there is no frame 99" in fails("--rest", "99")


def test_a_gpu_that_is_not_there_is_not_used(fails, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "--device cpu" in fails("--device", "cuda")


def test_a_full_disk_leaves_nothing(fails, monkeypatch):
    def write(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VideoWriter, "write", write)
    assert "error: no space left to write" in fails()


def test_an_interrupt_leaves_the_old_result_and_nothing_else(portrait, driving, model_file, out, monkeypatch, capsys):
    written = []
    write = VideoWriter.write

    def interrupted(writer, frame, *times) -> None:
        write(writer, frame, *times)
        written.append(frame)
        if len(written) == 2:
            raise KeyboardInterrupt

    out.write_text("old")
    monkeypatch.setattr(VideoWriter, "write", interrupted)
    inputs = [str(portrait), str(driving), "-o", str(out), "--model", str(model_file)]
    assert main(["animate", *inputs, "--size", "64", "--crop", "none", "--device", "cpu"]) == 130
    assert "Traceback" not in capsys.readouterr().err
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    assert out.read_text() == "old"


def test_debug_shows_where_an_error_came_from(tmp_path, driving, out):
    with pytest.raises(ValueError, match="absent"):
        main(["--debug", "animate", str(tmp_path / "absent.png"), str(driving), "-o", str(out)])
    with pytest.raises(ValueError, match="absent"):
        main(["animate", str(tmp_path / "absent.png"), str(driving), "-o", str(out), "--debug"])


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["dance"],
        ["animate"],
        ["animate", "a.png", "b.mp4"],
        ["animate", "a", "b", "-o", "c.mp4", "--mot", "absolute"],
    ],
)
def test_a_wrong_command_line_shows_the_usage(words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("usage: dagan")


def test_an_unknown_preset_lists_the_known_ones(capsys):
    assert main(["config", "show", "elephant"]) == 2
    assert "elephant" in (line := capsys.readouterr().err)
    assert "lite" in line


def test_a_grey_picture_is_a_picture(portrait, driving, model_file, out):
    Image.open(portrait).convert("L").save(portrait)
    inputs = [str(portrait), str(driving), "-o", str(out), "--model", str(model_file)]
    assert main(["animate", *inputs, "--size", "64", "--crop", "none", "--device", "cpu"]) == 0

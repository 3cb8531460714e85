import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

import dagan
from dagan.cli.main import main
from dagan.data.decoding import read_frames
from dagan.data.pictures import read_image
from dagan.inference.recorded_motion import record_motion, save_motion
from dagan.inference.video import VideoWriter
from dagan.models.weights import load

RATE = Fraction(30000, 1001)


@pytest.fixture
def animate(portrait, model_file, out):
    def run(driver, *options) -> int:
        inputs = [str(portrait), str(driver), "-o", str(out), "--model", str(model_file)]
        exactly = ["--device", "cpu", "--runtime", "torch", "--precision", "fp32"]
        return main(["animate", *inputs, "--crop", "none", *exactly, *options])

    return run


def test_a_two_second_video_moves_a_picture(animate, two_seconds, out, capsys):
    assert animate(two_seconds) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{out}: 60 frames in ")
    assert printed.out.count("\n") == 1
    assert printed.err == ""
    with av.open(str(out)) as container:
        video = container.streams.video[0]
        assert (video.average_rate, video.frames) == (RATE, 60)
        assert (video.width, video.height, video.codec_context.name) == (64, 64, "h264")
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_sound_of_the_driving_video_is_copied_untouched(animate, driving, out):
    def packets(path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert animate(driving) == 0
    kept, given = packets(out), packets(driving)
    assert kept == given[: len(kept)]
    assert len(kept) >= len(given) - 2


def test_frames_are_those_of_the_model(animate, driving, out, portrait, model_file):
    from dagan.images import apply_crop
    from dagan.inference.crop import central_square

    assert animate(driving, "--motion", "absolute") == 0
    crop = central_square((64, 64))
    model = load(model_file)
    frame = list(read_frames(driving))[7]
    with torch.inference_mode():
        source, shown = (apply_crop(picture, crop, 64)[None] for picture in (read_image(portrait), frame))
        expected = model.render(model.view(source), model.view(shown).keypoints).generated
    seen = list(read_frames(out))[7] / 255
    assert np.abs(seen - expected[0].permute(1, 2, 0).numpy()).mean() < 0.03  # what H.264 takes


def test_a_recorded_motion_gives_the_same_pictures_as_its_video(animate, driving, out, model_file, tmp_path):
    from dagan.images import apply_crop
    from dagan.inference.crop import central_square

    frames = (apply_crop(frame, central_square((64, 64)), 64)[None] for frame in read_frames(driving))
    save_motion(record_motion(load(model_file), frames, RATE), tmp_path / "motion.safetensors")
    assert animate(driving, "--no-mark") == 0  # which differs from driver to driver
    by_video = np.stack(list(read_frames(out)))
    assert animate(tmp_path / "motion.safetensors", "--no-mark") == 0
    with av.open(str(out)) as container:
        assert container.streams.video[0].average_rate == RATE
        assert not container.streams.audio
    by_motion = np.stack(list(read_frames(out)))
    assert np.abs(by_motion.astype(int) - by_video).max() <= 2  # a level of rounding, coded


@pytest.fixture
def seldom_seen(tmp_path):
    """A video of the bundled portrait with so many frames that show it, then so many that are black."""

    def write(num_shown, num_black):
        photo = read_image(Path(dagan.__file__).parent / "assets" / "astronaut.png")[0:256, 96:352]
        with VideoWriter(tmp_path / "seldom.mp4", Fraction(10), (256, 256)) as writer:
            for number in range(num_shown + num_black):
                writer.write(np.roll(photo, number, 1) if number < num_shown else np.zeros_like(photo))
        return tmp_path / "seldom.mp4"

    return write


def test_frames_without_a_face_are_counted_in_a_line_and_reported(animate, seldom_seen, tmp_path, capsys):
    assert animate(seldom_seen(5, 3), "--report", str(tmp_path / "report.json")) == 0
    assert "3 of 8 frames had no face: held" in capsys.readouterr().err
    report = json.loads((tmp_path / "report.json").read_text())["driving"]
    assert (report["frames"], report["held"]) == (8, 3)
    assert [frame["status"] for frame in report["per_frame"]] == ["found"] * 5 + ["held"] * 3


def test_a_driver_that_seldom_shows_a_face_is_refused_unless_forced(animate, seldom_seen, out, capsys):
    driver = seldom_seen(3, 5)
    assert animate(driver) == 2
    assert "5 of 8 frames" in capsys.readouterr().err
    assert not out.exists()
    assert animate(driver, "--force") == 0
    assert animate(driver, "--rest", "first") == 0
    assert "more than half" in capsys.readouterr().err


def test_motion_modes_differ(animate, driving, out, model_file, portrait):
    from dagan.images import apply_crop
    from dagan.inference.crop import central_square

    def pictures(*options) -> np.ndarray:
        assert animate(driving, "--no-mark", *options) == 0
        return np.stack(list(read_frames(out)))

    relative = pictures()
    assert not np.array_equal(relative, pictures("--motion", "absolute"))
    assert not np.array_equal(relative, pictures("--adapt-scale"))
    first = pictures("--rest", "first")
    assert np.array_equal(first, pictures("--rest", "0"))
    assert not np.array_equal(first, pictures("--rest", "9"))
    model, crop = load(model_file), central_square((64, 64))
    with torch.inference_mode():
        source = model.view(apply_crop(read_image(portrait), crop, 64)[None]).keypoints
        watched = record_motion(model, (apply_crop(frame, crop, 64)[None] for frame in read_frames(driving)), RATE)
        best = model.rest_frame(source, watched.keypoints)
    assert np.array_equal(relative, pictures("--rest", str(best)))


def test_absolute_motion_counts_from_no_frame(animate, driving, out, capsys):
    assert animate(driving, "--motion", "absolute", "--rest", "3") == 2
    assert "--rest is for relative motion" in capsys.readouterr().err
    assert not out.exists()


def test_a_truncated_video_is_used_as_far_as_it_can_be_read(animate, two_seconds, out, capsys):
    whole = two_seconds.read_bytes()
    two_seconds.write_bytes(whole[: len(whole) // 2])
    assert animate(two_seconds) == 0
    printed = capsys.readouterr()
    num_frames = len(list(read_frames(out)))
    assert 0 < num_frames < 60
    assert f"{num_frames} frames in" in printed.out
    line = next(line for line in printed.err.splitlines() if "truncated" in line)
    assert line.startswith("dagan: warning: ")
    assert f"using the {num_frames} frames" in line

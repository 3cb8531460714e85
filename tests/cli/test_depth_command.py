import io
import os
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from dagan.cli.main import main
from dagan.data.decoding import read_frames
from dagan.data.pictures import read_image
from dagan.depth.outputs import PICTURE_FORMS
from dagan.images import apply_crop
from dagan.inference.crop import central_square
from dagan.models.weights import load
from media import blocks, write_timed

RATE = Fraction(30000, 1001)
SIDE = 64


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def depth(model_file):
    def run(given, output, *options) -> int:
        words = [str(given), "-o", str(output), "-m", str(model_file), "--size", str(SIDE), "--device", "cpu"]
        return main(["depth", *words, "--crop", "none", *options])

    return run


@pytest.fixture
def fails(depth, tmp_path, capsys):
    """Runs the command; gives the one line it says."""

    def run(given, output, *options) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert depth(given, output, *options) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("dagan: error: ")
        assert printed.err.count("\n") == 1
        assert sorted(tmp_path.rglob("*")) == before
        return printed.err

    return run


def test_a_folder_gets_every_form(depth, portrait, folder, capsys):
    assert depth(portrait, folder / "all") == 0
    assert sorted(path.name for path in (folder / "all").iterdir()) == sorted(PICTURE_FORMS.values())
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.count("\n") == len(PICTURE_FORMS) + 1
    with av.open(str(folder / "all" / "parallax.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].frames) == (SIDE, 75)


def test_numbers_are_those_of_the_model(depth, portrait, folder, model_file):
    assert depth(portrait, folder / "d.npy") == 0
    picture = read_image(portrait)
    with torch.inference_mode():
        disparity = load(model_file).depth(apply_crop(picture, central_square((64, 64)), 256)[None])
    seen = np.load(folder / "d.npy")
    assert seen.shape == (SIDE, SIDE)
    expected = torch.nn.functional.interpolate(disparity, (SIDE, SIDE), mode="area")[0, 0]
    disparity_seen = (1 / seen - 1 / 1.2) / (1 / 0.7 - 1 / 1.2)
    assert np.abs(disparity_seen - expected.numpy()).mean() < 0.02


def test_a_field_of_view_narrows_the_mesh(depth, portrait, folder):
    def width(*options) -> float:
        assert depth(portrait, folder / "a.ply", *options) == 0
        return float(np.ptp(trimesh.load(folder / "a.ply").vertices[:, 0]))

    assert width("--field-of-view", "60") == pytest.approx(width() * np.tan(np.pi / 6) * 4, rel=0.05)


def test_the_whole_picture_keeps_its_shape(depth, tmp_path, folder):
    Image.effect_noise((96, 48), 40).convert("RGB").save(tmp_path / "wide.png")
    assert depth(tmp_path / "wide.png", folder / "d.png", "--whole") == 0
    assert Image.open(folder / "d.png").size == (64, 32)


def test_a_video_keeps_its_rate_length_and_sound(depth, driving, folder):
    assert depth(driving, folder / "v.mp4") == 0
    with av.open(str(folder / "v.mp4")) as container:
        assert container.streams.video[0].average_rate == RATE
        assert len(container.streams.audio) == 1
    assert len(list(read_frames(folder / "v.mp4"))) == 12


def test_a_video_gives_numbers_per_frame(depth, driving, folder):
    assert depth(driving, folder / "v") == 0
    numbers = np.load(folder / "v" / "depth.npy")
    assert numbers.shape == (12, SIDE, SIDE)
    raw = [np.asarray(Image.open(path)) for path in sorted((folder / "v" / "depth_raw").iterdir())]
    assert np.abs(np.stack(raw) / 10_000 - numbers).max() < 1e-4
    assert np.abs(numbers[0] - numbers[5]).max() > 0


def test_frames_are_written_as_they_are_decoded(depth, driving, folder, monkeypatch):
    from dagan.data import decoding
    from dagan.inference import video

    decoded, lead = [], []
    read, write = read_frames, video.VideoWriter.write
    monkeypatch.setattr(decoding, "read_frames", lambda *args: (decoded.append(1) or frame for frame in read(*args)))
    monkeypatch.setattr(video.VideoWriter, "write", lambda *args: lead.append(len(decoded) - len(lead)) or write(*args))
    assert depth(driving, folder / "v.mp4") == 0
    assert len(lead) == 12
    assert len(set(lead)) == 1


def test_one_moment_of_a_video_is_a_picture(depth, driving, folder):
    assert depth(driving, folder / "at.npy", "--at", "0.2") == 0
    assert depth(driving, folder / "all.npy") == 0
    assert np.array_equal(np.load(folder / "at.npy"), np.load(folder / "all.npy")[6])


def test_times_that_vary_are_kept_and_a_moment_means_them(depth, tmp_path, folder):
    times = [Fraction(number, 10) for number in range(5)] + [Fraction(1, 2) + Fraction(n, 50) for n in range(20)]
    video = write_timed(tmp_path / "vary.mp4", blocks(25, SIDE, SIDE), times)
    assert depth(video, folder / "v.mp4") == 0
    with av.open(str(folder / "v.mp4")) as container:
        shown = [frame.time for frame in container.decode(video=0)]
    assert np.abs(np.array(shown) - np.array(times, float)).max() < 0.001
    assert depth(video, folder / "all.npy") == 0
    for seconds, number in (("0.3", 3), ("0.7", 15), ("0.33", 3)):
        assert depth(video, folder / "at.npy", "--at", seconds) == 0
        assert np.array_equal(np.load(folder / "at.npy"), np.load(folder / "all.npy")[number])


@pytest.mark.parametrize("name", ["photo.webp", "photo.tiff", "photo.mp4", "photo"])
def test_a_picture_is_known_by_its_content(depth, portrait, tmp_path, folder, name):
    Image.open(portrait).save(tmp_path / name, "WEBP" if name != "photo.tiff" else "TIFF", lossless=True)
    assert depth(tmp_path / name, folder / "photo.npy") == 0
    assert depth(portrait, folder / "portrait.npy") == 0
    assert np.array_equal(np.load(folder / "photo.npy"), np.load(folder / "portrait.npy"))


@pytest.mark.parametrize("name", ["video.png", "video.m4v", "video"])
def test_a_video_is_known_by_its_content(depth, driving, tmp_path, folder, name):
    assert depth(driving.rename(tmp_path / name), folder / "video.npy") == 0
    assert np.load(folder / "video.npy").shape == (12, SIDE, SIDE)


def test_a_name_that_is_not_utf_8_is_shown_with_backslashes(depth, portrait, folder, monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict", write_through=True)
    monkeypatch.setattr("sys.stdout", shown)
    name = os.fsdecode(b"caf\xe9.npy")
    assert depth(portrait, folder / name) == 0
    assert rb"caf\udce9.npy" in shown.buffer.getvalue()
    assert (folder / name).is_file()


def test_missing_and_unreadable_inputs_are_named(fails, tmp_path, folder):
    (tmp_path / "notes.txt").write_text("neither")
    (tmp_path / "empty.mp4").touch()
    for name in ("absent.png", "notes.txt", "empty.mp4"):
        assert name in fails(tmp_path / name, folder / "new")


def test_a_video_without_frames_is_named_and_leaves_no_folder(fails, tmp_path, driving, folder):
    whole = driving.read_bytes()
    (tmp_path / "none.mp4").write_bytes(whole[: whole.index(b"mdat") + 4])
    assert "none.mp4" in fails(tmp_path / "none.mp4", folder / "new")


def test_no_face_suggests_no_crop(fails, portrait, folder):
    assert "--crop none" in fails(portrait, folder / "a.png", "--crop", "auto")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--field-of-view", "180"], "--field-of-view"),
        (["--field-of-view", "nan"], "--field-of-view"),
        (["--swing", "0"], "--swing"),
        (["--size", "7"], "--size"),
        (["--at", "1"], "is a picture"),
        (["--format", "raw,ply"], "need a folder"),
    ],
)
def test_numbers_that_cannot_be_say_which_can(fails, portrait, folder, options, words):
    assert words in fails(portrait, folder / "a.png", *options)


def test_a_moment_after_the_end_is_refused(fails, driving, folder):
    assert "earlier" in fails(driving, folder / "a.png", "--at", "99")


def test_the_input_is_never_replaced(fails, portrait, driving):
    for path in (portrait, driving):
        before = path.read_bytes()
        assert "would replace" in fails(path, path)
        assert path.read_bytes() == before

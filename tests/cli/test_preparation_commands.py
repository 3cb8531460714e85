"""The commands that make what training needs: landmarks, stills, record, train-retargeting."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.cli.main import main
from dagan.data.landmarks import LandmarkTracks
from dagan.data.opening import open_clips
from dagan.face import NUM_LANDMARKS
from dagan.inference.recorded_motion import load_motion
from dagan.models.talking_head import FaceConfig, TalkingHeadConfig
from dagan.models.weights import load, load_config, save_model
from dagan.observers.faces import FaceObservation, HeadPose, ObserverVersion
from dagan.transfer.retargeting import FaceRetargeting
from media import write_video
from parts import face_clips, write_landmarks

PORTRAIT = Path(__file__).parents[2] / "src" / "dagan" / "assets" / "astronaut.png"


@pytest.fixture
def guided_model(tmp_path: Path, tiny_config: TalkingHeadConfig) -> Path:
    """A model whose keypoints are the face's, without retargeting."""
    keypoints = replace(tiny_config.keypoints, num_keypoints=NUM_LANDMARKS + 1)
    config = replace(tiny_config, keypoints=keypoints, face=FaceConfig(retargeting=None, reader=None))
    save_model(tmp_path / "guided.safetensors", config.build(), config)
    return tmp_path / "guided.safetensors"


def test_landmarks_of_clips_are_found_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mediapipe")
    folder = tmp_path / "clips" / "ann__c0"
    folder.mkdir(parents=True)
    portrait = Image.open(PORTRAIT).convert("RGB").crop((118, 16, 330, 228)).resize((128, 128))
    for index in range(2):
        portrait.save(folder / f"{index}.png")
    words = ["landmarks", str(tmp_path / "clips"), "-o", str(tmp_path / "out"), "--stride", "2"]
    assert main(words) == 0
    assert "(0 were there): 1 faces in 1 frames" in capsys.readouterr().out
    with np.load(tmp_path / "out" / "ann__c0.npz") as track:
        assert track["found"].tolist() == [True, False]
        assert np.abs(track["landmarks"][0]).max() < 1.2
    assert main(words) == 0
    assert "wrote 0 files" in capsys.readouterr().out


def test_stills_makes_a_clip_of_each_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dagan.depth import estimate, still_clips

    made = []
    monkeypatch.setattr(estimate, "load_face_depth", lambda path: "network")
    monkeypatch.setattr(still_clips, "write_still_clip", lambda photo, network, target: made.append((photo, target)))
    (tmp_path / "photos").mkdir()
    words = ["stills", str(tmp_path / "photos"), "-o", str(tmp_path / "clips")]
    assert main(words) == 2
    assert "no photos in" in capsys.readouterr().err
    for name in ("a.png", "b.jpg", "notes.txt"):
        (tmp_path / "photos" / name).write_bytes(b"")
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "still-a__c00.mp4").write_bytes(b"")
    assert main(words) == 0
    assert made == [(tmp_path / "photos" / "b.jpg", tmp_path / "clips" / "still-b__c00.mp4")]


def test_record_stores_the_frames_that_were_asked_for(tmp_path: Path, driving: Path, model_file: Path) -> None:
    out = tmp_path / "motion.safetensors"
    options = ["--model", model_file, "--crop", "none", "--size", "64", "--first", "2", "--count", "3"]
    assert main(["record", *map(str, [driving, "-o", out, *options, "--device", "cpu"])]) == 0
    motion = load_motion(out)
    assert len(motion) == 3
    assert float(motion.fps) == pytest.approx(29.97, abs=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--first", "-1"], "--first -1"), (["--count", "0"], "--count 0"), (["-o", "/no/where"], "no such folder: /no")],
)
def test_record_says_what_it_cannot_do(
    driving: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["record", str(driving), "-o", "motion.safetensors", *options]) == 2
    assert message in capsys.readouterr().err


def test_retargeting_is_trained_and_the_rest_of_the_model_stays(
    tmp_path: Path, guided_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips").mkdir()
    clips = face_clips(2)
    for clip in clips:
        write_video(tmp_path / "clips" / clip.clip.path, clip.frames)
    (tmp_path / "landmarks").mkdir()
    write_landmarks(tmp_path / "landmarks", clips)
    where = [tmp_path / "clips", "--landmarks", tmp_path / "landmarks", "--from", guided_model, "-o", tmp_path / "run"]
    how = ["--steps", "2", "--per-clip", "2", "--size", "64", "--device", "cpu"]
    assert main(["train-retargeting", *map(str, [*where, *how])]) == 0, capsys.readouterr().err
    before, after = load(guided_model), load(tmp_path / "run" / "model.safetensors")
    assert isinstance(after.retargeting, FaceRetargeting)
    assert load_config(tmp_path / "run" / "model.safetensors").face == FaceConfig(reader=None)
    assert all(torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items())


def test_a_model_without_keypoints_of_the_face_cannot_be_retargeted(
    tmp_path: Path, model_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [tmp_path, "--landmarks", tmp_path, "--from", model_file, "-o", tmp_path / "run"]
    assert main(["train-retargeting", *map(str, where), "--device", "cpu"]) == 2
    assert "knows nothing of faces" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


class SeesAll:
    """An observer that finds a face in every frame and remembers the frames' shapes."""

    shapes: list[tuple[int, ...]] = []  # noqa: RUF012
    version = ObserverVersion("stub", "", "")

    def __enter__(self) -> "SeesAll":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def observe(self, image: np.ndarray) -> FaceObservation:
        self.shapes.append(image.shape)
        landmarks = np.full((478, 3), image.shape[1] / 4)
        return FaceObservation(landmarks, HeadPose(0.0, 0.0, 0.0), np.zeros(52))


@pytest.mark.parametrize("layout", ["videos", "nested", "frames", "shards"])
def test_landmarks_of_every_layout_are_found_again_by_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """Nested clips had no folder to go to, shards were no clips, and wide frames were looked at whole."""
    (clip,), folder = face_clips(1, num_frames=3), tmp_path / "clips"
    folder.mkdir()
    wide = np.pad(clip.frames, ((0, 0), (0, 0), (16, 16), (0, 0)))
    if layout == "nested":
        (folder / "p0").mkdir()
        write_video(folder / "p0" / clip.clip.path, wide)
    elif layout == "frames":
        (folder / "p0__0").mkdir()
        for index, frame in enumerate(wide):
            Image.fromarray(frame).save(folder / "p0__0" / f"{index}.png")
    else:
        write_video(folder / clip.clip.path, wide)
    if layout == "shards":
        assert main(["data", "pack", str(folder), "-o", str(tmp_path / "shards"), "--store", "jpeg"]) == 0
        folder = tmp_path / "shards"
    monkeypatch.setattr("dagan.observers.mediapipe_face.MediaPipeFace", SeesAll)
    SeesAll.shapes.clear()
    assert main(["landmarks", str(folder), "-o", str(tmp_path / "out")]) == 0
    assert all(height == width for height, width, _ in SeesAll.shapes)
    opened = open_clips(folder, tmp_path / "cache", 64, "seek")
    tracks = LandmarkTracks(opened, [tmp_path / "out"])
    assert bool(tracks.at(0, 0, flipped=False).found)
    assert float(tracks.at(0, 0, flipped=False).position[0, 0]) == pytest.approx(-0.5, abs=1e-3)

"""Small inputs for the commands: a portrait, a video with sound, and a model, each made in milliseconds."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from dagan.models.talking_head import TalkingHead

SIDE = 64
RATE = Fraction(30000, 1001)
NUM_FRAMES = 12
SAMPLE_RATE = 16000


def picture(shift: int) -> np.ndarray:
    """A smooth pattern, moved to the right by `shift` pixels."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE * 2 * np.pi
    x = x - 2 * np.pi * shift / SIDE
    pattern = np.stack([np.sin(x + y), np.sin(x), np.cos(2 * y)], axis=-1)
    return ((pattern + 1) * 127).astype(np.uint8)


def write_video(path: Path, num_frames: int) -> Path:
    """H.264 at 30000/1001 frames per second with an AAC tone of the same length; its index comes first."""
    with av.open(str(path), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=RATE, options={"g": "5"})
        video.width = video.height = SIDE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        for index in range(num_frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture(index), format="rgb24")))
        container.mux(video.encode(None))
        tone = np.sin(np.arange(round(num_frames / RATE * SAMPLE_RATE)) * 0.2).astype(np.float32)[None]
        for start in range(0, tone.shape[1], 1024):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(tone[:, start : start + 1024]), "fltp", "mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


@pytest.fixture(autouse=True)
def _no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a short run would say how far it is, among the lines that a test counts."""
    monkeypatch.setattr("dagan.cli.progress._Lines.first", 600.0)


@pytest.fixture
def portrait(tmp_path: Path) -> Path:
    Image.fromarray(picture(0)).save(tmp_path / "portrait.png")
    return tmp_path / "portrait.png"


@pytest.fixture
def driving(tmp_path: Path) -> Path:
    return write_video(tmp_path / "driving.mp4", NUM_FRAMES)


@pytest.fixture
def two_seconds(tmp_path: Path) -> Path:
    return write_video(tmp_path / "two_seconds.mp4", round(2 * RATE))


@pytest.fixture
def model_file(tmp_path: Path, tiny_model: "TalkingHead", tiny_config) -> Path:
    from dagan.models.weights import save_model

    save_model(tmp_path / "model.safetensors", tiny_model, tiny_config, half=True)
    return tmp_path / "model.safetensors"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where to write: a folder of its own, so that leftovers show."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "result.mp4"

"""Small videos for tests, made with PyAV directly, so that a reader or writer under test does not check itself."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    rate: Fraction = Fraction(25),
    codec: str = "libx264",
    audio: str | None = None,
    rotation: int = 0,
    faststart: bool = False,
    audio_offset: float = 0.0,
    sound_last: bool = False,
    encoder: dict[str, str] | None = None,
) -> Path:
    """Frames at a rate, with a 440 Hz sine of the same length in the `audio` codec if one is named."""
    frames = list(frames)
    options = {"movflags": "+faststart"} if faststart else {}
    if sound_last:  # in the file; by default packets are interleaved
        options["max_interleave_delta"] = "1"
    with av.open(str(path), "w", options=options) as container:
        video = container.add_stream(codec, rate=rate, options=encoder)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        if rotation:
            video.set_display_rotation(rotation)
        sound = container.add_stream(audio, rate=48000, layout="mono") if audio else None
        for frame in frames:
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))))
        container.mux(video.encode(None))
        if sound is not None:
            for chunk in sine(len(frames) / float(rate), audio_offset):
                container.mux(sound.encode(chunk))
            container.mux(sound.encode(None))
    return path


def sine(seconds: float, offset: float) -> Iterable[av.AudioFrame]:
    samples = (0.5 * 32767 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * 48000)) / 48000)).astype(np.int16)
    for start in range(0, len(samples), 960):
        frame = av.AudioFrame.from_ndarray(samples[None, start : start + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start + int(offset * 48000), Fraction(1, 48000)
        yield frame


def blocks(num_frames: int, height: int = 64, width: int = 64) -> list[np.ndarray]:
    """Frames of random coloured squares: enough detail that a file has some length, and every frame differs."""
    numbers = np.random.default_rng(0)
    small = numbers.integers(0, 256, (num_frames, -(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return [frame.repeat(8, 0).repeat(8, 1)[:height, :width] for frame in small]


def truncate(path: Path, share: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def frame_folder(path: Path, frames: Iterable[np.ndarray]) -> Path:
    """Frames as 0.png, 1.png, ... in a new folder."""
    path.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{number}.png")
    return path

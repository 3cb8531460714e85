"""Small videos for tests, made with PyAV directly, so that a reader or writer under test does not check itself."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
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


def write_timed(
    path: Path,
    frames: Iterable[np.ndarray],
    times: Iterable[Fraction],
    codec: str = "libx264",
    audio: str | None = None,
    beep_at: Fraction = Fraction(0),
    clock: int = 90_000,
    sound_from: Fraction = Fraction(0),
    sound_until: Fraction = Fraction(3),
    options: dict[str, str] | None = None,
    b_frames: int = 0,
    rate: int = 25,
) -> Path:
    """Frames shown at these times in seconds, with a beep of 0.1 s in silence if an `audio` codec is named."""
    with av.open(str(path), "w", options=options or {}) as container:
        video = container.add_stream(codec, rate=rate, options={"bf": str(b_frames)})
        sound = container.add_stream(audio, rate=48000, layout="mono") if audio else None
        frames, tick = list(frames), Fraction(1, clock)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt, video.codec_context.time_base = "yuv420p", tick
        for pixels, time in zip(frames, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels)).reformat(format="yuv420p")
            frame.pts, frame.time_base = round(time / tick), tick
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None:
            for chunk in beep(beep_at, sound_from, sound_until):
                container.mux(sound.encode(chunk))
            container.mux(sound.encode(None))
    return path


def beep(at: Fraction, start: Fraction, end: Fraction) -> Iterable[av.AudioFrame]:
    """Silence from `start` to `end`, but for a sine of 1 kHz from `at` for 0.1 s."""
    for first in range(round(start * 48000), round(end * 48000), 960):
        time = (first + np.arange(960)) / 48000
        samples = 16000 * np.sin(2000 * np.pi * time) * ((time >= float(at)) & (time < float(at) + 0.1))
        frame = av.AudioFrame.from_ndarray(samples.astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, first, Fraction(1, 48000)
        yield frame


def jump_and_beep(path: Path) -> tuple[float, float]:
    """When the picture of a video changes most, and when its sound begins to be loud, in seconds of the file."""
    with av.open(f"file:{path}") as container:
        shown = [(frame.time, frame.to_ndarray(format="gray").astype(int)) for frame in container.decode(video=0)]
    with av.open(f"file:{path}") as container:
        chunks = [(frame.time, frame.rate, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
    changes = [np.abs(after - before).mean() for (_, before), (_, after) in pairwise(shown)]
    scale = max(float(np.abs(samples).max()) for _, _, samples in chunks)
    loud = [start + np.flatnonzero(np.abs(samples) > scale / 4)[:1] / rate for start, rate, samples in chunks]
    return shown[int(np.argmax(changes)) + 1][0], float(np.concatenate(loud)[0])


@contextmanager
def disk_full_after(num_bytes: int) -> Iterator[None]:
    """No file can grow beyond so many bytes, as on a full disk (Unix)."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

"""How a clip is stored in a shard: as its own bytes, as a video with many keyframes, or as pictures.

`original` is the smallest and loses nothing, but reading a frame decodes all from the keyframe before it; `h264` has a
keyframe every few frames; `jpeg` is the fastest and largest. docs/train.md has their speeds.
"""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dagan.data.clips import MIN_FRAMES, Clip, fit_square, frame_files, read_clip, read_folder
from dagan.data.decoding import DecodeReport
from dagan.data.seeking import VideoIndex, index_by_decoding, index_video
from dagan.errors import UserError

SHARD_BYTES = 256 * 2**20  # enough for long sequential reads, small enough for some to be lost
H264_OPTIONS = {
    "crf": "12",
    "preset": "medium",
    "bf": "0",
    "tune": "fastdecode",
}  # 45 dB at 256 pixels; quick to decode
JPEG_QUALITY = 95
FRAME_RATE = 25  # of stored videos; training goes by frame numbers


@dataclass(frozen=True, kw_only=True)
class PackConfig:
    """How clips are stored. `size` and `key_every` say nothing about `original`."""

    store: str = "original"
    size: int = 256
    key_every: int = 8
    shard_bytes: int = SHARD_BYTES


class Member(NamedTuple):
    """A file to be written into a tar: bytes, or a file to copy."""

    name: str
    content: bytes | Path


class Prepared(NamedTuple):
    """A clip as it goes into a shard, with the damage that was found and lived with."""

    members: list[Member]
    video: VideoIndex | None
    damage: str | None


def key_of(clip: Clip) -> str:
    """A clip's name as WebDataset needs it: what follows the first dot of a file's name would be its kind."""
    return quote(clip.name, safe="/#").replace(".", "%2E")


def prepare(clip: Clip, config: PackConfig) -> Prepared:
    """A clip's files as one of the ways stores them. Every frame has been decoded once.

    Raises:
        UserError: it cannot be read, has fewer than two frames, or frames of different sizes.
    """
    prepared = STORES[config.store](clip, config)
    count = prepared.video.num_frames if prepared.video else len(prepared.members)
    if count < MIN_FRAMES:
        raise UserError(f"{count} frame; at least {MIN_FRAMES} are needed")
    return prepared


def _original(clip: Clip, config: PackConfig) -> Prepared:
    if not clip.path.is_dir():
        index, decoded = index_video(clip.path), index_by_decoding(clip.path)
        kept = index if index.times == decoded.times else decoded  # packets may promise frames that do not come
        return Prepared([Member(f"{key_of(clip)}{clip.path.suffix.lower()}", clip.path)], kept, decoded.damage)
    for _ in read_folder(clip.path):
        pass
    files = frame_files(clip.path)
    members = [Member(f"{key_of(clip)}/{i:06d}{file.suffix.lower()}", file) for i, file in enumerate(files)]
    return Prepared(members, None, None)


def _jpeg(clip: Clip, config: PackConfig) -> Prepared:
    members: list[Member] = []
    report = DecodeReport()
    for number, frame in enumerate(read_clip(clip, report)):
        content = io.BytesIO()
        picture = Image.fromarray(fit_square(frame, config.size))
        picture.save(content, "JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")
        members.append(Member(f"{key_of(clip)}/{number:06d}.jpg", content.getvalue()))
    return Prepared(members, None, report.damage)


def _h264(clip: Clip, config: PackConfig) -> Prepared:
    report = DecodeReport()
    frames = (fit_square(frame, config.size) for frame in read_clip(clip, report))
    content = encode_h264(frames, config.size, config.key_every)
    name = f"{key_of(clip)}.mp4"
    return Prepared([Member(name, content)], index_video(name, io.BytesIO(content)), report.damage)


STORES: dict[str, Callable[[Clip, PackConfig], Prepared]] = {"original": _original, "h264": _h264, "jpeg": _jpeg}


def encode_h264(frames: Iterable[UInt8[np.ndarray, "size size 3"]], size: int, key_every: int) -> bytes:
    """An mp4 with a keyframe every `key_every` frames. The same frames give the same bytes."""
    encoder = H264Encoder(size, key_every)
    for frame in frames:
        encoder.add(frame)
    return encoder.finish()


class H264Encoder:
    """An mp4 that grows in memory frame by frame, with a keyframe every `key_every` frames. The same frames give the
    same bytes."""

    def __init__(self, size: int, key_every: int, rate: Fraction = Fraction(FRAME_RATE)) -> None:
        import av

        gop = {"g": str(key_every), "keyint_min": str(key_every), "sc_threshold": "0"}
        self._content = io.BytesIO()
        self._container = av.open(self._content, "w", format="mp4")
        self._stream = self._container.add_stream("libx264", rate=rate, options=H264_OPTIONS | gop)
        self._stream.width = self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.thread_count = 1  # one process for each core already

    def add(self, frame: UInt8[np.ndarray, "size size 3"]) -> None:
        """The next frame."""
        import av

        self._container.mux(self._stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))))

    def finish(self) -> bytes:
        """The whole file; nothing can be added afterwards."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        return self._content.getvalue()

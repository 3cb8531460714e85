"""Pixels out of files, once for training clips and for animation: RGB, upright, `h w 3` uint8."""

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from dagan.errors import UserError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
MAX_IMAGE_PIXELS = 89_000_000  # where Pillow begins to warn of decompression bombs: 11,000 x 8,000


@runtime_checkable
class SeekableFile(Protocol):
    """What a video can be read from in place of a file on disk."""

    def read(self, size: int = -1, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def tell(self) -> int: ...


@dataclass
class DecodeReport:
    """What `read_frames` met: filled while it runs, complete when it ends."""

    num_frames: int = 0
    damage: str | None = None  # one line, or None if the file was read to its end

    def line(self, path: str | Path) -> str:
        return f"{path} is damaged or truncated ({self.damage}); using the {self.num_frames} frames that can be read"


def open_video(path: str | Path, file: SeekableFile | None = None) -> tuple["InputContainer", "VideoStream"]:
    """The opened file and its first real video stream (cover art does not count).

    With `file`, the video is read from there (a part of a tar file), and `path` is only its name in messages.

    Raises:
        UserError: no such file, or not a video.
    """
    import av

    if file is None and not Path(path).is_file():
        raise UserError(f"no such video file: {path}")
    try:
        container = av.open(str(path) if file is None else file, "r")
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"not a video that can be read: {path} ({reason_of(error)})") from error
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams or streams[0].codec_context is None:
        container.close()
        raise UserError(f"no video stream in {path}; give a video such as an mp4")
    return container, streams[0]


def read_only(container: "InputContainer", stream: "Stream") -> None:
    """Skips every other stream: sound that lies past a cut must not end the pictures before it, nor the reverse."""
    from av.stream import Discard

    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def read_frames(path: str | Path, report: DecodeReport | None = None) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The frames of a video one by one, upright, RGB; all of the size of the first.

    A damaged file gives what can be read: the damage is written to `report`, or warned about if there is none.

    Raises:
        UserError: no such file, not a video, or not one frame can be read.
    """
    from av.video.reformatter import VideoReformatter

    found = report if report is not None else DecodeReport()
    container, stream = open_video(path)
    converter = VideoReformatter()
    stream.thread_type = "AUTO"
    read_only(container, stream)
    with container:
        end, size = 0.0, None
        for frame in decode(container, stream, found):
            end = float((frame.pts or 0) * frame.time_base) if frame.time_base else end
            size = size or display_size(frame, stream)
            yield upright(frame, size, converter)
            found.num_frames += 1
        found.damage = found.damage or early_end(container, stream, found.num_frames, end)
    if found.num_frames == 0:
        raise UserError(
            f"video has no frames that can be read: {path}" + (f" ({found.damage})" if found.damage else "")
        )
    if found.damage and report is None:
        warnings.warn(found.line(path), stacklevel=2)


def decode(container: "InputContainer", stream: "VideoStream", report: DecodeReport) -> Iterator["VideoFrame"]:
    """Frames of all packets that decode; a bad packet is counted and passed over, as players do."""
    import av

    num_bad = 0
    try:
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                num_bad += 1
                report.damage = f"{reason_of(error)}, packets lost: {num_bad}"
                continue
            yield from frames
    except av.FFmpegError as error:
        report.damage = reason_of(error)


def early_end(container: "InputContainer", stream: "VideoStream", num_frames: int, end: float) -> str | None:
    """What is missing if the last frame comes well before the duration that the file claims: it was cut off quietly."""
    rate = float(stream.average_rate or 25)
    if 0 < stream.frames <= num_frames:
        return None
    if stream.duration is not None and stream.time_base is not None:
        claimed = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
        slack = 2 / rate  # the last frame's own duration, and rounding
    elif container.duration is not None:  # mkv, webm: only the longest stream's duration is known
        claimed = container.duration / 1e6
        slack = 2 / rate if len(container.streams) == 1 else 1.0
    else:
        return None
    return f"it ends at {end:.1f} of {claimed:.1f} s" if claimed - end > slack else None


def display_size(frame: "VideoFrame", stream: "VideoStream") -> tuple[int, int]:
    """Width and height before turning, with square pixels."""
    aspect = stream.sample_aspect_ratio or 1
    return max(1, round(frame.width * aspect)), frame.height


def upright(
    frame: "VideoFrame", size: tuple[int, int], converter: "VideoReformatter", threads: int = 0
) -> UInt8[np.ndarray, "h w 3"]:
    """RGB by the matrix the frame is tagged with (BT.601 if untagged, as FFmpeg does), turned by its display matrix.

    One `converter` for all frames of a file saves a third of the time: it keeps its tables. 0 `threads`: all cores.
    """
    from av.video.reformatter import Interpolation

    # FFmpeg's default conversion is 1 to 2 of 255 levels too dark, and repeats chroma samples instead of interpolating.
    accurate = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    converted = converter.reformat(frame, size[0], size[1], "rgb24", interpolation=accurate, threads=threads)
    pixels = converted.to_ndarray()  # h w 3
    quarter_turns = round(frame.rotation / 90) % 4  # counterclockwise, as np.rot90
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns)) if quarter_turns else pixels


def reason_of(error: BaseException) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def read_image(path: str | Path, file: io.BytesIO | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """A picture as RGB: turned by its EXIF orientation, transparency on white, 16-bit scaled to 8.

    With `file`, the picture is read from there, and `path` is only its name in messages.

    Raises:
        UserError: no such file, not a picture, damaged, or larger than `MAX_IMAGE_PIXELS`.
    """
    if file is None and not Path(path).is_file():
        raise UserError(f"no such image file: {path}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refused below, with our words
            image = Image.open(path if file is None else file)
        with image:
            if image.width * image.height > MAX_IMAGE_PIXELS:
                raise UserError(f"image is too large: {path} has {image.width}x{image.height} pixels; make it smaller")
            return np.asarray(_as_rgb(ImageOps.exif_transpose(image)))
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"not an image: {path}; give a png or jpg") from error
    except Image.DecompressionBombError as error:
        raise UserError(f"image is too large: {path} ({reason_of(error)})") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"not an image that can be read: {path} ({reason_of(error)})") from error


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey (modes I;16* and, from PNG in older Pillow, I)
        values = np.asarray(image.convert("I"), dtype=np.int64)
        image = Image.fromarray((values.clip(0, 65535) / 257).round().astype(np.uint8))
    elif image.mode == "F":
        image = Image.fromarray((np.asarray(image).clip(0, 1) * 255).round().astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")

"""Pixels out of videos, once for training clips and for animation: sRGB, upright, `h w 3` uint8."""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from dagan.data.colour import FrameColour
from dagan.data.pictures import MAX_IMAGE_PIXELS, is_picture, what_instead
from dagan.errors import UserError, reason_of

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream

# What the videos in a folder are called; a video that is named itself may be called anything.
VIDEO_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".flv", ".wmv", ".ogv", ".gif"})
VIDEO_SUFFIXES |= {".ts", ".mts", ".m2ts", ".mpg", ".mpeg"}
# What FFmpeg may open, by its names. It knows more: playlists (ffconcat, HLS, DASH, SDP) would read other files or
# addresses, and its readers of pictures would take a photo for a video.
CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,asf,ogg,gif,apng,ivf,obu,h264,hevc,"
    "mxf,nut,dv,rm,yuv4mpegpipe"
)
MAX_PIXEL_ASPECT = 8  # anamorphic film has 2; more is a damaged header


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

    if file is None and not os.path.isfile(path):
        raise UserError(f"no such video file: {path}")
    options = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    try:
        source = file_name(path) if file is None else file
        container = av.open(source, "r", container_options=options, metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        if file is None and is_picture(path):
            raise UserError(f"{path} is a picture; expected a video") from error
        known = isinstance(error, av.error.InvalidDataError | av.error.ArgumentError)  # it is no such file: that is all
        why = (what_instead(path) if file is None else "") if known else f" ({reason_of(error)})"
        raise UserError(f"not a video that can be read: {path}{why}; give an mp4, mov, mkv or webm") from error
    streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    if not streams or streams[0].codec_context is None:
        container.close()
        raise UserError(f"no video stream in {path}; give a video such as an mp4")
    try:
        check_shape(streams[0].width, streams[0].height, pixel_aspect(streams[0]), path)
    except UserError:
        container.close()
        raise
    return container, streams[0]


def is_video(path: str | Path) -> bool:
    """Whether a file is a video rather than a picture, by its content.

    Raises:
        UserError: no such file, or neither of the two.
    """
    import av

    if is_picture(path):
        return False
    try:
        open_video(path)[0].close()
    except UserError as error:
        if not isinstance(error.__cause__, av.FFmpegError):
            raise
        raise UserError(f"neither a picture nor a video that can be read: {path}{what_instead(path)}") from error
    return True


def file_name(path: str | Path) -> str:
    """How FFmpeg is told of a file, so that it takes no part of the name for a protocol ("12:30.mp4", "http:")."""
    return f"file:{os.path.abspath(path)}"


def pixel_aspect(stream: "VideoStream") -> Fraction:
    """Width of a pixel over its height."""
    return Fraction(stream.sample_aspect_ratio or 1)


def check_shape(width: int, height: int, aspect: Fraction, path: str | Path) -> None:
    """Raises UserError for pictures that are too large, and for pixels that are no pixel's shape."""
    if not Fraction(1, MAX_PIXEL_ASPECT) <= aspect <= MAX_PIXEL_ASPECT:
        raise UserError(
            f"the pixels of {path} are {float(aspect):g} times as wide as high; expected at most 8; convert it"
        )
    if width * aspect * height > MAX_IMAGE_PIXELS:
        raise UserError(f"video is too large: {path} has {width}x{height} pixels; make it smaller")


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
    for _, pixels in decoded_frames(path, report):
        yield pixels


def decoded_frames(
    path: str | Path, report: DecodeReport | None = None
) -> Iterator[tuple["VideoFrame", UInt8[np.ndarray, "h w 3"]]]:
    """What `read_frames` gives, each with the frame as FFmpeg has it."""
    found = report if report is not None else DecodeReport()
    container, stream = open_video(path)
    upright = Upright(path, pixel_aspect(stream))
    stream.thread_type = "AUTO"
    read_only(container, stream)
    with container:
        end = 0.0
        for frame in decode(container, stream, found):
            end = max(end, end_of(frame.pts, frame.duration, stream)) if frame.pts is not None else end
            yield frame, upright(frame)
            found.num_frames += 1
        found.damage = found.damage or early_end(container, stream, found.num_frames, end)
    if found.num_frames == 0:
        raise UserError(
            f"video has no frames that can be read: {path}" + (f" ({found.damage})" if found.damage else "")
        )
    if found.damage and report is None:
        warnings.warn(found.line(path), stacklevel=3)


def decode(container: "InputContainer", stream: "VideoStream", report: DecodeReport) -> Iterator["VideoFrame"]:
    """Frames of all packets that decode; a bad packet is counted and passed over, as players do."""
    import av

    num_bad = 0
    try:
        for packet in whole_packets(container.demux(stream)):
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                num_bad += 1
                report.damage = f"{reason_of(error)}, packets lost: {num_bad}"
                continue
            yield from frames
    except av.FFmpegError as error:
        report.damage = reason_of(error)


def whole_packets(packets: Iterator["Packet[VideoStream]"]) -> Iterator["Packet[VideoStream]"]:
    """All but a damaged last one: of a file that was cut off, it holds only the start of a frame."""
    held = None
    for packet in packets:
        if held is not None and packet.size:
            yield held
        held = packet if packet.is_corrupt and packet.size else None
        if held is None:
            yield packet


def has_places_only(container: "InputContainer", stream: "VideoStream") -> bool:
    """Whether the times in a file are those of packets and not of the frames in them: AVI with B-frames."""
    return container.format.name == "avi" and bool(stream.codec_context.has_b_frames)


def end_of(time: int, duration: int | None, stream: "VideoStream") -> float:
    """Seconds at which a frame ends, less what every frame lasts; `time` and `duration` in ticks."""
    usual = 1 / float(stream.average_rate or 25)
    tick = float(stream.time_base or 0)
    return time * tick + max((duration or 0) * tick - usual, 0.0)


def early_end(container: "InputContainer", stream: "VideoStream", num_frames: int, end: float) -> str | None:
    """What is missing if the last frame comes well before the duration that the file claims: it was cut off quietly.

    Where a file has one duration for all its streams (mkv, webm, asf), sound that lasts so long explains it.
    """
    if 0 < stream.frames <= num_frames:
        return None
    slack = 2 / float(stream.average_rate or 25)  # the last frame's own duration, and rounding
    if stream.duration is not None and stream.time_base is not None:
        claimed = float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    elif container.duration is not None:
        claimed = container.duration / 1e6
        slack = slack if len(container.streams) == 1 else max(slack, 1.0)
    else:
        return None
    if claimed - end <= slack or (not stream.frames and _end_of_others(container, stream) > claimed - slack):
        return None
    return f"it ends at {end:.1f} of {claimed:.1f} s"


def _end_of_others(container: "InputContainer", stream: "VideoStream") -> float:
    """Seconds at which the last packet of the file's other streams ends; 0 if they cannot be read again."""
    import av
    from av.stream import Discard

    end = 0.0
    for other in container.streams:
        other.discard = Discard.all if other.index == stream.index else Discard.default
    try:
        container.seek(0)
        for packet in container.demux():
            if packet.stream.index != stream.index and packet.pts is not None and packet.time_base is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except (av.FFmpegError, OSError):
        pass
    return end


class Upright:
    """Frames of one video as pixels: RGB, square pixels, turned by their display matrix, all of the size of the first.

    A frame of another size is scaled to fit; black is added where its shape is another. One object for all frames of a
    file saves a third of the time: it keeps FFmpeg's tables.
    """

    def __init__(self, path: str | Path, aspect: Fraction, size: tuple[int, int] | None = None) -> None:
        """`aspect` is `pixel_aspect`; `size`, of the first frame as it is stored (None: the first that comes)."""
        self._path, self._aspect = path, aspect
        self._colour = FrameColour()
        self._size = self._shown(*size) if size is not None else None

    def __call__(self, frame: "VideoFrame", threads: int = 0) -> UInt8[np.ndarray, "h w 3"]:
        """0 `threads`: all cores. Raises UserError for a frame that is too large."""
        check_shape(frame.width, frame.height, self._aspect, self._path)
        own = self._shown(frame.width, frame.height)
        size = self._size = self._size or own
        if own == size:
            pixels = self._colour(frame, size, threads)  # h w 3
        else:
            scale = min(size[0] / own[0], size[1] / own[1])
            pixels = framed(self._colour(frame, (scaled(own[0], scale), scaled(own[1], scale)), threads), size)
        return turned(pixels, frame)

    def _shown(self, width: int, height: int) -> tuple[int, int]:
        """Width and height before turning, with square pixels."""
        return max(1, round(width * self._aspect)), height


def turned(pixels: UInt8[np.ndarray, "_h _w 3"], frame: "VideoFrame") -> UInt8[np.ndarray, "h w 3"]:
    """A frame's pixels as its display matrix says: quarter turns, and mirrored as some front cameras do."""
    from av.sidedata.sidedata import SideData

    matrix = frame.side_data.get("DISPLAYMATRIX")
    if not isinstance(matrix, SideData):
        return pixels
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()  # x' = a x + c y, y' = b x + d y
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


def scaled(length: int, scale: float) -> int:
    return max(1, round(length * scale))


def framed(pixels: UInt8[np.ndarray, "_h _w 3"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """A picture in the middle of a black one of `size` (width, height)."""
    height, width = pixels.shape[:2]
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    return np.pad(pixels, ((top, size[1] - height - top), (left, size[0] - width - left), (0, 0)))

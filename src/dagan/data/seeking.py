"""Frames of a video by their numbers, decoded from the keyframe before each instead of from the start of the file.

An index says when each frame is shown and where keyframes are; it is made by reading packets, without decoding them.
Numbers and pixels are those of `read_frames`: frame n is the n-th that it gives.
"""

import warnings
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from dagan.data.decoding import (
    DecodeReport,
    SeekableFile,
    Upright,
    decode,
    early_end,
    end_of,
    has_places_only,
    open_video,
    pixel_aspect,
    read_only,
)
from dagan.errors import UserError

if TYPE_CHECKING:
    from av import Packet, VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

MOST_FRAMES = 10**9  # of a video in an index that was read: 463 days at 25 frames/s


class VideoIndex(NamedTuple):
    """When each frame is shown, and when the keyframes are, in ticks of the stream; both ascend.

    `times` is a range where the frame rate is constant: then an index of any length is three numbers. `counted`: the
    file has no times to go by, so its frames are counted from the start. `damage` is one line, or None.
    """

    times: range | tuple[int, ...]
    key_times: tuple[int, ...]
    counted: bool = False
    damage: str | None = None

    @property
    def num_frames(self) -> int:
        return len(self.times)

    def number_at(self, time: int) -> int | None:
        """The number of the frame that is shown at `time`, None if none begins there."""
        number = bisect_left(self.times, time)
        return number if number < len(self.times) and self.times[number] == time else None

    def key_before(self, number: int) -> int | None:
        """Time of the last keyframe that is not after a frame; None: decode from the start of the file."""
        place = bisect_right(self.key_times, self.times[number])
        return self.key_times[place - 1] if place > 1 and not self.counted else None

    def to_plain(self) -> dict[str, Any]:
        """As JSON can hold it."""
        times = self.times
        plain = [times.start, times.stop, times.step] if isinstance(times, range) else None
        kept: dict[str, Any] = {"range": plain} if plain else {"times": list(times)}
        return {**kept, "key_times": list(self.key_times), "counted": self.counted, "damage": self.damage}

    @staticmethod
    def from_plain(plain: dict[str, Any]) -> "VideoIndex":
        """Raises ValueError, KeyError or TypeError when it is not what `to_plain` gives."""
        if "range" in plain:
            start, stop, step = _ticks(plain["range"])
            times: range | tuple[int, ...] = range(start, stop, step)
        else:
            times = _ticks(plain["times"])
        keys, damage = _ticks(plain["key_times"]), plain["damage"]
        ascend = all(before <= after for before, after in pairwise(keys)) and (
            times.step > 0 if isinstance(times, range) else all(before < after for before, after in pairwise(times))
        )
        if not ascend or not 0 < len(times) <= MOST_FRAMES:
            raise ValueError(f"the times of a video's frames should ascend, at most {MOST_FRAMES} of them")
        return VideoIndex(times, keys, bool(plain["counted"]), damage if damage is None else str(damage))


def _ticks(plain: Any) -> tuple[int, ...]:
    """Times in ticks of a stream, as files state them."""
    ticks = tuple(plain)
    if not all(type(tick) is int and abs(tick) < 2**62 for tick in ticks):
        raise ValueError("a time of a video is not a whole number of 63 bits")
    return ticks


def index_video(path: str | Path, file: SeekableFile | None = None) -> VideoIndex:
    """The index of a video's frames. Only where packets show damage, or bear no times, is the video decoded.

    `file` as in `open_video`. Raises:
        UserError: not a video, or not one frame can be read.
    """
    container, stream = open_video(path, file)
    read_only(container, stream)
    with container:
        packets = list(_packet_times(container, stream))
        shown = [packet for packet in packets if packet.is_shown]
        times = sorted(packet.time for packet in shown if packet.time is not None)
        keys = sorted(packet.time for packet in packets if packet.is_key and packet.time is not None)
        whole = bool(times and keys) and len(set(times)) == len(shown) and not has_places_only(container, stream)
        end = max((end_of(p.time, p.duration, stream) for p in shown if p.time is not None), default=0.0)
        if whole and keys[0] <= times[0] and early_end(container, stream, len(times), end) is None:
            return VideoIndex(_compact(times), tuple(keys))
    if file is not None:
        file.seek(0)
    return index_by_decoding(path, file)


class _PacketTime(NamedTuple):
    """What a packet says of its frame; `time` is None if the packet is damaged."""

    time: int | None
    duration: int | None
    is_key: bool
    is_shown: bool


def _packet_times(container: "InputContainer", stream: "VideoStream") -> Iterator[_PacketTime]:
    import av

    try:
        for packet in container.demux(stream):
            if packet.size:  # the last one only says that it is the last
                time = None if packet.is_corrupt else packet.pts
                yield _PacketTime(time, packet.duration, packet.is_keyframe, not packet.is_discard)
    except av.FFmpegError:
        yield _PacketTime(None, None, False, True)


def index_by_decoding(path: str | Path, file: SeekableFile | None = None) -> VideoIndex:
    """The index of what really decodes, damage included: as exact as `read_frames`, and as slow.

    Raises:
        UserError: not a video, or not one frame can be read.
    """
    report = DecodeReport()
    container, stream = open_video(path, file)
    read_only(container, stream)
    stream.thread_type = "AUTO"
    with container:
        frames, end = [], 0.0
        for frame in decode(container, stream, report):
            frames.append((frame.pts, frame.key_frame))
            end = end_of(frame.pts, frame.duration, stream) if frame.pts is not None else end
        times = [time for time, _ in frames if time is not None]
        damage = report.damage or early_end(container, stream, len(frames), end)
    if not frames:
        raise UserError(f"video has no frames that can be read: {path}" + (f" ({damage})" if damage else ""))
    if len(times) < len(frames) or any(later <= earlier for earlier, later in pairwise(times)):
        return VideoIndex(range(len(frames)), (), counted=True, damage=damage)
    keys = tuple(time for time, is_key in frames if is_key and time is not None)
    return VideoIndex(_compact(times), keys, damage=damage)


def _compact(times: list[int]) -> range | tuple[int, ...]:
    step = times[1] - times[0] if len(times) > 1 else 1
    regular = range(times[0], times[0] + step * len(times), step)
    return regular if list(regular) == times else tuple(times)


def read_numbered(
    path: str | Path, index: VideoIndex, numbers: Sequence[int], file: SeekableFile | None = None
) -> list[UInt8[np.ndarray, "h w 3"]]:
    """The frames with these numbers, in this order, as `read_frames` gives them; `file` as in `open_video`.

    A frame that does not decode, though the index has it, is replaced by the nearest one, with a warning: a long run
    should not end for it, and it gives the same sample each time.

    Raises:
        UserError: not a video, or nothing near a frame decodes.
    """
    found: dict[int, VideoFrame] = {}
    container, stream = open_video(path, file)
    claimed = stream.width, stream.height
    read_only(container, stream)
    stream.codec_context.thread_count = 1  # a few frames each: threads would cost more than they bring
    with container:
        for key, group in groupby(sorted(set(numbers)), index.key_before):
            wanted = tuple(group)
            for number, (at, frame) in _decode_near(container, stream, index, key, wanted).items():
                if at != number:
                    warnings.warn(f"frame {number} of {path} does not decode; frame {at} takes its place", stacklevel=2)
                found[number] = frame
        is_uneven = any((frame.width, frame.height) != claimed for frame in found.values())
        upright = Upright(path, pixel_aspect(stream), _first_size(container, stream) if is_uneven else claimed)
        pictures = {number: upright(frame, threads=1) for number, frame in found.items()}
    lost = [number for number in numbers if number not in pictures]
    if lost:
        raise UserError(f"frame {lost[0]} of {path} cannot be read; did the file change since it was indexed?")
    return [pictures[number] for number in numbers]


def _first_size(container: "InputContainer", stream: "VideoStream") -> tuple[int, int] | None:
    """Width and height of the first frame as it is stored: a file's frames may differ from what its head says."""
    import av

    try:
        container.seek(0)
        return next(((f.width, f.height) for f in decode(container, stream, DecodeReport())), None)
    except av.FFmpegError:
        return None


def _decode_near(
    container: "InputContainer", stream: "VideoStream", index: VideoIndex, key: int | None, wanted: tuple[int, ...]
) -> dict[int, tuple[int, "VideoFrame"]]:
    """For each wanted number the nearest frame that decodes after the keyframe at `key`, and its number.

    Where a seek lands too late, or the keyframe is damaged, it starts once more from the beginning.
    """
    found = _nearest(_frames_after(container, stream, index, key, wanted), wanted)
    if key is not None and any(number not in found or found[number][0] != number for number in wanted):
        start = index.key_times[0]
        found = _nearest(_frames_after(container, stream, index, start, wanted), wanted) or found
    return found


def _nearest(
    frames: Iterator[tuple[int, "VideoFrame"]], wanted: tuple[int, ...]
) -> dict[int, tuple[int, "VideoFrame"]]:
    """Each wanted number with the frame of that number; in its place the one before, or the first one after it."""
    found: dict[int, tuple[int, VideoFrame]] = {}
    pending, before = list(wanted), None
    for number, frame in frames:
        while pending and pending[0] < number:
            found[pending.pop(0)] = before or (number, frame)
        before = number, frame
        if pending and pending[0] == number:
            found[pending.pop(0)] = before
        if not pending:
            break
    return found | {number: before for number in pending if before is not None}


def _frames_after(
    container: "InputContainer", stream: "VideoStream", index: VideoIndex, key: int | None, wanted: tuple[int, ...]
) -> Iterator[tuple[int, "VideoFrame"]]:
    """(number, frame) in the order of showing, from a keyframe or (None) from where the file stands.

    Frames that no other is made from are not decoded unless they are wanted: about half of all.
    """
    import av

    awaited = {index.times[number] for number in wanted}
    count = 0
    try:
        if key is not None:
            container.seek(key, stream=stream)
        for packet in container.demux(stream):
            is_needed = index.counted or not packet.size or packet.pts in awaited
            stream.codec_context.skip_frame = "DEFAULT" if is_needed else "NONREF"
            frames = _decoded(packet)
            awaited.discard(packet.pts)
            if not awaited and not index.counted:
                frames += stream.codec_context.decode(None)  # what it holds back to put it in order
            for frame in frames:
                number = count if index.counted else _number_of(frame, index)
                count += 1
                if number is not None:
                    yield number, frame
            if not awaited and not index.counted:
                return
    except av.FFmpegError:
        return  # what is there was given; the caller sees what is missing


def _decoded(packet: "Packet[VideoStream]") -> "list[VideoFrame]":
    import av

    try:
        return packet.decode()
    except av.FFmpegError:
        return []  # a bad packet is passed over, as in `decode`


def _number_of(frame: "VideoFrame", index: VideoIndex) -> int | None:
    return None if frame.pts is None else index.number_at(frame.pts)

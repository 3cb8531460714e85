"""When frames are shown: a video's rate as its time stamps tell it, and times that only ever go forward."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

import numpy as np
from jaxtyping import UInt8

from dagan.data.decoding import DecodeReport, decoded_frames, has_places_only, open_video, read_only

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

DEFAULT_RATE = Fraction(25)  # for the rare file that has neither a rate nor times
MAX_RATE = Fraction(1000)  # frames per second
MIN_RATE = Fraction(1, 3600)
LOOKED_AT = 500  # packets that tell the rate
REORDERED = 16  # packets by which a frame may come early in the file (H.264 allows no more)
USUAL = tuple(map(Fraction, (25, 30, 24, 50, 60, 15, 10, 12, 120, 240))) + tuple(
    Fraction(1000 * rate, 1001) for rate in (30, 24, 60, 120)
)
MEANT = 0.0005  # relative difference of a rate from the usual one that it is meant as
AGREES = 0.02  # relative difference of two rates that are taken to be one
NUDGE = Fraction(1, 100)  # seconds by which a time that does not go forward is moved, at most
PAUSE = 3600  # seconds: a longer gap between two frames is a broken clock
STEP_BACK = 1  # seconds: a longer step back in time is a new start of the clock


class FrameRate(NamedTuple):
    """A video's rate in frames per second.

    `nominal` is exact where frames come at even intervals, else the average. `grid` is the rate of whose frames those
    of the file are a part (all of them, or some left out), None if there is no such rate below `MAX_RATE`. `counted`:
    the file's time stamps are no use, its frames are counted.
    """

    nominal: Fraction
    is_variable: bool
    grid: Fraction | None
    counted: bool = False


class TimedFrame(NamedTuple):
    """A frame (RGB), when it is shown and for how long, in seconds from the first frame; None: until the next one."""

    pixels: UInt8[np.ndarray, "h w 3"]
    time: Fraction
    duration: Fraction | None


def read_timed(path: str | Path, report: DecodeReport | None = None) -> Iterator[TimedFrame]:
    """What `read_frames` gives, with its times: they begin at 0 and ascend, whatever the file says.

    Where the file's clock is coarse (Matroska counts milliseconds), times lie on the video's exact rate.

    Raises:
        UserError: as `read_frames`.
    """
    rate = frame_rate(path)
    clock = Clock(1 / rate.nominal, rate.grid)
    for frame, pixels in decoded_frames(path, report):
        tick = frame.time_base or Fraction(1)
        time = clock.at(frame.pts * tick if frame.pts is not None and not rate.counted else None, tick)
        yield TimedFrame(pixels, time, None if rate.counted else _lasts(frame.duration or 0, tick, rate))


def _lasts(duration: int, tick: Fraction, rate: FrameRate) -> Fraction | None:
    """A frame's duration in seconds; None where what the file says is no duration of a frame.

    Recordings of browsers give one tick, as if the container's clock of 1 ms were the rate: players would not show the
    last frame.
    """
    is_clock = duration == 1 and rate.is_variable
    return duration * tick if 0 < duration * tick <= PAUSE and not is_clock else None


def frame_rate(path: str | Path) -> FrameRate:
    """The rate of a video by the times of its first packets; what the file declares is believed if they agree.

    Raises:
        UserError: as `open_video`.
    """
    container, stream = open_video(path)
    with container:
        return rate_of(container, stream)


def rate_of(container: "InputContainer", stream: "VideoStream") -> FrameRate:
    """`frame_rate` of an opened file, whose first packets are then gone."""
    read_only(container, stream)
    tick = stream.time_base or Fraction(1)
    placed = list(islice(_stamps(container, stream), LOOKED_AT))
    stamps = [stamp for stamp, _ in placed]
    declared = [rate for rate in (stream.average_rate, stream.base_rate, stream.guessed_rate) if _is_sane(rate)]
    shown = sorted({stamp for stamp in stamps if stamp is not None})[: LOOKED_AT - REORDERED]
    times = [stamp * tick for stamp in shown]
    if has_places_only(container, stream) or None in stamps or len(times) < 2 or len(times) < len(stamps) / 2:
        stated = _likely(declared)[0] if declared else DEFAULT_RATE
        rate = _rate_of_places([place for _, place in placed], tick) or stated
        return FrameRate(rate, False, None, counted=len(stamps) > 1)
    whole = declared[0] if stream.frames and declared else None  # of all frames, by the container's own index
    even = next((rate for rate in (*_likely(declared), *USUAL) if _is_even(times, rate, tick)), None)
    grid = even or next((rate for rate in declared if _is_on(times, rate, tick)), None)
    if even is not None and (whole is None or abs(whole / even - 1) < AGREES):
        return FrameRate(even, False, grid)
    observed = (len(times) - 1) / (times[-1] - times[0])
    mean = Fraction(round(observed * 100), 100) if observed > 1 else observed.limit_denominator(1000)
    return FrameRate(whole or min(max(mean, MIN_RATE), MAX_RATE), True, grid)


def _likely(declared: Sequence[Fraction]) -> list[Fraction]:
    """Declared rates, after the usual ones that they may be meant as: a file that says 29.97 means 30000/1001."""
    meant = [usual for rate in declared for usual in USUAL if abs(usual / rate - 1) < MEANT]
    return [*(rate for rate in declared if rate in USUAL), *meant, *declared]


def _rate_of_places(places: Sequence[int | None], tick: Fraction) -> Fraction | None:
    """The rate of frames that come at even intervals in the file, if they do: AVI may have a clock of twice the rate,
    and nothing in every second place."""
    known = [place for place in places if place is not None]
    steps = {later - earlier for earlier, later in pairwise(known)}
    rate = 1 / (steps.pop() * tick) if len(steps) == 1 and 0 not in steps else None
    return rate if _is_sane(rate) else None


def _stamps(container: "InputContainer", stream: "VideoStream") -> Iterator[tuple[int | None, int | None]]:
    """When the frame of each packet is shown, in ticks (None where the file does not say: AVI with B-frames), and when
    the packet is decoded."""
    import av

    with suppress(av.FFmpegError):
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard and not packet.is_corrupt:
                yield packet.pts, packet.dts


def _is_sane(rate: Fraction | None) -> TypeGuard[Fraction]:
    return rate is not None and MIN_RATE <= rate <= MAX_RATE


def _is_even(times: Sequence[Fraction], rate: Fraction, tick: Fraction) -> bool:
    """Whether frame n is shown at n / rate, as exactly as the file's clock can say."""
    slack = min(tick, 1 / (4 * rate))
    return all(abs(time - times[0] - number / rate) <= slack for number, time in enumerate(times))


def _is_on(times: Sequence[Fraction], rate: Fraction, tick: Fraction) -> bool:
    """Whether each frame is shown at some whole number / rate, by a clock that is finer than this rate."""
    return tick <= 1 / (4 * rate) and all(abs(on_grid(t - times[0], rate) - (t - times[0])) <= tick for t in times)


def on_grid(time: Fraction, rate: Fraction) -> Fraction:
    """The nearest time at which a frame of this rate is shown."""
    return round(time * rate) / rate


class Clock:
    """Times of a stream one by one, made to begin at 0 and to ascend.

    A missing time is one `step` after the last one. A time that does not go forward is moved a little after the last
    one. Where the clock starts anew or leaps (files that were joined), it goes on without a gap.
    """

    def __init__(self, step: Fraction, grid: Fraction | None = None) -> None:
        self._step, self._grid = step, grid
        self._origin: Fraction | None = None
        self._last: Fraction | None = None

    def at(self, stamp: Fraction | None, tick: Fraction, step: Fraction | None = None) -> Fraction:
        """The time of the next frame, whose stamp the file gives in a unit of `tick` seconds; `step`: of this one."""
        step = step or self._step
        if self._last is None:
            self._origin, self._last = stamp, Fraction(0)
            return self._last
        after = self._last + step
        if stamp is None:
            time = after
        elif self._origin is None or not -STEP_BACK <= stamp - self._origin - self._last <= PAUSE:
            self._origin, time = stamp - after, after
        else:
            time = self._snapped(stamp - self._origin, tick)
        self._last = time if time > self._last else self._last + min(step / 4, NUDGE)
        return self._last

    def _snapped(self, time: Fraction, tick: Fraction) -> Fraction:
        if self._grid is None:
            return time
        near = on_grid(time, self._grid)
        return near if abs(near - time) <= tick else time

"""Videos in and out of the animator: what a file holds, and a writer that leaves a whole file or none."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import UInt8

from dagan.data.decoding import DecodeReport, decoded_frames, file_name, open_video
from dagan.data.timing import frame_rate
from dagan.errors import UserError, reason_of
from dagan.files import check_place, temporary_beside, written_whole
from dagan.inference.audio import Sound, open_sound
from dagan.provenance.stamp import Stamp

if TYPE_CHECKING:
    from av.container import OutputContainer

OUTPUT_SUFFIXES = (".mp4", ".m4v", ".mov")
CLOCK = 90_000  # ticks per second that the times of frames are kept in, at least
FINEST = 1_000_000  # ticks per second, so that a frame of an hour can be written in 32 bits
MAX_DENOMINATOR = 1_000_000  # of a rate: FFmpeg counts in 32 bits
KEEP_DURATIONS = 1 << 8  # AV_CODEC_FLAG_FRAME_DURATION
LARGE = 512 * 512  # pixels of a picture beyond which its encoder must be fast
DEFAULT_QUALITY = 18  # x264's constant rate factor: 0 lossless, 51 worst; 18 is taken to be visually lossless
BT709 = 1  # the number of BT.709 in ITU-T H.273, alike for primaries, transfer and matrix
LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG


class VideoInfo(NamedTuple):
    """What `probe` found. Width and height are as shown (upright, square pixels).

    `rate` is frames per second: exact, or the average where frames come at varying intervals (`is_variable`).
    `rotation` is the counterclockwise angle in degrees that the file asks players to turn its frames by; `read_frames`
    does it.
    """

    width: int
    height: int
    rate: Fraction
    num_frames_estimate: int | None
    has_audio: bool
    rotation: int
    is_variable: bool = False


def probe(path: str | Path) -> VideoInfo:
    """Size, rate, length and audio of a video; decodes its first frame only, and reads the times of the first 500.

    Raises:
        UserError: no such file, not a video, or its first frames cannot be decoded.
    """
    rate = frame_rate(path)
    container, stream = open_video(path)
    with container:
        ticks = (stream.duration or 0) * (stream.time_base or Fraction(0))
        seconds = ticks or Fraction(container.duration or 0, 1_000_000)
        estimate = stream.frames or round(seconds * rate.nominal) or None
        has_audio = bool(container.streams.audio)
    frames = decoded_frames(path, DecodeReport())
    frame, pixels = next(frames)
    frames.close()  # type: ignore[attr-defined]
    height, width = pixels.shape[:2]
    return VideoInfo(width, height, rate.nominal, estimate, has_audio, frame.rotation, rate.is_variable)


class VideoWriter:
    """Writes frames as H.264 with the sound of `audio_from`, under a temporary name until all is well.

    Use as a context manager. Frames without a time are written at exactly `rate`. Sound is kept in step with
    `audio_from`'s first video frame and ends with the last frame written. Memory does not grow with length. Colours
    are BT.709, tagged. H.264 in yuv420p needs even sides: an odd one gets its last row or column doubled. A `stamp`
    marks the frames, tags the file and signs it.
    """

    def __init__(
        self,
        path: str | Path,
        rate: Fraction,
        size: tuple[int, int],
        audio_from: str | Path | None = None,
        quality: int = DEFAULT_QUALITY,
        stamp: Stamp | None = None,
    ) -> None:
        """`size` is (width, height).

        Raises:
            UserError: the output folder is missing or not writable, or the name does not end in .mp4, .m4v or .mov.
        """
        self.path = Path(path)
        self.rate = Fraction(rate).limit_denominator(MAX_DENOMINATOR)
        self.size, self.quality = size, quality
        self.num_frames = 0
        self._audio_from, self._stamp = audio_from, stamp
        self._tick = Fraction(1, ticks_per_second(self.rate))
        self._last, self._step = -1, round(1 / self.rate / self._tick)  # ticks: the last frame's time, and its length
        check_output(self.path)
        self._closing = ExitStack()

    def __enter__(self) -> "VideoWriter":
        with ExitStack() as opening, self._named_errors():
            self._target = opening.enter_context(written_whole(self.path))
            self._written = self._target
            if self._stamp is not None and self._stamp.signs(self.path):  # signing reads one file and writes another
                self._written = opening.enter_context(temporary_beside(self.path))
            self._open(self._written, opening)
            self._closing = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._closing.__exit__(kind, error, trace)
            return
        with self._closing, self._named_errors():
            self._finish()

    def write(
        self, frame: UInt8[np.ndarray, "h w 3"], time: Fraction | None = None, duration: Fraction | None = None
    ) -> None:
        """Appends one RGB frame of the size given at construction.

        `time` is when it is shown, in seconds from the start (None: when the last one ends); `duration` counts for the
        last frame of all, the others last until the next one.

        Raises:
            UserError: the file cannot be written, as on a full disk.
        """
        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"expected a uint8 frame of shape {(height, width, 3)}, got {frame.dtype} {frame.shape}")
        at = self._place(time, duration)
        with self._named_errors():
            self._encode(frame if self._stamp is None else self._stamp.apply(frame), at)
            if self._audio is not None:
                self._audio.copy_until((at + self._step) * self._tick)
        self.num_frames += 1

    def _speed(self, pixels: int) -> dict[str, str]:
        """x264's options. Large pictures are encoded by its faster preset: 12 ms a frame of 1024 x 1024 in place of 32,
        at the same size of file and 0.5 dB less, two steps of quality made up for."""
        if pixels <= LARGE:
            return {"crf": str(self.quality)}
        return {"crf": str(max(0, self.quality - 2)), "preset": "veryfast"}

    def _place(self, time: Fraction | None, duration: Fraction | None) -> int:
        """The time of the next frame in ticks, after that of the last one; sets how long it lasts."""
        if time is None:
            at = self._last + self._step if self.num_frames else 0
        else:
            at = max(round(time / self._tick), self._last + 1)
        if duration is not None:
            self._step = max(round(duration / self._tick), 1)
        elif time is not None and self.num_frames:
            self._step = at - self._last
        self._last = at
        return at

    def _encode(self, frame: UInt8[np.ndarray, "h w 3"], at: int) -> None:
        import av
        from av.video.reformatter import Colorspace, Interpolation

        width, height = self.size
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=LIMITED_RANGE,
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
        )
        picture.pts, picture.duration, picture.time_base = at, self._step, self._tick
        self._container.mux(self._video.encode(picture))

    def _open(self, partial: Path, opening: ExitStack) -> None:
        import av

        self._container: OutputContainer = av.open(
            file_name(partial), "w", format="mp4", options={"movflags": "+faststart"}
        )
        opening.callback(_close_quietly, self._container)
        if self._stamp is not None:
            self._container.metadata.update(self._stamp.tags)
        width, height = self.size
        self._video = self._container.add_stream("libx264", rate=self.rate, options=self._speed(width * height))
        self._video.width, self._video.height = width + width % 2, height + height % 2
        self._video.pix_fmt = "yuv420p"
        coder = self._video.codec_context
        coder.color_primaries = coder.color_trc = coder.colorspace = BT709
        coder.color_range = LIMITED_RANGE
        coder.time_base, coder.flags = self._tick, coder.flags | KEEP_DURATIONS
        self._audio: Sound | None = None
        if self._audio_from is not None:
            self._audio = open_sound(self._audio_from, self._container)
        if self._audio is not None:
            opening.callback(self._audio.close)

    def _finish(self) -> None:
        if self.num_frames == 0:
            raise UserError(f"no frames to write to {self.path}: the driving video gave none")
        self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._audio.finish((self._last + self._step) * self._tick)
        self._container.close()
        if self._stamp is not None and self._written != self._target:
            self._stamp.seal(self._written, self._target, self.path.name)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """What the disk refuses, in one line."""
        import av

        try:
            yield
        except (av.FFmpegError, OSError) as error:
            raise UserError(f"cannot write {self.path}: {reason_of(error)}") from error


def ticks_per_second(rate: Fraction) -> int:
    """A clock in which frames of this rate have exact times, and milliseconds, where that is not too fine."""
    both = math.lcm(rate.numerator, CLOCK)
    return both if both <= FINEST else rate.numerator * math.ceil(CLOCK / rate.numerator)


def _close_quietly(container: "OutputContainer") -> None:
    """Frees a container whose file is whole, or about to be removed: what it could still complain about is known."""
    import av

    with suppress(av.FFmpegError, OSError):
        container.close()


def check_output(path: str | Path) -> None:
    """Refuses early what could not be written late.

    Raises:
        UserError: wrong ending, or as `check_place`.
    """
    path = Path(path)
    if path.suffix.lower() not in OUTPUT_SUFFIXES:
        raise UserError(f"output must end in {', '.join(OUTPUT_SUFFIXES)}, got {path}")
    check_place(path)

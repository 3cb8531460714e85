"""Videos in and out of the animator: what a file holds, and a writer that leaves a whole file or none."""

import contextlib
import os
import secrets
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import UInt8

from dagan.data.decoding import DecodeReport, open_video, read_frames
from dagan.errors import UserError
from dagan.inference.audio import AudioCopy

if TYPE_CHECKING:
    from av.container import OutputContainer

OUTPUT_SUFFIXES = (".mp4", ".m4v", ".mov")
DEFAULT_RATE = Fraction(25)  # for the rare file that names no rate
DEFAULT_QUALITY = 18  # x264's constant rate factor: 0 lossless, 51 worst; 18 is taken to be visually lossless
BT709 = 1  # the number of BT.709 in ITU-T H.273, alike for primaries, transfer and matrix
LIMITED_RANGE = 1  # AVCOL_RANGE_MPEG


class VideoInfo(NamedTuple):
    """What `probe` found. Width and height are as shown (upright, square pixels).

    `rate` is frames per second, exact; the average where frames come at varying intervals. `rotation` is the
    counterclockwise angle in degrees that the file asks players to turn its frames by; `read_frames` does it.
    """

    width: int
    height: int
    rate: Fraction
    num_frames_estimate: int | None
    has_audio: bool
    rotation: int


def probe(path: str | Path) -> VideoInfo:
    """Size, rate, length and audio of a video; decodes its first frame only.

    Raises:
        UserError: no such file, not a video, or its first frames cannot be decoded.
    """
    import av

    container, stream = open_video(path)
    with container:
        rate = stream.average_rate or stream.guessed_rate or DEFAULT_RATE
        seconds = container.duration / 1e6 if container.duration is not None else None
        estimate = stream.frames or (round(seconds * rate) if seconds is not None else None)
        has_audio = bool(container.streams.audio)
        try:
            rotation = next(container.decode(stream)).rotation
        except (av.FFmpegError, StopIteration) as error:
            raise UserError(f"video has no frames that can be read: {path}") from error
    frames = read_frames(path, DecodeReport())
    height, width = next(frames).shape[:2]
    frames.close()  # type: ignore[attr-defined]
    return VideoInfo(width, height, Fraction(rate), estimate, has_audio, rotation)


class VideoWriter:
    """Writes frames as H.264 with the sound of `audio_from`, under a temporary name until all is well.

    Use as a context manager. Frames are written at exactly `rate`; sound is kept in step with `audio_from`'s first
    video frame and ends with the last frame written. Memory does not grow with length. Colours are BT.709, tagged.
    H.264 in yuv420p needs even sides: an odd one gets its last row or column doubled.
    """

    def __init__(
        self,
        path: str | Path,
        rate: Fraction,
        size: tuple[int, int],
        audio_from: str | Path | None = None,
        quality: int = DEFAULT_QUALITY,
    ) -> None:
        """`size` is (width, height).

        Raises:
            UserError: the output folder is missing or not writable, or the name does not end in .mp4, .m4v or .mov.
        """
        self.path = Path(path)
        self.rate, self.size, self.quality = Fraction(rate), size, quality
        self.num_frames = 0
        self._audio_from = audio_from
        check_output(self.path)
        self._partial = self.path.with_name(f".{self.path.stem}.{secrets.token_hex(4)}.partial{self.path.suffix}")

    def __enter__(self) -> "VideoWriter":
        try:
            self._open()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._discard()

    def write(self, frame: UInt8[np.ndarray, "h w 3"]) -> None:
        """Appends one RGB frame of the size given at construction."""
        import av
        from av.video.reformatter import Colorspace, Interpolation

        width, height = self.size
        if frame.shape != (height, width, 3) or frame.dtype != np.uint8:
            raise ValueError(f"expected a uint8 frame of shape {(height, width, 3)}, got {frame.dtype} {frame.shape}")
        even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=LIMITED_RANGE,
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP,
        )
        picture.pts, picture.time_base = self.num_frames, 1 / self.rate
        self._container.mux(self._video.encode(picture))
        self.num_frames += 1
        if self._audio is not None:
            self._audio.copy_until(self.num_frames / self.rate)

    def _open(self) -> None:
        import av

        try:
            self._container: OutputContainer = av.open(
                str(self._partial), "w", format="mp4", options={"movflags": "+faststart"}
            )
        except OSError as error:
            raise UserError(f"cannot write in {self.path.parent}: {error.strerror or error}") from error
        width, height = self.size
        self._video = self._container.add_stream("libx264", rate=self.rate, options={"crf": str(self.quality)})
        self._video.width, self._video.height = width + width % 2, height + height % 2
        self._video.pix_fmt = "yuv420p"
        coder = self._video.codec_context
        coder.color_primaries = coder.color_trc = coder.colorspace = BT709
        coder.color_range = LIMITED_RANGE
        coder.time_base = 1 / self.rate
        self._audio = AudioCopy.open(self._audio_from, self._container) if self._audio_from is not None else None

    def _finish(self) -> None:
        if self.num_frames == 0:
            raise UserError(f"no frames to write to {self.path}: the driving video gave none")
        self._container.mux(self._video.encode(None))
        if self._audio is not None:
            self._audio.finish(self.num_frames / self.rate)
        self._container.close()
        self._close_audio()
        os.replace(self._partial, self.path)

    def _discard(self) -> None:
        self._close_audio()
        container = getattr(self, "_container", None)
        if container is not None and self._partial.exists():
            _close_quietly(container)
        self._partial.unlink(missing_ok=True)

    def _close_audio(self) -> None:
        if getattr(self, "_audio", None) is not None:
            self._audio.close()  # type: ignore[union-attr]
            self._audio = None


def _close_quietly(container: "OutputContainer") -> None:
    """Frees a container whose file is about to be removed: whatever it could still complain about does not matter."""
    import av

    with contextlib.suppress(av.FFmpegError):
        container.close()


def check_output(path: str | Path) -> None:
    """Refuses early what could not be written late.

    Raises:
        UserError: wrong ending, missing folder, or a folder in the place of the file.
    """
    path = Path(path)
    if path.suffix.lower() not in OUTPUT_SUFFIXES:
        raise UserError(f"output must end in {', '.join(OUTPUT_SUFFIXES)}, got {path}")
    if not path.parent.is_dir():
        raise UserError(f"output folder does not exist: {path.parent}; make it first")
    if path.is_dir():
        raise UserError(f"output is a folder: {path}; give a file name")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"output folder cannot be written: {path.parent}")

"""The sound of one video carried into another, in step with its pictures."""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dagan.data.decoding import DecodeReport, decode, open_video, read_only
from dagan.data.timing import Clock
from dagan.errors import reason_of

if TYPE_CHECKING:
    from av import AudioFrame, AudioStream, Packet
    from av.container import InputContainer, OutputContainer

# What every browser, phone and player knows in mp4. Anything else (Opus, Vorbis, PCM, AC-3, ...) becomes AAC.
COPIED_CODECS = frozenset({"aac", "mp3"})
LOWEST_COPIED_RATE = 16_000  # samples per second: mp4 has no place for slower MP3
FALLBACK_RATE = 48_000  # samples per second, where AAC cannot have the source's
JITTER = Fraction(1, 50)  # seconds by which a packet may be off its time: less than a frame, and nobody hears a gap


class Sound(Protocol):
    """Sound that is moved as the video advances, so that both stay interleaved and memory small.

    Times are seconds from the input's first video frame; what sounds before it is left out.
    """

    def copy_until(self, end: Fraction) -> None:
        """Moves what starts before `end` seconds of video."""

    def finish(self, end: Fraction) -> None:
        """Moves the rest up to `end`."""

    def close(self) -> None:
        """Closes the input."""


def open_sound(path: str | Path, output: "OutputContainer") -> Sound | None:
    """The first sound of `path` that can be decoded, on its way into `output`; None if there is none.

    Raises:
        UserError: not a video.
    """
    container, _ = open_video(path)
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if not known:
        if container.streams.audio:
            warnings.warn(f"the sound of {path} has an unknown codec; the output is silent", stacklevel=2)
        container.close()
        return None
    coder = known[0].codec_context
    is_copied = coder.name in COPIED_CODECS and coder.sample_rate >= LOWEST_COPIED_RATE
    packets = SoundPackets(container, known[0], first_frame_time(path))
    return (CopiedSound if is_copied else EncodedSound)(packets, output)


def first_frame_time(path: str | Path) -> Fraction:
    """When the first frame that decodes is shown, by the file's clock, in seconds."""
    container, stream = open_video(path)
    with container:
        frame = next(decode(container, stream, DecodeReport()), None)
        if frame is None or frame.pts is None or frame.time_base is None:
            return Fraction(0)
        return frame.pts * frame.time_base


class SoundPackets:
    """The packets of a sound one by one, with their times in seconds from the first video frame, ascending."""

    def __init__(self, container: "InputContainer", source: "AudioStream", video_start: Fraction) -> None:
        read_only(container, source)
        self.source = source
        self._container, self._video_start = container, video_start
        self._packets: Iterator[Packet[AudioStream]] = container.demux(source)
        self._clock = Clock(Fraction(1, 50))
        self._start: Fraction | None = None
        self._waiting: tuple[Fraction, Packet[AudioStream]] | None = None
        self._lasts = Fraction(0)

    def until(self, end: Fraction) -> Iterator[tuple[Fraction, "Packet[AudioStream]"]]:
        """Those that start before `end`."""
        while (timed := self._waiting or self._next()) is not None:
            self._waiting = timed
            if timed[0] >= end:
                return
            self._waiting = None
            yield timed

    def close(self) -> None:
        self._container.close()

    def _next(self) -> tuple[Fraction, "Packet[AudioStream]"] | None:
        """None at the end, or where the sound is damaged."""
        import av

        try:
            packet = next((packet for packet in self._packets if packet.size > 0), None)
        except av.FFmpegError as error:
            warnings.warn(f"the sound of {self._container.name} breaks off: {reason_of(error)}", stacklevel=2)
            return None
        if packet is None:
            return None
        tick = packet.time_base
        stamp = packet.pts * tick if packet.pts is not None else None
        if self._start is None:
            self._start = stamp - self._video_start if stamp is not None else Fraction(0)
        time = self._start + self._clock.at(stamp, tick, self._lasts or None)
        self._lasts = (packet.duration or 0) * tick
        return time, packet


class CopiedSound:
    """Packets as they are. One is kept from before the first video frame: decoders need it to start."""

    def __init__(self, packets: SoundPackets, output: "OutputContainer") -> None:
        self._packets, self._output = packets, output
        self._stream: AudioStream = output.add_stream_from_template(packets.source)

    def copy_until(self, end: Fraction) -> None:
        for time, packet in self._packets.until(end):
            lasts = (packet.duration or 0) * packet.time_base
            if time + 2 * lasts > 0 or lasts == 0:
                packet.pts = packet.dts = round(time / packet.time_base)
                packet.stream = self._stream
                self._output.mux(packet)

    def finish(self, end: Fraction) -> None:
        self.copy_until(end)

    def close(self) -> None:
        self._packets.close()


class EncodedSound:
    """Sound decoded and encoded again as AAC, by the sample: gaps become silence, and it ends where the video ends."""

    def __init__(self, packets: SoundPackets, output: "OutputContainer") -> None:
        import av

        self._packets, self._output = packets, output
        source = packets.source
        rates = av.Codec("aac", "w").audio_rates or []
        self._rate = source.rate if source.rate in rates else FALLBACK_RATE
        # Mono or stereo, because WAV-like sources often name no layout.
        self._layout = "mono" if source.layout.nb_channels == 1 else "stereo"
        self._stream = output.add_stream("aac", rate=self._rate, layout=self._layout)
        self._resampler = av.AudioResampler("fltp", self._layout, self._rate)
        self._held: list[np.ndarray] = []  # channels x samples, from `_written` on
        self._written: int | None = None  # the number of the next sample to write
        self._read = 0  # and of the one after those held

    def copy_until(self, end: Fraction) -> None:
        for time, packet in self._packets.until(end):
            for at, samples in self._decoded(packet, time):
                self._hold(samples, round(at * self._rate))
        self._write(round(end * self._rate))

    def finish(self, end: Fraction) -> None:
        self.copy_until(end)
        if self._written is not None:
            self._output.mux(self._stream.encode(None))

    def close(self) -> None:
        self._packets.close()

    def _decoded(self, packet: "Packet[AudioStream]", time: Fraction) -> Iterator[tuple[Fraction, np.ndarray]]:
        """Channels x samples at the output's rate, with their times. A bad packet is a click, not a reason to stop."""
        import av

        shift = time - packet.pts * packet.time_base if packet.pts is not None else None
        try:
            for frame in packet.decode():
                if frame.pts is not None and frame.time_base is not None and shift is not None:
                    time = frame.pts * frame.time_base + shift
                frame.pts = None
                for resampled in self._resampler.resample(frame):
                    yield time, resampled.to_ndarray()
                    time += Fraction(resampled.samples, self._rate)
        except (av.FFmpegError, ValueError):
            return

    def _hold(self, samples: np.ndarray, at: int) -> None:
        """Puts samples where they belong in time: silence before them, or a part of them left out."""
        if self._written is None:
            samples, at = samples[:, max(-at, 0) :], max(at, 0)
            if not samples.shape[1]:
                return
            self._written = self._read = at
        gap = at - self._read
        if gap > JITTER * self._rate:
            samples = np.concatenate([np.zeros((len(samples), gap), samples.dtype), samples], 1)
        elif gap < -JITTER * self._rate:
            samples = samples[:, -gap:]
        self._held.append(samples)
        self._read += samples.shape[1]

    def _write(self, end: int) -> None:
        """Encodes what is held of before the sample `end`."""
        if self._written is None or not self._held or end <= self._written:
            return
        samples = np.concatenate(self._held, 1)
        count = min(end - self._written, samples.shape[1])
        self._held = [samples[:, count:]]
        if count:
            self._output.mux(self._stream.encode(self._frame(samples[:, :count], self._written)))
            self._written += count

    def _frame(self, samples: np.ndarray, start: int) -> "AudioFrame":
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, start, Fraction(1, self._rate)
        return frame

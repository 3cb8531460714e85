"""The sound of one video carried into another, packet by packet."""

import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from dagan.data.decoding import open_video, read_only

if TYPE_CHECKING:
    from av import AudioStream, Packet
    from av.container import InputContainer, OutputContainer

# What players know in mp4. Anything else (PCM, Vorbis, ...) is transcoded to AAC.
COPIED_CODECS = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
FALLBACK_RATE = 48_000  # samples per second, where AAC cannot have the source's


class AudioCopy:
    """Moves audio packets into `output` as the video advances, so that both stay interleaved and memory small.

    Times are counted from the input's first video frame. Packets are copied where mp4 can hold their codec.
    """

    def __init__(self, container: "InputContainer", output: "OutputContainer") -> None:
        source: AudioStream = container.streams.audio[0]
        self._input, self._output = container, output
        self._copies = source.codec_context.name in COPIED_CODECS
        if self._copies:
            self._stream: AudioStream = output.add_stream_from_template(source)
        else:
            self._stream = _add_aac(output, source)
        self._start = _video_start(container)
        read_only(container, source)
        self._packets: Iterator[Packet[AudioStream]] = container.demux(source)
        self._waiting: Packet[AudioStream] | None = None

    @classmethod
    def open(cls, path: str | Path, output: "OutputContainer") -> "AudioCopy | None":
        """A copier for the first audio stream of `path`, or None if it has none that can be read."""
        container, _ = open_video(path)
        if container.streams.audio and container.streams.audio[0].codec_context is not None:
            return cls(container, output)
        if container.streams.audio:
            warnings.warn(f"the sound of {path} has an unknown codec; the output is silent", stacklevel=2)
        container.close()
        return None

    def copy_until(self, end: Fraction) -> None:
        """Moves what starts before `end` seconds of video."""
        while (packet := self._waiting or self._next()) is not None:
            if packet.pts is not None and packet.pts * packet.time_base - self._start >= end:
                self._waiting = packet
                return
            self._waiting = None
            self._move(packet)

    def finish(self, end: Fraction) -> None:
        """Moves the rest up to `end` and empties the encoder, if there is one."""
        self.copy_until(end)
        if not self._copies:
            self._output.mux(self._stream.encode(None))

    def close(self) -> None:
        self._input.close()

    def _next(self) -> "Packet[AudioStream] | None":
        """The next packet with data; None at the end, or where the sound is damaged."""
        import av

        try:
            return next((packet for packet in self._packets if packet.size > 0), None)
        except av.FFmpegError as error:
            warnings.warn(f"the sound of {self._input.name} breaks off: {error.strerror}", stacklevel=2)
            return None

    def _move(self, packet: "Packet[AudioStream]") -> None:
        import av

        if self._copies:
            shift = round(self._start / packet.time_base)
            packet.pts = packet.pts - shift if packet.pts is not None else None
            packet.dts = packet.dts - shift if packet.dts is not None else None
            packet.stream = self._stream
            self._output.mux(packet)
            return
        try:
            frames = packet.decode()
        except av.FFmpegError:  # one bad packet of sound is a click, not a reason to stop
            return
        for frame in frames:
            if frame.pts is not None and frame.time_base is not None:
                frame.pts -= round(self._start / frame.time_base)
            self._output.mux(self._stream.encode(frame))


def _add_aac(output: "OutputContainer", source: "AudioStream") -> "AudioStream":
    """An AAC stream that PyAV resamples to: mono or stereo, because WAV-like sources often name no layout."""
    import av

    rates = av.Codec("aac", "w").audio_rates or []
    rate = source.rate if source.rate in rates else FALLBACK_RATE
    return output.add_stream("aac", rate=rate, layout="mono" if source.layout.nb_channels == 1 else "stereo")


def _video_start(container: "InputContainer") -> Fraction:
    stream = container.streams.video[0]
    return (stream.start_time or 0) * (stream.time_base or Fraction(1))

"""Whether a mouth moves with the sound: its opening against the loudness, by correlation alone."""

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from dagan.data.decoding import open_video, read_only
from dagan.inference.audio import first_frame_time

STEPS_A_SECOND = 100  # of loudness
SAMPLE_RATE = 16_000
QUIET = 1e-4  # loudness below which all is silence; full scale is 1
FURTHEST = 0.3  # seconds by which sound and mouth may be shifted
FEWEST = 10  # frames


class Agreement(NamedTuple):
    """Correlation in [-1, 1] of mouth and loudness at the best shift, and that shift: seconds the sound comes late."""

    score: float
    delay: float


def loudness(path: Path) -> Float[np.ndarray, " n"] | None:
    """Logarithm of the sound's energy, `STEPS_A_SECOND` values from the first video frame on; None without sound."""
    import av

    container, _ = open_video(path)
    with container:
        streams = [stream for stream in container.streams.audio if stream.codec_context is not None]
        if not streams:
            return None
        read_only(container, streams[0])
        resampler = av.AudioResampler("fltp", "mono", SAMPLE_RATE)
        start: float | None = None
        energies: list[Float[np.ndarray, " n"]] = []
        held = np.zeros(0, np.float32)
        block = SAMPLE_RATE // STEPS_A_SECOND
        try:
            for frame in container.decode(streams[0]):
                start = float((frame.pts or 0) * (frame.time_base or Fraction(0))) if start is None else start
                frame.pts = None
                for part in resampler.resample(frame):
                    held = np.concatenate([held, part.to_ndarray()[0]])
                    whole = len(held) // block * block
                    energies.append((held[:whole].reshape(-1, block) ** 2).mean(1))
                    held = held[whole:]
        except (av.FFmpegError, ValueError):
            pass  # damaged sound: what came so far
    if start is None or not energies:
        return None
    levels = np.log(np.maximum(np.concatenate(energies), QUIET**2))
    shift = round((start - float(first_frame_time(path))) * STEPS_A_SECOND)
    return np.concatenate([np.full(max(shift, 0), levels.min()), levels[max(-shift, 0) :]])


def agreement(
    opening: Float[np.ndarray, " t"], times: Float[np.ndarray, " t"], levels: Float[np.ndarray, " n"]
) -> Agreement | None:
    """How a mouth's opening at `times` (seconds) goes with loudness; None where either of them never changes."""
    if len(times) < FEWEST:
        return None
    smooth = np.convolve(levels, np.ones(8) / 8, "same")  # as long as a syllable's onset
    clock = np.arange(len(levels)) / STEPS_A_SECOND
    best: Agreement | None = None
    for delay in np.arange(-FURTHEST, FURTHEST + 0.01, 0.02).tolist():
        heard = np.interp(times + delay, clock, smooth)
        if heard.std() < 1e-3 or opening.std() < 1e-5:
            continue
        score = float(np.corrcoef(heard, opening)[0, 1])
        if best is None or score > best.score:
            best = Agreement(score, delay)
    return best

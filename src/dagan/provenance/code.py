"""48 bits as 144, so that a fifth of them may be wrong: a convolutional code whose ends meet, and a soft decision.

Rate 1/3, 256 states (generators 557, 663, 711 in octal, free distance 18). The register begins with the last bits of
the message ("tail-biting"), so that no bits are spent on a known end.
"""

from functools import cache

import numpy as np
from jaxtyping import Bool, Float32, Integer, UInt8

MEMORY = 8  # bits that the register holds besides the newest
GENERATORS = (0o557, 0o663, 0o711)
RATE = len(GENERATORS)
ROUNDS = 3  # the decoder goes round the circle so often; the middle round is read
STATES = 1 << MEMORY


def encoded(bits: UInt8[np.ndarray, " n"]) -> UInt8[np.ndarray, " coded"]:
    """The coded bits: `RATE` for each bit."""
    register = np.stack([np.roll(bits, delay) for delay in range(MEMORY + 1)])  # newest first
    taps = np.array([[generator >> (MEMORY - delay) & 1 for delay in range(MEMORY + 1)] for generator in GENERATORS])
    return np.asarray((taps @ register % 2).T.ravel(), np.uint8)


def decoded(soft: Float32[np.ndarray, "b coded"]) -> UInt8[np.ndarray, "b n"]:
    """The most likely bits for soft values: positive is 0, negative is 1, large is sure, 0 is unknown."""
    length = soft.shape[1] // RATE
    steps = soft.T.reshape(length, RATE, -1)
    best = np.zeros((STATES, soft.shape[0]), np.float32)
    choices = np.empty((ROUNDS * length, *best.shape), bool)
    for step in range(ROUNDS * length):
        gains = (_signs() @ steps[step % length]).reshape(2, 2, STATES // 2, -1)
        first, second = best[0::2] + gains[0], best[1::2] + gains[1]  # (newest bit) (others) b, by the oldest bit
        choices[step] = (second > first).reshape(best.shape)
        best = np.maximum(first, second).reshape(best.shape)
    return _traced(choices, best.argmax(0), length)


def _traced(choices: Bool[np.ndarray, "t states b"], state: Integer[np.ndarray, " b"], length: int) -> np.ndarray:
    """Follows the choices back from the last state, and keeps the bits of the middle round."""
    rows = np.arange(len(state))
    bits = np.empty((len(state), ROUNDS * length), np.uint8)
    for step in reversed(range(ROUNDS * length)):
        bits[:, step] = state >> (MEMORY - 1)
        state = (state << 1 & (STATES - 1)) | choices[step, state, rows]
    return bits[:, length : 2 * length]


@cache
def _signs() -> Float32[np.ndarray, "branches k"]:
    """The signs of the coded bits on the way to each state (its highest bit is the newest), for both oldest bits."""
    state = np.arange(STATES)
    register = np.stack([state << 1, state << 1 | 1])  # MEMORY + 1 bits
    parity = np.stack([np.bitwise_count(register & generator) & 1 for generator in GENERATORS], axis=-1)
    return (1 - 2.0 * parity).reshape(-1, RATE).astype(np.float32)

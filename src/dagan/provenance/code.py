"""48 bits as 144, so that a fifth of them may be wrong: a convolutional code whose ends meet, and a soft decision.

Rate 1/3, 256 states (generators 557, 663, 711 in octal, free distance 18). The register begins with the last bits of
the message ("tail-biting"), so that no bits are spent on a known end.
"""

from functools import cache

import numpy as np
from jaxtyping import Float32, Integer, UInt8

MEMORY = 8  # bits that the register holds besides the newest
GENERATORS = (0o557, 0o663, 0o711)
RATE = len(GENERATORS)
ROUNDS = 3  # the decoder goes round the circle so often; the middle round is read
STATES = 1 << MEMORY


def encoded(bits: UInt8[np.ndarray, " n"]) -> UInt8[np.ndarray, " coded"]:
    """The coded bits: `RATE` for each bit."""
    register = np.stack([np.roll(bits, delay) for delay in range(MEMORY + 1)])  # newest first
    taps = np.array([[generator >> (MEMORY - delay) & 1 for delay in range(MEMORY + 1)] for generator in GENERATORS])
    return (taps @ register % 2).T.astype(np.uint8).ravel()


def decoded(soft: Float32[np.ndarray, "b coded"]) -> UInt8[np.ndarray, "b n"]:
    """The most likely bits for soft values: positive is 0, negative is 1, large is sure, 0 is unknown."""
    signs, before = _trellis()
    batch, length = len(soft), soft.shape[1] // RATE
    steps = soft.reshape(batch, length, RATE)
    best = np.zeros((batch, STATES), np.float32)
    choices = np.empty((ROUNDS * length, batch, STATES), bool)
    for step in range(ROUNDS * length):
        gain = steps[:, step % length] @ signs  # b 2*states
        first, second = best[:, before[0]] + gain[:, :STATES], best[:, before[1]] + gain[:, STATES:]
        choices[step] = second > first
        best = np.maximum(first, second)
    return _traced(choices, best.argmax(1), length)


def _traced(choices: np.ndarray, state: Integer[np.ndarray, " b"], length: int) -> UInt8[np.ndarray, "b n"]:
    """Follows the choices back from the last state, and keeps the bits of the middle round."""
    _, before = _trellis()
    rows = np.arange(len(state))
    bits = np.empty((len(state), ROUNDS * length), np.uint8)
    for step in reversed(range(ROUNDS * length)):
        bits[:, step] = state >> (MEMORY - 1)
        state = before[choices[step, rows, state].astype(int), state]
    return bits[:, length : 2 * length]


@cache
def _trellis() -> tuple[Float32[np.ndarray, "k branches"], Integer[np.ndarray, "2 states"]]:
    """For each state its two predecessors, and the signs that the coded bits have on the way from each."""
    state = np.arange(STATES)  # the newest bit is the highest
    before = np.stack([(state << 1 & (STATES - 1)) | oldest for oldest in (0, 1)])
    register = (state >> (MEMORY - 1) << MEMORY) | before  # 2 states, MEMORY + 1 bits
    parity = np.stack([np.bitwise_count(register & generator) & 1 for generator in GENERATORS])  # k 2 states
    return (1 - 2.0 * parity).reshape(RATE, -1).astype(np.float32), before

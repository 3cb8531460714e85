import numpy as np

from dagan.provenance.code import RATE, decoded, encoded

BITS = np.random.default_rng(0).integers(0, 2, (20, 48), dtype=np.uint8)


def soft_of(bits: np.ndarray) -> np.ndarray:
    return 1 - 2 * np.stack([encoded(one) for one in bits]).astype(np.float32)


def test_bits_come_back():
    assert np.array_equal(decoded(soft_of(BITS)), BITS)
    assert soft_of(BITS).shape[1] == RATE * 48


def test_bits_come_back_when_one_coded_bit_in_eight_is_wrong():
    numbers = np.random.default_rng(1)
    soft = soft_of(BITS)
    for row in soft:
        row[numbers.choice(144, 18, replace=False)] *= -1
    assert (decoded(soft) == BITS).all(1).mean() >= 0.9


def test_a_third_may_be_unknown():
    soft = soft_of(BITS)
    soft[:, ::3] = 0
    assert np.array_equal(decoded(soft), BITS)


def test_the_code_has_no_beginning():
    """Tail-biting: the code of turned bits is the turned code."""
    assert np.array_equal(encoded(np.roll(BITS[0], 5)), np.roll(encoded(BITS[0]), 5 * RATE))

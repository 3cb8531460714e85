import numpy as np

from dagan.provenance.payload import Payload, checked, payload_of

PAYLOAD = Payload(13, 200, 17, 5)


def test_six_digits_say_all():
    assert PAYLOAD.text == "dc8115"
    assert payload_of("dc8115") == PAYLOAD


def test_the_checksum_refuses_every_single_wrong_bit():
    bits = PAYLOAD.bits(b"key")
    assert checked(bits, b"key") == PAYLOAD
    for place in range(len(bits)):
        wrong = bits.copy()
        wrong[place] ^= 1
        assert checked(wrong, b"key") is None


def test_another_key_has_another_checksum():
    assert checked(PAYLOAD.bits(b"key"), b"other") is None
    assert np.array_equal(PAYLOAD.bits(b"key")[:24], PAYLOAD.bits(b"other")[:24])

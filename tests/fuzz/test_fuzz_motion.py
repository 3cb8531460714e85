"""Recorded motion files."""

from fractions import Fraction

import pytest
import torch
from hypothesis import strategies as st
from mutations import changed, damaged, fuzzed, takes_or_refuses
from safetensors.torch import save
from tensor_files import header_of, with_header, with_metadata

from dagan.face import NUM_EXPRESSIONS, NUM_LANDMARKS
from dagan.inference.recorded_motion import FORMAT, load_motion

MOTION = save(
    {
        "position": torch.zeros(2, 3, 2),
        "jacobian": torch.zeros(2, 3, 2, 2),
        "landmarks": torch.zeros(2, NUM_LANDMARKS, 2),
        "expression": torch.zeros(2, NUM_EXPRESSIONS),
    },
    {"format": FORMAT, "fps": str(Fraction(30000, 1001)), "fingerprint": "0"},
)
TYPES = ["F64", "F16", "BF16", "F8_E5M2", "F8_E8M0", "F4", "I8", "U64", "BOOL", "C64"]
RATES = st.text(max_size=8) | st.sampled_from(["1e999999999", "1e-999999999", "9" * 5000, "1/0", "0", "-25", "nan"])


@pytest.fixture
def read(tmp_path):
    def written(content):
        path = tmp_path / "driver.safetensors"
        path.write_bytes(content)
        takes_or_refuses(lambda: load_motion(path).steadied())

    return written


@fuzzed(damaged(MOTION))
def test_any_bytes_are_a_motion_or_are_refused(read, content):
    read(content)


@fuzzed(changed(header_of(MOTION)))
def test_any_header_of_a_motion_is_taken_or_refused(read, header):
    read(with_header(MOTION, header))


@fuzzed(RATES)
def test_any_frame_rate_of_a_motion_is_taken_or_refused(read, rate):
    read(with_metadata(MOTION, fps=rate))


@pytest.mark.parametrize("kind", TYPES)
def test_any_type_of_number_in_a_motion_is_taken_or_refused(read, kind):
    header = header_of(MOTION)
    for name in header.keys() - {"__metadata__"}:
        header[name]["dtype"] = kind
    read(with_header(MOTION, header))

"""Texts of the command line."""

from hypothesis import strategies as st
from mutations import fuzzed, takes_or_refuses

from dagan.cli.animate import _parse_rest
from dagan.inference.crop import parse_crop
from dagan.inference.face_choice import parse_face

WORDS = ["none", "auto", "largest", "best", "first"]
PIECES = [*WORDS, "1", "-3", "100", "9" * 30, "9" * 5000, ",", ",,", " ", "\n", "\u0663", "\u00b2"]
TEXTS = st.text(max_size=12) | st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
FOURS = st.lists(st.sampled_from(PIECES) | st.integers().map(str), min_size=4, max_size=4).map(",".join)


@fuzzed(TEXTS | FOURS)
def test_any_text_is_a_crop_or_is_refused(text):
    takes_or_refuses(lambda: parse_crop(text))


@fuzzed(TEXTS)
def test_any_text_is_a_choice_of_a_face_or_is_refused(text):
    takes_or_refuses(lambda: parse_face(text))


@fuzzed(TEXTS)
def test_any_text_is_a_rest_frame_or_is_refused(text):
    takes_or_refuses(lambda: _parse_rest(text))

"""Configurations as plain data, and overrides of single fields."""

import json

from hypothesis import strategies as st
from mutations import DEEP, ODD, changed, fuzzed, takes_or_refuses

from dagan.config import from_plain, override, to_plain
from dagan.models.talking_head import TalkingHeadConfig
from dagan.presets import LITE, RELEASED

PRESETS = [LITE, *RELEASED.values()]
PATHS = ["", ".", "depth", "depth.num_layers", "generator.decoder", "motion.local_motion", "keypoints.kernel.x", "kind"]
DIGITS = "9" * 5000  # more than Python turns into a number
TEXTS = st.one_of(
    ODD.map(lambda value: json.dumps(value)),
    st.text(max_size=12),
    st.sampled_from([DIGITS, "1e999", "NaN", "{" * DEEP, "[" * DEEP, '{"a":' * DEEP, '{"kind": 3}', "\ud800"]),
)


@fuzzed(st.sampled_from(PRESETS).flatmap(lambda preset: changed(to_plain(preset))), share=2)
def test_any_plain_data_is_a_configuration_or_is_refused(plain):
    takes_or_refuses(lambda: from_plain(TalkingHeadConfig, plain))


@fuzzed(st.tuples(st.sampled_from(PATHS) | st.text(max_size=8), TEXTS), share=2)
def test_any_override_is_made_or_is_refused(path_and_text):
    takes_or_refuses(lambda: override(LITE, *path_and_text))

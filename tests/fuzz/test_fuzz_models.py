"""Model files: safetensors, with the configuration as JSON in their metadata."""

import json

import pytest
import torch
from hypothesis import strategies as st
from mutations import DEEP, ODD, changed, damaged, fuzzed, takes_or_refuses
from tensor_files import header_of, with_header, with_metadata

from dagan.config import to_plain
from dagan.models.depth import FaceDepthConfig
from dagan.models.weights import AGREEMENT, load, load_config, load_depth, save_model
from parts import tiny_head

HEAD = to_plain(tiny_head())
DEPTH = FaceDepthConfig(base_width=4, decoder_widths=(4, 4, 4, 4, 4), working_size=32)
AGREED = {"int8": {"median": 40.0, "least": 30.0}}
TEXTS = st.sampled_from(["[" * DEEP, "9" * 5000, "", "null", "\x00", '{"a":' * DEEP, "[" * 700 + "]" * 700]) | st.text(
    max_size=8
)


def saved(folder, config):
    path = folder / "model.safetensors"
    torch.manual_seed(0)
    save_model(path, config.build().eval(), config)
    return path.read_bytes()


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("head"), tiny_head())


@pytest.fixture(scope="module")
def depth(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("depth"), DEPTH)


@pytest.fixture
def read(tmp_path):
    def written(content, loader):
        path = tmp_path / "given.safetensors"
        path.write_bytes(content)
        takes_or_refuses(lambda: loader(path))

    return written


@fuzzed(st.data(), share=0.5)
def test_any_bytes_are_a_depth_network_or_are_refused(read, depth, data):
    read(data.draw(damaged(depth)), load_depth)


@fuzzed(st.data(), share=0.5)
def test_any_header_of_a_depth_network_is_taken_or_refused(read, depth, data):
    read(with_header(depth, data.draw(changed(header_of(depth)))), load_depth)


@fuzzed(changed(to_plain(DEPTH)).map(json.dumps), share=0.5)
def test_any_configuration_of_a_depth_network_is_taken_or_refused(read, depth, config):
    read(with_metadata(depth, config=config), load_depth)


@fuzzed(changed(HEAD).map(json.dumps) | TEXTS, share=2)
def test_any_configuration_of_a_model_is_read_or_refused(read, head, config):
    read(with_metadata(head, config=config), load_config)


@fuzzed(changed(HEAD).map(json.dumps), share=0.3)
def test_any_configuration_of_a_model_is_built_or_refused(read, head, config):
    read(with_metadata(head, config=config), load)


@fuzzed(changed(AGREED).map(json.dumps) | ODD.map(json.dumps) | TEXTS, share=0.3)
def test_any_agreement_of_a_model_is_taken_or_refused(read, head, agreement):
    read(with_metadata(head, **{AGREEMENT: agreement}), load)

"""A model file whose configuration asks for more than the file holds is refused before memory is taken."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dagan.config import to_plain
from dagan.errors import UserError
from dagan.models.bounded import build_bounded
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from dagan.models.weights import DISCRIMINATOR, FORMATS, load, load_discriminator, save_model


def changed(plain: Any, where: str, value: Any) -> Any:
    """A plain configuration with one field set."""
    *names, last = where.split(".")
    at = plain
    for name in names:
        at = at[name]
    at[last] = value
    return plain


@pytest.fixture
def file(tmp_path: Path, tiny_model: TalkingHead, tiny_config: TalkingHeadConfig) -> Path:
    save_model(tmp_path / "model.safetensors", tiny_model, tiny_config)
    return tmp_path / "model.safetensors"


def refusal(path: Path) -> str:
    started = time.monotonic()
    with pytest.raises(UserError) as refused:
        load(path)
    assert time.monotonic() - started < 5
    message = str(refused.value)
    assert "\n" not in message
    assert str(path) in message
    assert len(message) < 500
    return message


@pytest.mark.parametrize(
    ("where", "value", "words"),
    [
        ("keypoints.width", 10**9, "config.keypoints.width is 1000000000; expected a whole number from 0 to 8192"),
        ("keypoints.width", 10**4000, "larger than"),
        ("keypoints.width", -8, "config.keypoints.width is -8"),
        ("generator.decoder.num_res_blocks", 10**6, "num_res_blocks"),
        ("keypoints.temperature", float("nan"), "config.keypoints.temperature is nan"),
        ("keypoints.num_keypoints", 513, "expected a whole number from 0 to 512"),
        ("depth.base_width", 8000, "larger network than its weights"),
    ],
)
def test_a_configuration_of_absurd_numbers_is_refused_at_once(
    file: Path, tiny_config: TalkingHeadConfig, where: str, value: Any, words: str
) -> None:
    plain = changed(to_plain(replace(tiny_config)), where, value)
    save_file(load_file(file), file, {"format": FORMATS[TalkingHeadConfig], "config": json.dumps(plain)})
    assert words in refusal(file)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"up_widths": ' + json.dumps([8] * 65) + "}"])
def test_a_configuration_of_absurd_form_is_refused(file: Path, text: str) -> None:
    save_file(load_file(file), file, {"format": FORMATS[TalkingHeadConfig], "config": text})
    refusal(file)


def test_a_discriminators_configuration_is_bounded_too(file: Path, tiny_config: TalkingHeadConfig) -> None:
    config = json.dumps(to_plain(tiny_config))
    metadata = {"format": FORMATS[TalkingHeadConfig], "config": config, DISCRIMINATOR: json.dumps({"width": 10**9})}
    save_file(load_file(file), file, metadata)
    with pytest.raises(UserError, match=r"config\.width is 1000000000"):
        load_discriminator(file)


class Wide:
    """A configuration whose network takes memory in ways that differ."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def build(self) -> torch.nn.Module:
        self.make()
        return torch.nn.Identity()


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.nn.Linear(10**6, 10**6),
        lambda: torch.nn.Conv2d(8000, 8000, 99),
        lambda: torch.zeros(10**6, 10**6),
        lambda: torch.ones((10**6, 10**6)),
        lambda: torch.full((10**6, 10**6), 1.0),
        lambda: torch.randn(size=(10**6, 10**6)),
    ],
)
def test_memory_is_not_taken_beyond_the_bound(file: Path, make: Any) -> None:
    with pytest.raises(UserError, match="larger network"):
        build_bounded(Wide(make), file)


def test_a_configuration_that_torch_refuses_is_refused_in_one_line(file: Path) -> None:
    with pytest.raises(UserError, match=r"describes no network that can be built: .*divisible"):
        build_bounded(Wide(lambda: torch.nn.Conv2d(4, 6, 3, groups=4)), file)


def test_what_fits_is_built(file: Path, tiny_config: TalkingHeadConfig) -> None:
    assert build_bounded(tiny_config, file).state_dict().keys() == load(file).state_dict().keys()

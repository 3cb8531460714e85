"""Validation on fixed pairs."""

import pytest
import torch

from dagan.models.talking_head import TalkingHead
from dagan.training.validation import Pairs, fixed_pairs, spread, validate
from parts import face_clips

CPU = torch.device("cpu")


def test_fixed_pairs_are_of_as_many_people_as_there_are_and_the_same_each_time() -> None:
    clips = face_clips(2)
    source, driving = fixed_pairs([clips[0], clips[0], clips[1]], 2, CPU)
    assert source.shape == driving.shape == (2, 3, 64, 64)
    assert torch.equal(source[1], torch.from_numpy(clips[1].frames[2]).permute(2, 0, 1) / 255)
    assert torch.equal(driving[1], torch.from_numpy(clips[1].frames[5]).permute(2, 0, 1) / 255)


def test_of_many_people_some_of_all_parts_are_taken_and_of_few_all_clips() -> None:
    clips = face_clips(20, num_frames=2, size=16)
    assert [clip.clip.identity for clip in spread(clips, 4)] == ["p0", "p5", "p10", "p15"]
    assert spread([*clips[:3], *clips[:3]], 4) == [*clips[:3], clips[0]]


def test_the_numbers_are_means_over_all_pairs_whatever_the_batch(tiny_model: TalkingHead) -> None:
    pairs = Pairs(torch.rand(11, 3, 64, 64), torch.rand(11, 3, 64, 64))
    numbers = validate(tiny_model, pairs, {"square": lambda a, b: (a - b).square().mean((1, 2, 3))})
    with torch.no_grad():
        difference = tiny_model(*pairs).generated - pairs.driving
    assert numbers["validation_l1"] == pytest.approx(difference.abs().mean().item(), rel=1e-4)
    assert numbers["validation_square"] == pytest.approx(difference.square().mean().item(), rel=1e-4)
    unmoved = (pairs.source - pairs.driving).abs().mean().item()
    assert numbers["validation_l1_ratio"] == pytest.approx(numbers["validation_l1"] / unmoved, rel=1e-4)

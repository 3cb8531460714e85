"""Fine-tuning on one person's clip: what is held out, what is trained, and with which losses."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dagan.data.clips import Clip
from dagan.data.drawn_faces import drawn_clip
from dagan.data.frame_cache import CachedFrames, store_frames
from dagan.errors import UserError
from dagan.losses.objective import PAPER_OBJECTIVE
from dagan.losses.values import PairBatch
from dagan.models.talking_head import TalkingHeadConfig
from dagan.training.finetune import MIN_FRAMES, Start, finetuning_phase, finetuning_stage, pairs_across, split_frames
from dagan.training.phases import Phase
from dagan.training.recipes import RELEASED_TUNING
from parts import tiny_perceptual

CPU = torch.device("cpu")
CLIP = Clip(Path("me.mp4"), "me", "me")
PHASE = Phase(steps=2, batch_size=2, image_size=64, objective=(("perceptual", 1.0), ("reconstruction", 10.0)))


def numbered(count: int, size: int = 4) -> np.ndarray:
    """Frames that are their own number everywhere."""
    return np.arange(count, dtype=np.uint8)[:, None, None, None].repeat(size, 1).repeat(size, 2).repeat(3, 3)


@pytest.fixture
def frames(tmp_path: Path) -> CachedFrames:
    return store_frames(tmp_path / "frames.npy", list(drawn_clip(25, 64, 0)), 64)


def start_of(config: TalkingHeadConfig) -> Start:
    return Start(config=config, model=config.build(), discriminator=None, perceptual=tiny_perceptual())


@pytest.mark.parametrize("count", [20, 21, 57, 300, 1000])
def test_the_parts_of_a_clip_follow_each_other_with_gaps_and_a_fifth_is_held_out(count: int) -> None:
    train, stopping, final = split_frames(count, "me.mp4")
    assert train.start == 0
    assert len(train) >= 0.7 * count
    assert train.stop < stopping.start == count - round(0.2 * count)
    assert stopping.stop < final.start
    assert final.stop == count
    assert len(stopping) >= 1
    assert len(final) >= 0.08 * count


def test_a_clip_that_is_too_short_is_refused_with_its_length() -> None:
    with pytest.raises(UserError, match=f"me.mp4 has 1 frame; fine-tuning needs at least {MIN_FRAMES}"):
        split_frames(1, "me.mp4")
    with pytest.raises(UserError, match="19 frames"):
        split_frames(19, "me.mp4")


def test_pairs_have_known_sources_and_held_out_motion_spread_over_their_parts() -> None:
    source, driving = pairs_across(numbered(200), range(150), range(160, 200), CPU)
    shown = (source[:, 0, 0, 0] * 255).round().int().tolist()
    wanted = (driving[:, 0, 0, 0] * 255).round().int().tolist()
    assert len(shown) == len(set(shown)) == len(set(wanted)) == 16
    assert (min(shown), max(shown)) == (4, 145)
    assert (min(wanted), max(wanted)) == (161, 198)
    assert len(pairs_across(numbered(30), range(20), range(25, 28), CPU).source) == 3


def test_losses_are_those_that_the_model_and_the_machine_can_have() -> None:
    full = finetuning_phase(has_discriminator=False, has_jacobian=True, has_perceptual=True, changes={})
    terms = {"perceptual", "reconstruction", "equivariance", "jacobian_equivariance"}
    assert dict(full.objective).keys() == terms
    poor = finetuning_phase(has_discriminator=False, has_jacobian=False, has_perceptual=False, changes={"steps": 7})
    assert dict(poor.objective).keys() == {"reconstruction", "equivariance"}
    assert poor.steps == 7
    published = finetuning_phase(has_discriminator=True, has_jacobian=True, has_perceptual=True, changes={})
    assert published.objective == (*PAPER_OBJECTIVE, ("jacobian_equivariance", 10.0))
    assert published.learning_rate == RELEASED_TUNING.phases[0].learning_rate
    without = finetuning_phase(has_discriminator=True, has_jacobian=True, has_perceptual=False, changes={})
    assert dict(without.objective)["reconstruction"] > 0
    assert "perceptual" not in dict(without.objective)


def test_training_moves_all_but_depth_and_the_running_statistics(
    tiny_config: TalkingHeadConfig, frames: CachedFrames
) -> None:
    start = start_of(tiny_config)
    before = {name: value.clone() for name, value in start.model.state_dict().items()}
    stage = finetuning_stage(start, PHASE, frames, CLIP, CPU, seed=0)
    batch = PairBatch(*(torch.stack([part, part.flip(-1)]) for part in stage.dataset(1)[0][:2]))
    stage.step(PHASE, batch, 0)
    changed = {name for name, value in start.model.state_dict().items() if not torch.equal(value, before[name])}
    assert not {name for name in changed if name.startswith("depth.") or "running_" in name}
    assert {name.split(".")[0] for name in changed} == {"keypoints", "motion", "generator"}


def test_held_out_frames_are_not_trained_on(tiny_config: TalkingHeadConfig, tmp_path: Path) -> None:
    stored = store_frames(tmp_path / "numbered.npy", list(numbered(40, size=64)), 64)
    stage = finetuning_stage(start_of(tiny_config), PHASE, stored, CLIP, CPU, seed=0)
    (clip,) = stage.clips
    assert len(clip) == len(split_frames(40, "").train) == 31
    samples = [stage.dataset(200)[index] for index in range(200)]
    assert len(samples) == 200
    with pytest.raises(IndexError):
        clip.frames[31]
    assert stage.pairs.source.max() * 255 < 31 <= stage.pairs.driving.min() * 255


def test_without_a_perceptual_network_or_discriminator_a_step_is_made(
    tiny_config: TalkingHeadConfig, frames: CachedFrames
) -> None:
    start = Start(config=tiny_config, model=tiny_config.build(), discriminator=None, perceptual=None)
    changes = {"steps": 1, "batch_size": 1, "image_size": 64}
    phase = finetuning_phase(has_discriminator=False, has_jacobian=True, has_perceptual=False, changes=changes)
    stage = finetuning_stage(start, phase, frames, CLIP, CPU, seed=0)
    source, driving = stage.dataset(1)[0]
    report = stage.step(phase, PairBatch(source[None], driving[None]), 0)
    assert report.finite
    assert report.terms.keys() >= {"reconstruction", "equivariance"}

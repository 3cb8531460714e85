"""The two stages as the loop runs them: resumed, exported, drawn."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from dagan.config import to_plain
from dagan.losses.objective import PAPER_OBJECTIVE
from dagan.models.depth import FaceDepthConfig
from dagan.models.pose import PoseConfig
from dagan.models.talking_head import TalkingHead, TalkingHeadConfig
from dagan.models.weights import load, load_depth
from dagan.training.checkpoint import load_checkpoint
from dagan.training.depth_settings import DepthStageConfig
from dagan.training.depth_stage import DepthNetworks, DepthStage
from dagan.training.generation_stage import GenerationStage
from dagan.training.journal import StepReport
from dagan.training.loop import LoopConfig, train
from dagan.training.phases import DepthPhase, Phase
from dagan.training.run_folder import prepare_folder
from parts import face_clips, tiny_networks

CPU = torch.device("cpu")
LOOP = LoopConfig(workers=0, log_every=1, panel_every=100)
MOTION = Phase(name="motion", steps=2, batch_size=2, image_size=32, objective=(("warped_perceptual", 1.0),))
PHASES = (MOTION, Phase(name="all", steps=2, batch_size=2, image_size=64, objective=PAPER_OBJECTIVE))
TINY_DEPTH = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8))


def generation_stage(config: TalkingHeadConfig, phases: tuple[Phase, ...] = PHASES, seed: int = 0) -> GenerationStage:
    torch.manual_seed(seed)
    return GenerationStage(
        networks=tiny_networks(config),
        config=config,
        phases=phases,
        clips=face_clips(2),
        tracks=None,
        validation=[],
        device=CPU,
        seed=seed,
    )


def depth_stage() -> DepthStage:
    torch.manual_seed(0)
    pose = PoseConfig(base_width=8, head_width=8)
    return DepthStage(
        networks=DepthNetworks(TINY_DEPTH.build(), pose.build()),
        config=TINY_DEPTH,
        settings=DepthStageConfig(),
        phases=(DepthPhase(steps=3, batch_size=2, image_size=64),),
        clips=face_clips(2),
        device=CPU,
        seed=0,
    )


def stopped_after(stage: Any, last: int) -> Any:
    """The stage, ending its process's run as a scheduler would, with a signal after a step."""
    step = stage.step

    def step_and_stop(phase: Any, batch: Any, number: int) -> StepReport:
        report: StepReport = step(phase, batch, number)
        if number == last:
            os.kill(os.getpid(), signal.SIGTERM)
        return report

    stage.step = step_and_stop
    return stage


def assert_same_state(one: Any, other: Any, path: str = "") -> None:
    assert type(one) is type(other), path
    if isinstance(one, Tensor):
        assert torch.equal(one, other), path
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for name in one:
            assert_same_state(one[name], other[name], f"{path}.{name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), path
        for place, pair in enumerate(zip(one, other, strict=True)):
            assert_same_state(*pair, path=f"{path}[{place}]")
    else:
        assert one == other, path


@pytest.mark.parametrize(
    "last", [pytest.param(0, marks=pytest.mark.slow, id="within-a-phase"), pytest.param(1, id="at-the-border")]
)
def test_a_resumed_run_of_stage_2_is_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, tiny_config: TalkingHeadConfig, last: int
) -> None:
    plain = {"model": to_plain(tiny_config), "phases": to_plain(PHASES)}
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    prepare_folder(whole)
    prepare_folder(cut)
    train(generation_stage(tiny_config), LOOP, plain, whole)
    with pytest.raises(KeyboardInterrupt):
        train(stopped_after(generation_stage(tiny_config), last), LOOP, plain, cut)
    train(generation_stage(tiny_config), LOOP, plain, cut)
    assert_same_state(load_checkpoint(whole), load_checkpoint(cut))
    assert_same_state(load_file(whole / "model.safetensors"), load_file(cut / "model.safetensors"))


def test_a_resumed_run_of_stage_1_is_an_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    prepare_folder(whole)
    prepare_folder(cut)
    train(depth_stage(), LOOP, {}, whole)
    with pytest.raises(KeyboardInterrupt):
        train(stopped_after(depth_stage(), 0), LOOP, {}, cut)
    train(depth_stage(), LOOP, {}, cut)
    assert_same_state(load_checkpoint(whole), load_checkpoint(cut))


def test_stage_2_exports_the_average_as_a_model_that_loads(tmp_path: Path, tiny_config: TalkingHeadConfig) -> None:
    path = train(generation_stage(tiny_config, (MOTION,)), LOOP, {}, tmp_path)
    state, model = load_checkpoint(tmp_path), load(path)
    assert state is not None
    assert isinstance(model, TalkingHead)
    assert all(torch.equal(value, state["average"][name]) for name, value in model.state_dict().items())
    trained = state["modules"]["model"]
    assert any(not torch.equal(value, trained[name]) for name, value in model.state_dict().items())


def test_stage_1_exports_the_depth_network_alone(tmp_path: Path) -> None:
    path = train(depth_stage(), LOOP, {}, tmp_path)
    state, depth = load_checkpoint(tmp_path), load_depth(path)
    assert state is not None
    assert depth.config == TINY_DEPTH
    assert all(torch.equal(value, state["average"][f"depth.{name}"]) for name, value in depth.state_dict().items())


@pytest.mark.parametrize("make", [generation_stage, lambda _: depth_stage()], ids=["stage-2", "stage-1"])
def test_panels_are_drawn_and_measured(tmp_path: Path, tiny_config: TalkingHeadConfig, make: Any) -> None:
    stage = make(tiny_config)
    numbers = stage.panel(stage.averaged.eval(), tmp_path / "panel.png")
    assert (tmp_path / "panel.png").stat().st_size > 1000
    assert numbers
    assert all(np.isfinite(value) for value in numbers.values())


def test_each_phase_sets_its_learning_rate(tiny_config: TalkingHeadConfig) -> None:
    stage = generation_stage(tiny_config)
    batch = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    for rate in (1e-3, 1e-5):
        stage.step(replace(MOTION, learning_rate=rate), batch, 0)
        rates = {group["lr"] for optimizer in stage.optimizers.values() for group in optimizer.param_groups}
        assert rates == {rate}


def test_a_phase_leaves_its_frozen_parts_as_they_are_and_the_next_one_trains_them(
    tiny_config: TalkingHeadConfig,
) -> None:
    stage = generation_stage(tiny_config)
    model = stage.networks.model
    batch = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    for frozen in (("keypoints.stem", "keypoints.hourglass", "keypoints.heatmap"), ()):
        before = {name: value.clone() for name, value in model.state_dict().items()}
        stage.step(replace(MOTION, frozen=frozen), batch, 0)
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert any(name.startswith("motion.") for name in changed)
        assert not [name for name in changed if name.startswith("depth.")]
        assert any(name.startswith("keypoints.hourglass") and "weight" in name for name in changed) is not bool(frozen)
        assert any(name.startswith("keypoints.hourglass") and "running" in name for name in changed) is not bool(frozen)

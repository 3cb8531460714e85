"""Stage 1 (Sec. 3.2): one step, its terms and the detection of degenerate solutions."""

import pytest
import torch
from torch import Tensor

from dagan.models.depth import FaceDepthConfig
from dagan.models.pose import PoseConfig
from dagan.training.depth_health import DEGENERACIES, HealthWatch, find_degeneracies
from dagan.training.depth_recipes import PAPER_DEPTH
from dagan.training.depth_settings import DepthStageConfig
from dagan.training.depth_stage import DepthNetworks, NeighbouringFrames, depth_loss

SIZE = 64
PAPER = PAPER_DEPTH.stage
HEALTHY = {"relief": 0.1, "bulge": 0.2, "rotation": 2.0, "moving": 0.3, "focal": 2.0}


def networks() -> DepthNetworks:
    depth = FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8)).build()
    return DepthNetworks(depth, PoseConfig(base_width=8, head_width=16).build())


def moving_plane(batch: int = 2) -> NeighbouringFrames:
    """A texture with detail of many sizes that slides 2 pixels to either side."""
    y, x = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    frequency, angle, phase = 0.2 * 5 ** torch.rand(16), 6.28 * torch.rand(16), 6.28 * torch.rand(batch, 3, 1, 1, 16)

    def frame(offset: float) -> Tensor:
        along = (x - offset)[..., None] * frequency * angle.cos() + y[..., None] * frequency * angle.sin()
        return 0.5 + 0.09 * torch.sin(along + phase).sum(-1)

    return NeighbouringFrames(frame(0), frame(-2), frame(2))


def test_poses_are_from_the_frame_to_each_neighbour() -> None:
    """F_p sees (frame, neighbour), in this order (Eq. 2)."""
    model, batch, seen = networks(), moving_plane(), []
    model.pose.register_forward_hook(lambda module, inputs, output: seen.append(inputs))
    model(batch)
    ((first, second),) = seen
    assert torch.equal(first, torch.cat([batch.frame, batch.frame]))
    assert torch.equal(second, torch.cat([batch.previous, batch.next]))


@pytest.mark.parametrize("config", [PAPER, DepthStageConfig(prior_steps=0)], ids=["paper", "ours"])
def test_a_few_steps_on_a_moving_plane_lower_the_photometric_error(config: DepthStageConfig) -> None:
    model, batch = networks(), moving_plane()
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    errors: list[float] = []
    for _ in range(12):
        result = depth_loss(model, batch, config)
        optimizer.zero_grad()
        result.total.backward()
        optimizer.step()
        errors.append(float(result.terms["photometric"] + result.terms.get("guidance", 0)))
    assert sum(errors[-3:]) < 0.7 * sum(errors[:3])


@pytest.mark.parametrize("config", [PAPER, DepthStageConfig()], ids=["paper", "ours"])
def test_gradients_reach_every_parameter_of_both_networks(config: DepthStageConfig) -> None:
    model = networks()
    torch.nn.init.normal_(model.pose.intrinsics.weight, std=0.01)  # zero at the start: hides what lies before it
    depth_loss(model, moving_plane(), config).total.backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert not silent


def test_with_align_the_networks_cannot_conspire_the_photometric_error_does_not_reach_the_motion_head() -> None:
    model = networks()
    depth_loss(model, moving_plane(), DepthStageConfig(guidance_weight=0.0)).total.backward()
    motion = model.pose.motion.weight.grad
    assert motion is None or motion.abs().max() == 0
    assert model.pose.intrinsics.weight.grad is not None
    assert model.pose.intrinsics.weight.grad.abs().max() > 0


def test_align_finds_the_slide_at_once() -> None:
    with_align = depth_loss(networks(), moving_plane(), DepthStageConfig())
    without = depth_loss(networks(), moving_plane(), PAPER)
    assert with_align.terms["explained"] > 0.8
    assert without.terms["explained"] < 0.5


def test_the_prior_fades_to_nothing() -> None:
    model, batch, config = networks().eval(), moving_plane(), DepthStageConfig(prior_steps=10)
    steps = [depth_loss(model, batch, config, step) for step in (0, 5, 10, 1000)]
    prior = steps[0].terms["prior"] * config.prior_weight
    assert torch.allclose(steps[0].total - steps[2].total, prior, atol=1e-5)
    assert torch.allclose(steps[1].total - steps[2].total, prior / 2, atol=1e-5)
    assert torch.allclose(steps[2].total, steps[3].total)


def test_consistency_is_computed_when_it_has_a_weight_and_moves_the_depth() -> None:
    model, batch = networks(), moving_plane()
    assert "consistency" not in depth_loss(model, batch, DepthStageConfig()).terms
    result = depth_loss(model, batch, DepthStageConfig(consistency_weight=1.0))
    assert 0 < result.terms["consistency"] < 1


def test_under_autocast_the_loss_is_finite_and_float32() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = depth_loss(networks(), moving_plane(), DepthStageConfig())
    assert result.total.dtype == torch.float32
    assert result.total.isfinite()


def test_small_networks_are_judged_on_halved_frames() -> None:
    model = DepthNetworks(
        FaceDepthConfig(base_width=8, decoder_widths=(4, 8, 8, 8, 8), working_size=32).build(),
        PoseConfig(base_width=8, head_width=16, working_size=32).build(),
    )
    config = DepthStageConfig(image_levels=(1, 2, 3, 4))
    large = NeighbouringFrames(*(part.repeat_interleave(2, -1).repeat_interleave(2, -2) for part in moving_plane()))
    assert depth_loss(model, large, config).total.isfinite()


@pytest.mark.parametrize(
    ("sick", "word"),
    [
        ({"relief": 0.001}, "flat"),
        ({"bulge": -0.1}, "inside out"),
        ({"rotation": 0.01}, "zero motion"),
        ({"moving": 0.001}, "zero motion"),
        ({"focal": 9.0}, "focal"),
    ],
)
def test_each_degenerate_solution_is_named(sick: dict[str, float], word: str) -> None:
    assert find_degeneracies(HEALTHY) == ()
    (message,) = find_degeneracies(HEALTHY | sick)
    assert word in message


def test_the_watch_flags_a_sick_run_in_numbers_for_the_log_and_warns_once() -> None:
    def signs(**sick: float) -> dict[str, Tensor]:
        return {name: torch.tensor(value) for name, value in (HEALTHY | sick).items()}

    watch = HealthWatch(memory=4)
    assert set(watch.see(signs())) == {f"degenerate_{name}" for name in DEGENERACIES}
    assert not any(float(value) for value in watch.see(signs()).values())
    for _ in range(30):
        numbers = watch.see(signs(relief=0.0, focal=8.0))
    assert {name for name, value in numbers.items() if value} == {"degenerate_flat_depth", "degenerate_odd_focal"}
    assert len(watch.warnings()) == 2
    assert watch.warnings() == ()

"""Both steps of `dagan bench train` are the same step."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dagan.losses.objective import PAPER_OBJECTIVE
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.talking_head import TalkingHeadConfig
from dagan.nn.upsampled import UpsampledConv
from dagan.training.forward import GenerationNetworks
from dagan.training.step_bench import StepBench, our_step, random_batches, straightforward_step
from dagan.training.step_shares import OPTIMISER, REST, measure_shares
from parts import tiny_networks

CPU = torch.device("cpu")


@pytest.fixture
def bench(tiny_config: TalkingHeadConfig) -> StepBench:
    return StepBench(
        model=tiny_config,
        discriminator=DiscriminatorConfig(width=4, cap=8),
        objective=(*PAPER_OBJECTIVE, ("jacobian_equivariance", 10.0)),
        precision=torch.float32,
        batch_size=2,
        image_size=64,
    )


@pytest.fixture
def networks(tiny_config: TalkingHeadConfig) -> GenerationNetworks:
    networks = tiny_networks(tiny_config)
    for module in networks.modules():
        if isinstance(module, UpsampledConv):
            module.worthwhile = 0  # in quarters, however few pixels
    return networks


def gradient(networks: GenerationNetworks) -> Tensor:
    return torch.cat([p.grad.flatten().double() for p in networks.parameters() if p.grad is not None])


def test_our_step_and_the_straightforward_one_have_the_same_losses_and_gradients(
    bench: StepBench, networks: GenerationNetworks
) -> None:
    plain, batch, terms = copy.deepcopy(networks), next(random_batches(bench, CPU)), []
    for make, ours in ((our_step, networks), (straightforward_step, plain)):
        torch.manual_seed(3)
        terms.append(make(ours, bench)(batch).terms)
    assert terms[0].keys() == terms[1].keys()
    for name, value in terms[0].items():
        assert value.item() == pytest.approx(terms[1][name].item(), rel=1e-3), name
    ours, theirs = gradient(networks), gradient(plain)
    assert (ours - theirs).norm() < 1e-3 * theirs.norm()


def test_every_part_of_the_step_gets_its_time(bench: StepBench, networks: GenerationNetworks) -> None:
    step, batches = our_step(networks, bench), random_batches(bench, CPU)
    shares = measure_shares(networks, lambda: step(next(batches)), CPU)
    trained = {"keypoints (F_kp)", "motion", "encoders", "depth encoder", "attention", "decoder", "discriminator"}
    assert shares.keys() == trained | {"depth (F_d)", "perceptual loss (VGG)", OPTIMISER, REST}
    assert all(shares[name].forward > 0 and shares[name].backward > 0 for name in trained)
    assert shares["perceptual loss (VGG)"].backward > 0  # the gradient of the image goes through it
    assert shares["depth (F_d)"].backward == shares[OPTIMISER].backward == 0


def test_networks_that_a_preset_lacks_have_no_share(bench: StepBench) -> None:
    from dagan.losses.perceptual import PerceptualLoss
    from dagan.presets import BASELINE
    from parts import narrowed, tiny_vgg

    config = narrowed(BASELINE)
    bench = replace(bench, model=config, objective=(("perceptual", 1.0),))
    networks = GenerationNetworks(config.build(), bench.discriminator.build(), PerceptualLoss(tiny_vgg(), (1.0,)))
    step, batches = our_step(networks, bench), random_batches(bench, CPU)
    shares = measure_shares(networks, lambda: step(next(batches)), CPU)
    assert "depth (F_d)" not in shares
    assert "discriminator" not in shares

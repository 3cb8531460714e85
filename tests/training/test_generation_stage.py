"""Stage 2, one step at a time."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dagan.losses.objective import PAPER_OBJECTIVE, Objective
from dagan.losses.values import PairBatch
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.talking_head import FaceConfig, TalkingHeadConfig
from dagan.training.distributed import World
from dagan.training.forward import GenerationNetworks, Share, forward, look_again
from dagan.training.generation_stage import generation_optimizers, generation_step, parts_of, resized
from dagan.training.step import StepConfig
from parts import face_clips, tiny_networks, tiny_perceptual

PERCEPTUAL = Objective((("perceptual", 10.0),))
WHOLE = Share(2, slice(None))
ALL = Objective((*PAPER_OBJECTIVE, ("jacobian_equivariance", 10.0)))


def random_batch(side: int = 64) -> PairBatch:
    return PairBatch(torch.rand(2, 3, side, side), torch.rand(2, 3, side, side))


def copies(modules: Iterable[nn.Module]) -> list[dict[str, Tensor]]:
    return [{name: value.clone() for name, value in module.state_dict().items()} for module in modules]


def changed(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}


def test_the_depth_network_is_frozen_its_weights_and_running_statistics_do_not_move(
    tiny_config: TalkingHeadConfig,
) -> None:
    networks = tiny_networks(tiny_config)
    depth, perceptual = networks.model.depth, networks.perceptual
    assert depth is not None
    frozen, optimizers = copies((depth, perceptual)), generation_optimizers(networks)
    trained = {id(p) for group in optimizers.generator.param_groups for p in group["params"]}
    for _ in range(3):
        generation_step(networks, optimizers, ALL, random_batch())
        networks.train()  # asking for training mode again must not thaw it
    assert not changed(depth, frozen[0])
    assert not changed(perceptual, frozen[1])
    assert not any(parameter.requires_grad or id(parameter) in trained for parameter in depth.parameters())
    assert not any(module.training for module in depth.modules())
    assert networks.model.generator.training


def test_a_face_reader_is_given_and_stays_so_when_other_parts_are_thawed(tiny_config: TalkingHeadConfig) -> None:
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    networks = tiny_networks(replace(tiny_config, keypoints=keypoints, face=FaceConfig(retargeting=None)))
    reader = networks.model.face_reader
    assert reader is not None
    before = copies([reader])[0]
    networks.freeze(["generator"])
    networks.freeze([])
    generation_step(networks, generation_optimizers(networks), ALL, random_batch())
    assert not changed(reader, before)
    assert not any(parameter.requires_grad for parameter in reader.parameters())
    assert not any(module.training for module in reader.modules())


def test_a_step_moves_every_part_that_is_trained_and_its_statistics(tiny_config: TalkingHeadConfig) -> None:
    networks = tiny_networks(tiny_config)
    model = networks.model
    parts = [model.keypoints, model.motion, model.generator.encoder, model.generator.decoder, networks.discriminator]
    before = copies(parts)
    generation_step(networks, generation_optimizers(networks), ALL, random_batch())
    moved = [changed(part, state) for part, state in zip(parts, before, strict=True)]
    assert all(moved)
    assert any(name.endswith("running_mean") for name in moved[0])


def test_the_discriminators_step_moves_the_discriminator_alone(tiny_config: TalkingHeadConfig) -> None:
    networks = tiny_networks(tiny_config)
    optimizers = generation_optimizers(networks)
    for group in optimizers.generator.param_groups:
        group["lr"] = 0.0
    before = copies((networks.model, networks.discriminator))
    result = generation_step(networks, optimizers, Objective((("adversarial", 1.0),)), random_batch())
    statistics = {name for name in before[0] if name.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert changed(networks.model, before[0]) <= statistics
    assert changed(networks.discriminator, before[1])
    assert result.terms["discriminator"] > 0


def test_the_generators_loss_leaves_no_gradient_on_the_discriminator(tiny_config: TalkingHeadConfig) -> None:
    """Else the discriminator would be trained to be fooled."""
    networks = tiny_networks(tiny_config)
    optimizers = generation_optimizers(networks)
    for group in optimizers.discriminator.param_groups:
        group["lr"] = 0.0
    before = copies((networks.discriminator,))[0]
    seen = []
    networks.discriminator.register_forward_hook(
        lambda module, inputs, judgement: seen.append(any(p.requires_grad for p in module.parameters()))
    )
    objective = Objective((("adversarial", 1.0), ("feature_matching", 1.0)))
    generation_step(networks, optimizers, objective, random_batch())
    # the generated frame for the generator; the real one once, kept for the discriminator; the generated one for it
    assert seen == [False, True, True]
    networks.discriminator.zero_grad()
    networks.discriminator.requires_grad_(False)
    values = look_again(networks, forward(networks, random_batch(), objective.looks), objective.looks, WHOLE)
    objective.total({name: term.function(values) for name, term in objective.terms.items()}).backward()
    assert all(parameter.grad is None for parameter in networks.discriminator.parameters())
    assert not changed(networks.discriminator, before)


def test_without_adversarial_terms_there_is_no_discriminators_step(tiny_config: TalkingHeadConfig) -> None:
    networks = tiny_networks(tiny_config)
    before = copies((networks.discriminator,))[0]
    result = generation_step(networks, generation_optimizers(networks), PERCEPTUAL, random_batch())
    assert not changed(networks.discriminator, before)
    assert result.terms.keys() == {"perceptual", "total", "gradient"}
    assert result.terms["total"].item() == pytest.approx(10 * result.terms["perceptual"].item())


def test_a_discriminator_that_sees_keypoints_is_trained_with_them(tiny_config: TalkingHeadConfig) -> None:
    model = tiny_config.build()
    discriminator = DiscriminatorConfig(width=4, cap=8, num_keypoints=tiny_config.keypoints.num_keypoints).build()
    networks = GenerationNetworks(model, discriminator, tiny_perceptual())
    before = copies((discriminator,))[0]
    generation_step(networks, generation_optimizers(networks), Objective((("adversarial", 1.0),)), random_batch())
    assert changed(discriminator, before)


def test_a_step_whose_gradient_is_not_finite_is_not_taken(tiny_config: TalkingHeadConfig) -> None:
    networks = tiny_networks(tiny_config)
    before = {name: p.detach().clone() for name, p in networks.model.named_parameters()}
    result = generation_step(
        networks, generation_optimizers(networks), Objective((("perceptual", float("inf")),)), random_batch()
    )
    assert not result.terms["gradient"].isfinite()
    assert all(torch.equal(p, before[name]) for name, p in networks.model.named_parameters())


def test_a_step_that_is_not_finite_moves_neither_side_nor_its_statistics_nor_the_optimisers(
    tiny_config: TalkingHeadConfig,
) -> None:
    """The running statistics of batch norm took the bad batch in, and stayed not finite for the rest of the run."""
    networks = tiny_networks(tiny_config)
    optimizers = generation_optimizers(networks)
    generation_step(networks, optimizers, ALL, random_batch())
    before = copies((networks,))[0]
    momenta = [value["exp_avg"].clone() for optimizer in optimizers for value in optimizer.state.values()]
    bad = random_batch()
    bad.driving[0, 0, 3, 3] = float("nan")
    result = generation_step(networks, optimizers, ALL, bad)
    assert not result.finite
    counts = {name for name in before if name.endswith("num_batches_tracked")}
    assert changed(networks, before) <= counts
    after = [value["exp_avg"] for optimizer in optimizers for value in optimizer.state.values()]
    assert all(torch.equal(*pair) for pair in zip(momenta, after, strict=True))
    assert {int(value["step"]) for optimizer in optimizers for value in optimizer.state.values()} == {1}
    assert generation_step(networks, optimizers, ALL, random_batch()).finite
    assert "generator.decoder.last.weight" in changed(networks.model, copies_of(before, "model."))


def copies_of(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


@pytest.mark.parametrize("side", ["gradient", "discriminator_gradient"])
def test_gradients_are_clipped_to_the_largest_norm_on_each_side(tiny_config: TalkingHeadConfig, side: str) -> None:
    networks = tiny_networks(tiny_config)
    terms = generation_step(
        networks, generation_optimizers(networks), ALL, random_batch(), StepConfig(max_gradient=0.01)
    ).terms
    clipped = networks.model if side == "gradient" else networks.discriminator
    norms = [p.grad.norm() for p in clipped.parameters() if p.grad is not None]
    assert terms[side] > 0.02  # as it was
    assert torch.stack(norms).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_batch_in_parts_has_the_gradients_of_the_whole_but_for_batch_norm(tiny_config: TalkingHeadConfig) -> None:
    """Parts draw the random warps and squares of the whole batch, each for its own samples.

    The background stands still: registering two pictures of noise is anybody's guess, and rounding decides it.
    """
    still = replace(tiny_config, motion=replace(tiny_config.motion, background="still"))
    batch = PairBatch(torch.rand(4, 3, 64, 64), torch.rand(4, 3, 64, 64))
    gradients, terms = [], []
    for parts in (1, 2, 4):
        torch.manual_seed(0)
        networks = tiny_networks(still)
        for module in networks.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        torch.manual_seed(7)
        result = generation_step(
            networks, generation_optimizers(networks), ALL, batch, StepConfig(accumulate=parts, max_gradient=0.0)
        )
        gradients.append(torch.cat([p.grad.flatten() for p in networks.parameters() if p.grad is not None]))
        terms.append(result.terms)
    for other in (1, 2):
        assert (gradients[0] - gradients[other]).norm() < 1e-3 * gradients[0].norm()
        for name, value in terms[0].items():
            assert terms[other][name].item() == pytest.approx(value.item(), rel=1e-3), name


def test_a_batch_that_does_not_split_into_the_parts_is_refused(tiny_config: TalkingHeadConfig) -> None:
    networks = tiny_networks(tiny_config)
    with pytest.raises(ValueError, match="does not split into 3 parts"):
        generation_step(networks, generation_optimizers(networks), ALL, random_batch(), StepConfig(accumulate=3))


def test_parts_and_processes_share_out_every_sample_of_a_step_once() -> None:
    batch = PairBatch(torch.arange(4.0)[:, None, None, None].expand(4, 3, 8, 8), torch.zeros(4, 3, 8, 8))
    places = [
        (int(rank + 3 * value), place)
        for rank in range(3)
        for part, share in parts_of(batch, 2, World(rank, 3))
        for value, place in zip(part.source[:, 0, 0, 0], range(share.total)[share.rows], strict=True)
    ]
    assert sorted(place for _, place in places) == list(range(12))
    assert all(sample == place for sample, place in places)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_terms_come_out_finite_and_detached_in_both_precisions(
    tiny_config: TalkingHeadConfig, precision: torch.dtype
) -> None:
    networks = tiny_networks(tiny_config)
    terms = generation_step(
        networks, generation_optimizers(networks), ALL, random_batch(), StepConfig(precision=precision)
    ).terms
    assert terms.keys() == set(ALL.weights) | {"total", "gradient", "discriminator", "discriminator_gradient"}
    assert all(value.isfinite() and not value.requires_grad for value in terms.values())
    assert {parameter.dtype for parameter in networks.parameters()} == {torch.float32}


def test_both_optimisers_have_the_papers_betas(tiny_config: TalkingHeadConfig) -> None:
    optimizers = generation_optimizers(tiny_networks(tiny_config))
    assert [group["betas"] for optimizer in optimizers for group in optimizer.param_groups] == [(0.5, 0.999)] * 2


def test_batches_are_brought_to_the_phases_size() -> None:
    batch = random_batch(64)
    assert resized(batch, 64) is batch
    small = resized(batch, 32)
    assert small.source.shape == small.driving.shape == (2, 3, 32, 32)
    assert torch.allclose(small.source.mean(), batch.source.mean(), atol=1e-2)


@pytest.mark.slow
def test_one_drawn_clip_is_learned_in_seconds(tiny_config: TalkingHeadConfig) -> None:
    """The loss falls (to about half), and the generated frames beat the unmoved source (by about a third)."""
    frames = torch.from_numpy(np.ascontiguousarray(face_clips(1, 12, 32)[0].frames)).permute(0, 3, 1, 2) / 255
    networks = tiny_networks(tiny_config)
    optimizers = generation_optimizers(networks)
    for group in optimizers.generator.param_groups:
        group["lr"] = 4e-3
    objective, losses = Objective((("perceptual", 10.0), ("equivariance", 10.0))), []
    for _ in range(45):
        source = torch.randint(12, (4,))
        driving = (source + torch.randint(1, 12, (4,))) % 12
        batch = PairBatch(frames[source], frames[driving])
        losses.append(generation_step(networks, optimizers, objective, batch).terms["perceptual"].item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    model, unmoved, driving_frames = networks.model.eval(), frames[:1].expand(11, -1, -1, -1), frames[1:]
    with torch.no_grad():
        generated = model(unmoved, driving_frames).generated
    assert (generated - driving_frames).abs().mean() < 0.97 * (unmoved - driving_frames).abs().mean()

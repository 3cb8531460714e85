"""Families train by the same step as DaGAN, from their own objectives."""

import pytest
import torch

from dagan.data.landmarks import FaceLandmarks
from dagan.face import MEAN_FACE
from dagan.losses.adversarial import discriminator_hinge, generator_hinge
from dagan.losses.objective import TERMS, Objective, of_others
from dagan.losses.values import PairBatch
from dagan.models.discriminator import DiscriminatorConfig, Judgement
from dagan.presets import LITE
from dagan.training.forward import GenerationNetworks
from dagan.training.generation_stage import generation_optimizers, generation_step
from dagan.training.recipes import FAMILY_RECIPES
from families import TINY, TINY_MONKEYNET_JUDGE
from parts import face_clips, tiny_perceptual


def networks_of(name: str) -> GenerationNetworks:
    judge = TINY_MONKEYNET_JUDGE if name == "monkeynet" else DiscriminatorConfig(width=4, cap=8)
    return GenerationNetworks(TINY[name].build(), judge.build(), tiny_perceptual())


def batch() -> PairBatch:
    frames = torch.from_numpy(face_clips(1)[0].frames[[0, 5]]).permute(0, 3, 1, 2).float() / 255
    source, driving = (frames[i : i + 1].repeat(2, 1, 1, 1) for i in range(2))
    face = FaceLandmarks((torch.tensor(MEAN_FACE)[:, :2] * 0.3).repeat(2, 1, 1), torch.tensor([True, True]))
    return PairBatch(source, driving, face, face)


@pytest.mark.parametrize("name", TINY)
def test_a_step_of_its_published_objective_moves_every_part_of_the_model(name):
    networks = networks_of(name)
    objective = Objective(FAMILY_RECIPES[name].phases[0].objective)
    optimizers = generation_optimizers(networks, optimizer=FAMILY_RECIPES[name].optimizer)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = 1e-2
    before = {key: value.clone() for key, value in networks.model.state_dict().items()}
    for _ in range(2):  # Monkey-Net's motion begins with a convolution of zeros
        result = generation_step(networks, optimizers, objective, batch())
        assert bool(result.finite)
    assert set(objective.weights) <= set(result.terms)
    parts = {key.split(".")[0] for key in before}
    moved = {
        key.split(".")[0] for key, value in networks.model.named_parameters() if not torch.equal(value, before[key])
    }
    assert moved == parts


@pytest.mark.slow
@pytest.mark.parametrize("name", TINY)
def test_its_laptop_recipe_learns_a_pair(name):
    networks, pair = networks_of(name), batch()
    objective = Objective(FAMILY_RECIPES[f"lite_{name}"].phases[0].objective)
    optimizers = generation_optimizers(networks)
    for group in optimizers.generator.param_groups:
        group["lr"] = 2e-3
    losses = []
    for _ in range(40):
        generation_step(networks, optimizers, objective, pair)
        with torch.no_grad():
            losses.append(float((networks.model(pair.source, pair.driving).generated - pair.driving).abs().mean()))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_the_discriminators_weights_get_no_gradient_from_monkeynets_reconstruction():
    networks = networks_of("monkeynet")
    optimizers = generation_optimizers(networks)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = 0.0
    generation_step(networks, optimizers, Objective((("level_reconstruction", 1.0),)), batch())
    alone = [parameter.grad.clone() for parameter in networks.discriminator.parameters()]
    generation_step(networks, optimizers, Objective((("level_reconstruction", 1.0), ("adversarial", 9.0))), batch())
    for gradient, parameter in zip(alone, networks.discriminator.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_a_step_of_sgd_that_is_not_finite_is_not_taken():
    networks = networks_of("x2face")
    optimizers = generation_optimizers(networks, optimizer="sgd")
    for group in optimizers.generator.param_groups:
        group["lr"] = 1.0
    before = [parameter.detach().clone() for parameter in networks.model.parameters()]
    result = generation_step(networks, optimizers, Objective((("reconstruction", float("inf")),)), batch())
    assert not bool(result.finite)
    assert all(torch.equal(a, b) for a, b in zip(before, networks.model.parameters(), strict=True))


def test_hinge_losses_are_zero_beyond_their_margins_and_push_towards_them():
    def judged(value: float) -> Judgement:
        return Judgement(torch.full((1, 1, 2, 2), value), ())

    assert discriminator_hinge(judged(1.5), judged(-1.5)) == 0
    assert discriminator_hinge(judged(0.0), judged(0.5)) == 1 + 1.5
    assert generator_hinge(judged(0.25)) == -0.25
    assert Objective((("hinge_adversarial", 1.0),)).discriminator_loss is discriminator_hinge


def test_terms_of_another_family_or_of_dagans_keypoints_do_not_fit():
    assert of_others(TINY["x2face"], TERMS).count("equivariance") == 1
    assert "keypoint_prior" in of_others(LITE, TERMS)
    assert "equivariance" not in of_others(LITE, TERMS)
    for name, recipe in FAMILY_RECIPES.items():
        family = name.removeprefix("lite_")
        assert not of_others(TINY[family], [term for term, _ in recipe.phases[0].objective])

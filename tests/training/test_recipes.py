"""Recipes are values that fit the presets they are for."""

import pytest

from dagan.face import NUM_LANDMARKS
from dagan.losses.objective import PAPER_OBJECTIVE, Objective, needing_landmarks, of_others
from dagan.models.talking_head import TalkingHeadConfig
from dagan.presets import LITE, PRESETS, RELEASED_DISCRIMINATORS, TRAINING
from dagan.training.depth_recipes import DEPTH_RECIPES, LITE_DEPTH, PAPER_DEPTH
from dagan.training.depth_settings import term_weights
from dagan.training.phases import Phase, at_size, with_steps
from dagan.training.recipes import LITE_PHASES, PUBLISHED, RECIPES, Recipe, without_landmarks

ALL_PHASES = [phase for recipe in RECIPES.values() for phase in recipe.phases]


@pytest.mark.parametrize("phase", ALL_PHASES, ids=lambda phase: phase.name)
def test_every_phase_has_known_terms_and_an_image_size_that_networks_take(phase: Phase) -> None:
    assert Objective(phase.objective).weights
    assert len({name for name, _ in phase.objective}) == len(phase.objective)
    assert phase.image_size % 32 == 0
    assert phase.steps > 0 or phase.epochs
    assert phase.batch_size > 1  # batch norm
    if Objective(phase.objective).is_adversarial:
        assert phase.image_size >= 64  # the discriminator's least


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_phases_of_a_recipe_are_told_apart_by_name(recipe: Recipe) -> None:
    assert len({phase.name for phase in recipe.phases}) == len(recipe.phases)


def test_the_papers_recipe_is_its_equation_10_at_256_pixels() -> None:
    (phase,) = PUBLISHED.phases
    assert phase.objective == PAPER_OBJECTIVE
    assert phase.image_size == PUBLISHED.size == 256
    assert PUBLISHED.perceptual_side == 0  # whole images


def test_the_published_schedule_is_150_epochs_of_75_visits_ten_times_slower_after_60_and_90() -> None:
    (phase,) = with_steps(PUBLISHED.phases, samples_an_epoch=PUBLISHED.repeats * 1251)  # people of VoxCeleb1
    assert phase.steps == 150 * 75 * 1251 // phase.batch_size
    at = [phase.learning_rate_at(phase.steps * epoch // 150) for epoch in (0, 59, 61, 89, 91, 149)]
    assert at == pytest.approx([2e-4, 2e-4, 2e-5, 2e-5, 2e-6, 2e-6])


def test_the_papers_stage_1_is_equations_1_to_5_and_what_reference_4_adds() -> None:
    weights = term_weights(PAPER_DEPTH.stage, step=0)
    assert {name for name, weight in weights.items() if weight > 0} == {"photometric", "smoothness"}
    assert PAPER_DEPTH.stage.image_levels == (0, 0, 0, 0)
    assert PAPER_DEPTH.stage.align is PAPER_DEPTH.stage.softens is False
    assert PAPER_DEPTH.pose.pivot_depth == 0
    assert PAPER_DEPTH.pose.base_width == 64
    assert PAPER_DEPTH.phase.gaps == (1,)
    assert PAPER_DEPTH.phase.image_size == 256
    assert (PAPER_DEPTH.max_gradient, PAPER_DEPTH.optimizer.weight_decay) == (0, 0)  # Adam, without clipping


OURS = [name for name, config in PRESETS.items() if isinstance(config, TalkingHeadConfig)]


@pytest.mark.parametrize("name", sorted(set(PRESETS) - set(OURS)))
def test_a_preset_of_another_family_brings_losses_that_it_can_have(name: str) -> None:
    brings, model = TRAINING[name], PRESETS[name]
    for phase in RECIPES[brings.recipe].phases:
        assert not of_others(model, [term for term, _ in phase.objective])
    assert getattr(brings.discriminator, "num_keypoints", 0) in (0, getattr(model, "num_keypoints", 0))


@pytest.mark.parametrize("name", OURS)
def test_each_preset_brings_a_recipe_and_a_discriminator_that_fit_it(name: str) -> None:
    brings, model = TRAINING[name], PRESETS[name]
    terms = {term for phase in RECIPES[brings.recipe].phases for term, _ in phase.objective}
    assert brings.depth_recipe in DEPTH_RECIPES
    assert ("jacobian_equivariance" in terms or name == "lite") == model.keypoints.has_jacobian
    assert brings.discriminator.num_keypoints in (0, model.keypoints.num_keypoints)
    if "released" in name:
        assert brings.discriminator == RELEASED_DISCRIMINATORS[name]
    if not name.startswith("lite"):
        assert Objective(RECIPES[brings.recipe].phases[-1].objective).is_adversarial


def test_phases_scale_with_the_size_of_the_images() -> None:
    assert [phase.image_size for phase in at_size(LITE_PHASES, 512, written_for=256)] == [256, 256, 256, 512]
    assert [phase.image_size for phase in at_size(LITE_PHASES, 64, written_for=256)] == [32, 32, 32, 64]


def test_the_lite_model_has_what_its_recipe_asks_for() -> None:
    terms = {name for phase in LITE_PHASES for name, _ in phase.objective}
    assert LITE.keypoints.has_jacobian or "jacobian_equivariance" not in terms
    assert LITE.keypoints.num_keypoints >= NUM_LANDMARKS or "landmark_guidance" not in terms


def test_the_depth_rate_rises_stays_and_falls() -> None:
    rates = [LITE_DEPTH.phase.learning_rate_at(step) for step in range(LITE_DEPTH.phase.steps)]
    assert max(rates) == LITE_DEPTH.phase.learning_rate
    assert 0 < rates[0] < 0.1 * max(rates)
    assert 0 < rates[-1] < 0.1 * max(rates)
    assert rates[LITE_DEPTH.phase.warm_up] == max(rates)


def test_without_landmarks_nothing_is_frozen_and_keypoints_still_have_something_to_learn_from() -> None:
    unguided = without_landmarks(LITE_PHASES)
    assert unguided.left_out == ("keypoints",)  # which would move no image
    assert [phase.name for phase in unguided.phases] == ["motion", "half_size", "full_size"]
    for phase in unguided.phases:
        terms = dict(phase.objective)
        assert not phase.frozen
        assert not needing_landmarks(terms)
        assert terms["equivariance"] > 0
    assert {"landmark_guidance", "opening_consistency"} <= set(unguided.terms)


def test_frozen_parts_are_parts_of_the_lite_model() -> None:
    model = LITE.build()
    for phase in LITE_PHASES:
        for part in phase.frozen:
            model.get_submodule(part)

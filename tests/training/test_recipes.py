"""Recipes are values that fit the presets they are for."""

import pytest

from dagan.face import NUM_LANDMARKS
from dagan.losses.objective import NEED_LANDMARKS, PAPER_OBJECTIVE, Objective
from dagan.presets import LITE
from dagan.training.generation_stage import Phase
from dagan.training.recipes import DEPTH_RECIPE, LITE_RECIPE, PAPER_RECIPE, RECIPES, without_landmarks

ALL_PHASES = [phase for recipe in RECIPES.values() for phase in recipe]


@pytest.mark.parametrize("phase", ALL_PHASES, ids=lambda phase: phase.name)
def test_every_phase_has_known_terms_and_an_image_size_that_networks_take(phase: Phase) -> None:
    assert Objective(phase.objective).weights
    assert len({name for name, _ in phase.objective}) == len(phase.objective)
    assert phase.image_size % 32 == 0
    assert phase.steps > 0
    assert phase.batch_size > 1  # batch norm
    if Objective(phase.objective).is_adversarial:
        assert phase.image_size >= 64  # the discriminator's least


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_phases_of_a_recipe_are_told_apart_by_name(recipe: tuple[Phase, ...]) -> None:
    assert len({phase.name for phase in recipe}) == len(recipe)


def test_the_papers_recipe_is_its_equation_10_at_256_pixels() -> None:
    (phase,) = PAPER_RECIPE
    assert phase.objective == PAPER_OBJECTIVE
    assert phase.image_size == 256


def test_the_lite_model_has_what_its_recipe_asks_for() -> None:
    terms = {name for phase in LITE_RECIPE for name, _ in phase.objective}
    assert LITE.keypoints.has_jacobian or "jacobian_equivariance" not in terms
    assert LITE.keypoints.num_keypoints >= NUM_LANDMARKS or "landmark_guidance" not in terms


def test_the_depth_rate_rises_stays_and_falls() -> None:
    rates = [DEPTH_RECIPE.learning_rate_at(step) for step in range(DEPTH_RECIPE.steps)]
    assert max(rates) == DEPTH_RECIPE.learning_rate
    assert 0 < rates[0] < 0.1 * max(rates)
    assert 0 < rates[-1] < 0.1 * max(rates)
    assert rates[DEPTH_RECIPE.warm_up] == max(rates)


def test_without_landmarks_nothing_is_frozen_and_keypoints_still_have_something_to_learn_from() -> None:
    phases = without_landmarks(LITE_RECIPE)
    assert [phase.name for phase in phases] == [phase.name for phase in LITE_RECIPE]
    for phase in phases:
        terms = dict(phase.objective)
        assert not phase.frozen
        assert not NEED_LANDMARKS & terms.keys()
        assert phase.name == "keypoints" or terms["equivariance"] > 0


def test_frozen_parts_are_parts_of_the_lite_model() -> None:
    model = LITE.build()
    for phase in LITE_RECIPE:
        for part in phase.frozen:
            model.get_submodule(part)

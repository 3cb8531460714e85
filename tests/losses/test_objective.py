"""The weighted sum of terms (Eq. 10), and that each term moves what it should."""

from collections.abc import Iterable, Set
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dagan.data.landmarks import FaceLandmarks
from dagan.face import NUM_LANDMARKS
from dagan.losses.equivariance import equivariance
from dagan.losses.keypoint_distance import keypoint_distance
from dagan.losses.objective import PAPER_OBJECTIVE, TERMS, Objective, needing_landmarks, of_others
from dagan.losses.values import Look, PairBatch, Values
from dagan.models.talking_head import TalkingHeadConfig
from dagan.training.forward import GenerationNetworks, Share, forward, look_again
from parts import tiny_networks

OURS = sorted({*TERMS} - {*of_others(TalkingHeadConfig(), TERMS)})  # other families' terms need their own codes
MOTION_ONLY = ("warped_perceptual", "jacobian_equivariance", "equivariance", "keypoint_distance", "landmark_guidance")
PARTS = {
    "keypoints": "keypoints.hourglass.down.0.conv.weight",
    "motion": "motion.hourglass.down.0.conv.weight",
    "encoder": "generator.encoder.first.conv.weight",
    "decoder": "generator.decoder.last.weight",
    "depth_encoder": "generator.depth_encoder.encoder.first.conv.weight",
}


@pytest.fixture
def networks(tiny_config: TalkingHeadConfig) -> GenerationNetworks:
    keypoints = replace(tiny_config.keypoints, num_keypoints=NUM_LANDMARKS + 2)
    networks = tiny_networks(replace(tiny_config, keypoints=keypoints))
    torch.nn.init.constant_(networks.model.generator.refine.merge.gamma, 0.5)  # a closed gate lets nothing through
    networks.discriminator.requires_grad_(False)  # as generation_step does
    return networks


def random_batch(side: int = 64) -> PairBatch:
    landmarks = FaceLandmarks(torch.rand(2, NUM_LANDMARKS, 2) - 0.5, torch.tensor([True, True]))
    return PairBatch(torch.rand(2, 3, side, side), torch.rand(2, 3, side, side), landmarks, landmarks)


def values_of(
    networks: GenerationNetworks, batch: PairBatch | None = None, looks: Set[Look] = frozenset(Look)
) -> Values:
    """What terms with these looks are given."""
    batch = batch or random_batch()
    values = forward(networks, batch, looks)
    return look_again(networks, values, looks, Share(len(batch.driving), slice(None)))


def terms_of(networks: GenerationNetworks, names: Iterable[str], batch: PairBatch | None = None) -> dict[str, Tensor]:
    """Each term as a step makes it: with what the objective asks for, and nothing else."""
    objective = Objective(tuple((name, 1.0) for name in names))
    values = values_of(networks, batch, objective.looks)
    return {name: term.function(values) for name, term in objective.terms.items()}


def moved_by(loss: Tensor, networks: GenerationNetworks) -> set[str]:
    networks.zero_grad()
    loss.backward()
    return {name for name, p in networks.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}


@pytest.mark.parametrize(
    ("term", "moves"),
    [
        ("perceptual", {"keypoints", "motion", "encoder", "decoder", "depth_encoder"}),
        ("reconstruction", {"keypoints", "motion", "encoder", "decoder", "depth_encoder"}),
        ("expressive_reconstruction", {"keypoints", "motion", "encoder", "decoder", "depth_encoder"}),
        ("keypoint_consistency", {"keypoints", "motion", "encoder", "decoder", "depth_encoder"}),
        ("opening_consistency", {"keypoints", "motion", "encoder", "decoder", "depth_encoder"}),
        ("opening_guidance", {"keypoints"}),
        ("adversarial", {"keypoints", "motion", "encoder", "decoder", "depth_encoder"}),
        ("feature_matching", {"keypoints", "motion", "encoder", "decoder", "depth_encoder"}),
        ("warped_perceptual", {"keypoints", "motion"}),
        ("equivariance", {"keypoints"}),
        ("keypoint_distance", {"keypoints"}),
        ("landmark_guidance", {"keypoints"}),
        ("moved_landmark_guidance", {"keypoints"}),
        ("torso_guidance", {"keypoints"}),
    ],
)
def test_each_terms_gradient_reaches_what_it_should_move_and_nothing_else(
    networks: GenerationNetworks, term: str, moves: set[str]
) -> None:
    moved = moved_by(terms_of(networks, [term])[term], networks)
    assert {part for part, name in PARTS.items() if f"model.{name}" in moved} == moves
    assert not any(name.startswith(("discriminator.", "perceptual.", "model.depth.")) for name in moved)


@pytest.mark.parametrize("term", ["jacobian_equivariance", "moved_jacobian"])
def test_the_terms_of_frames_move_their_head(networks: GenerationNetworks, term: str) -> None:
    moved = moved_by(terms_of(networks, [term])[term], networks)
    assert "model.keypoints.jacobian.conv.weight" in moved
    assert not any(name.startswith("model.generator.") for name in moved)


def test_every_term_is_a_finite_scalar_and_in_the_tests_above(networks: GenerationNetworks) -> None:
    terms = terms_of(networks, OURS)
    assert terms.keys() == {*OURS}
    assert all(value.shape == () and value.isfinite() and value >= 0 for value in terms.values())


def test_an_objective_of_motion_alone_does_not_run_the_generator_or_the_discriminator(
    networks: GenerationNetworks,
) -> None:
    ran = []
    for name in ("model.generator.encoder", "model.generator.decoder", "discriminator", "model.motion"):
        networks.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    terms_of(networks, MOTION_ONLY)
    assert ran == ["model.motion"]


def test_each_network_runs_no_more_often_than_the_terms_need(networks: GenerationNetworks) -> None:
    ran = []
    for name in ("model.keypoints", "model.motion", "model.generator.decoder", "discriminator", "model.depth"):
        networks.get_submodule(name).register_forward_hook(lambda *_, name=name: ran.append(name))
    terms_of(networks, dict(PAPER_OBJECTIVE))
    counts = {name: ran.count(name) for name in set(ran)}
    assert counts == {
        "model.keypoints": 3,  # source, driving and its warped look
        "model.depth": 3,
        "model.motion": 1,
        "model.generator.decoder": 1,
        "discriminator": 2,
    }


def test_the_total_is_the_weighted_sum_of_unweighted_terms() -> None:
    objective = Objective((("perceptual", 10.0), ("equivariance", 0.5)))
    terms = {"perceptual": torch.tensor(2.0), "equivariance": torch.tensor(3.0)}
    assert objective.total(terms).item() == 21.5


def test_the_papers_objective_has_its_weights() -> None:
    """Sec. 4.2 has lambda_P = lambda_E = lambda_D = 10 and lambda_G = 1; feature matching is weighed as in FOMM."""
    assert dict(PAPER_OBJECTIVE) == {
        "perceptual": 10,
        "adversarial": 1,
        "feature_matching": 10,
        "equivariance": 10,
        "keypoint_distance": 10,
    }


def test_an_unknown_term_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"'style'.*perceptual"):
        Objective((("style", 1.0),))


@pytest.mark.parametrize(
    ("names", "adversarial"),
    [(("perceptual",), False), (("adversarial",), True), (("perceptual", "feature_matching"), True)],
)
def test_a_discriminator_is_trained_when_a_term_looks_through_it(names: tuple[str, ...], adversarial: bool) -> None:
    assert Objective(tuple((name, 1.0) for name in names)).is_adversarial is adversarial


@pytest.mark.parametrize("term", needing_landmarks(TERMS))
def test_a_term_that_needs_landmarks_says_so_without_them(term: str) -> None:
    batch = random_batch()._replace(source_landmarks=None, driving_landmarks=None)
    with pytest.raises(ValueError, match=f"{term} but the batch has no landmarks"):
        Objective((("perceptual", 1.0), (term, 1.0))).check(batch)
    Objective(PAPER_OBJECTIVE).check(batch)


@pytest.mark.parametrize("term", OURS)
def test_a_term_names_all_that_it_looks_at(networks: GenerationNetworks, term: str) -> None:
    assert terms_of(networks, [term])[term].isfinite()


def test_keypoint_distance_counts_both_frames_and_equivariance_the_driving_one(networks: GenerationNetworks) -> None:
    """As Eq. 10 has them."""
    values = values_of(networks)
    source, driving = values.source.keypoints, values.driving.keypoints
    both = keypoint_distance(source.position) + keypoint_distance(driving.position)
    assert torch.equal(TERMS["keypoint_distance"].function(values), both)
    assert keypoint_distance(source.position) > 0
    expected = equivariance(driving, values.transformed, values.plane_warp)
    assert torch.equal(TERMS["equivariance"].function(values), expected)


def test_the_generated_image_is_compared_with_the_driving_frame(networks: GenerationNetworks) -> None:
    values = values_of(networks)
    generated, driving = values.rendering.generated, values.batch.driving
    assert torch.equal(TERMS["perceptual"].function(values), networks.perceptual(generated, driving))
    assert torch.equal(TERMS["reconstruction"].function(values), (generated - driving).abs().mean())
    assert torch.equal(values.judged_real.prediction, networks.discriminator(driving).prediction)
    assert torch.equal(values.judged_fake.prediction, networks.discriminator(generated).prediction)


def test_guidance_counts_both_frames(networks: GenerationNetworks) -> None:
    values = values_of(networks)
    without_source = values._replace(batch=values.batch._replace(source_landmarks=None))
    both, one = (TERMS["landmark_guidance"].function(shown) for shown in (values, without_source))
    assert both > one > 0


def test_equal_frames_have_no_motion_to_learn(networks: GenerationNetworks) -> None:
    image = torch.rand(2, 3, 64, 64)
    networks.eval()
    assert terms_of(networks, ["warped_perceptual"], PairBatch(image, image))["warped_perceptual"] < 1e-3


@pytest.mark.parametrize("term", ["keypoint_consistency", "opening_consistency"])
def test_a_generated_frame_is_looked_at_without_teaching_the_detector(networks: GenerationNetworks, term: str) -> None:
    values = forward(networks, random_batch(), TERMS[term].looks)  # the detector has seen both frames
    buffers = {name: value.clone() for name, value in networks.model.keypoints.named_buffers()}
    held = values._replace(rendering=values.rendering._replace(generated=values.rendering.generated.detach()))
    held = look_again(networks, held, TERMS[term].looks, Share(2, slice(None)))
    assert all(torch.equal(value, buffers[name]) for name, value in networks.model.keypoints.named_buffers())
    assert not TERMS[term].function(held).requires_grad  # with the generated frame held nothing is left to learn


def test_a_perfect_picture_is_consistent(networks: GenerationNetworks) -> None:
    networks.model.keypoints.eval()
    looks = TERMS["keypoint_consistency"].looks
    values = forward(networks, random_batch(), looks)
    perfect = values._replace(rendering=values.rendering._replace(generated=values.batch.driving))
    perfect = look_again(networks, perfect, looks, Share(2, slice(None)))
    for term in ("keypoint_consistency", "opening_consistency"):
        assert TERMS[term].function(perfect).item() == pytest.approx(0, abs=1e-6)


def test_reenactments_out_of_the_frame_cost_nothing(networks: GenerationNetworks) -> None:
    values = values_of(networks)
    beyond = values._replace(asked=values.asked._replace(position=values.asked.position + 2))
    assert not TERMS["reenacted_keypoints"].function(beyond).any()
    assert not TERMS["reenacted_openings"].function(beyond).any()


def test_reenacted_frames_that_show_what_was_asked_for_cost_nothing(networks: GenerationNetworks) -> None:
    values = values_of(networks)
    perfect = values._replace(found_reenacted=values.asked)
    terms = [TERMS[name].function(perfect) for name in ("reenacted_keypoints", "reenacted_openings")]
    assert [float(term) for term in terms] == [0, 0]

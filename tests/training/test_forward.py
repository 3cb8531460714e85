"""The pass of stage 2 over a batch, and the second looks."""

from dataclasses import replace

import pytest
import torch

from dagan.data.landmarks import FaceLandmarks
from dagan.face import NUM_LANDMARKS
from dagan.losses.objective import TERMS
from dagan.losses.values import Look, PairBatch
from dagan.models.talking_head import TalkingHeadConfig
from dagan.training.forward import Share, forward, look_again
from parts import tiny_networks

WHOLE = Share(5, slice(None))


def random_batch(count: int = 5) -> PairBatch:
    return PairBatch(torch.rand(count, 3, 64, 64), torch.rand(count, 3, 64, 64))


def test_the_rendering_is_the_models_own(tiny_config: TalkingHeadConfig) -> None:
    networks, batch = tiny_networks(tiny_config).eval(), random_batch(2)
    values = forward(networks, batch, frozenset(Look))
    assert torch.equal(values.rendering.generated, networks.model(batch.source, batch.driving).generated)
    assert torch.equal(values.driving.image, batch.driving)
    assert torch.equal(values.source.image, batch.source)


def test_what_no_term_asks_for_is_not_made(tiny_config: TalkingHeadConfig) -> None:
    networks = tiny_networks(tiny_config)
    values = forward(networks, random_batch(2), {Look.SOURCE, Look.FLOW})
    assert values.flow.shape == (2, 16, 16, 2)
    assert values.rendering is None
    assert forward(networks, random_batch(2), set()).source is None


def test_random_numbers_of_a_part_are_those_of_its_samples_in_the_whole_step(tiny_config: TalkingHeadConfig) -> None:
    networks, batch = tiny_networks(tiny_config), random_batch(4)
    for look, name in ((Look.TRANSFORMED, "plane_warp"), (Look.MOVED, "window")):
        drawn = []
        for rows in (slice(None), slice(2, 4)):
            torch.manual_seed(3)
            part = PairBatch(batch.source[rows], batch.driving[rows])
            values = look_again(networks, forward(networks, part, frozenset()), {look}, Share(4, rows))
            made = getattr(values, name)
            drawn.append(made if look is Look.MOVED else made.grid(8, 8))
        assert torch.equal(drawn[0][2:], drawn[1])


def test_a_look_is_made_once_however_many_terms_ask(tiny_config: TalkingHeadConfig) -> None:
    networks = tiny_networks(tiny_config)
    values = look_again(networks, forward(networks, random_batch(), {Look.MOVED}), {Look.MOVED}, WHOLE)
    assert look_again(networks, values, {Look.MOVED}, WHOLE) is values


def test_a_reenactment_is_asked_of_one_sample_in_four_by_the_next_ones_motion(tiny_config: TalkingHeadConfig) -> None:
    networks = tiny_networks(tiny_config)
    looks = {Look.SOURCE, Look.REENACTED}
    values = look_again(networks, forward(networks, random_batch(), looks), looks, WHOLE)
    ours, theirs = values.source.keypoints.position, values.driving.keypoints.position
    assert torch.allclose(values.asked.position, ours[:2] + theirs[1:3] - ours[1:3], atol=1e-6)
    assert not values.asked.position.requires_grad
    assert values.found_reenacted.position.shape == (2, 5, 2)


@pytest.mark.parametrize("term", ["reenacted_keypoints", "reenacted_openings"])
def test_reenactments_teach_the_generator_and_not_the_detector_that_judges_them(
    monkeypatch: pytest.MonkeyPatch, tiny_config: TalkingHeadConfig, term: str
) -> None:
    networks = tiny_networks(
        replace(tiny_config, keypoints=replace(tiny_config.keypoints, num_keypoints=NUM_LANDMARKS))
    )
    torch.nn.init.constant_(networks.model.generator.refine.merge.gamma, 0.5)
    networks.model.keypoints.requires_grad_(False)
    batch = random_batch(2)
    batch = batch._replace(
        driving_landmarks=FaceLandmarks(torch.zeros(2, NUM_LANDMARKS, 2), torch.tensor([True, True]))
    )
    values = forward(networks, batch, TERMS[term].looks)
    asked = values.driving.keypoints.each(lambda part: part[:1].detach())  # within the frame
    monkeypatch.setattr(networks.model, "mover", lambda *_: lambda _: asked)
    values = look_again(networks, values, TERMS[term].looks, Share(2, slice(None)))
    TERMS[term].function(values).backward()
    moved = {name for name, p in networks.model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    for part in ("motion.", "generator.encoder.", "generator.decoder.", "generator.depth_encoder."):
        assert any(name.startswith(part) for name in moved), part
    assert not any(name.startswith("keypoints.") for name in moved)

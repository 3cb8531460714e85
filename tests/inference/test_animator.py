from dataclasses import replace
from fractions import Fraction

import pytest
import torch

from dagan.errors import UserError
from dagan.inference.animator import Animator
from dagan.inference.recorded_motion import record_motion
from dagan.models.talking_head import FaceConfig

SIDE = 64


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def image(seed: int) -> torch.Tensor:
    return torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def generated(renderings) -> torch.Tensor:
    return torch.cat([rendering.generated for rendering in renderings])


def test_a_driver_that_holds_still_leaves_the_source_where_it_is(tiny_model):
    animator = Animator(tiny_model)
    source = animator.set_source(image(0))
    still = generated(animator.stream([image(1)] * 2))
    unmoved = tiny_model.render(source, source.keypoints).generated
    torch.testing.assert_close(still, unmoved.expand_as(still))


def test_relative_motion_adds_what_the_driver_did_since_its_first_frame(tiny_model):
    animator = Animator(tiny_model)
    source = animator.set_source(image(0))
    moved = list(animator.stream([image(1), image(2)]))[1]
    first, second = (tiny_model.view(image(seed)).keypoints for seed in (1, 2))
    expected = source.keypoints.position + second.position - first.position
    turned = second.jacobian @ torch.linalg.inv(first.jacobian) @ source.keypoints.jacobian
    by_hand = tiny_model.render(source, first._replace(position=expected, jacobian=turned))
    torch.testing.assert_close(moved.generated, by_hand.generated)
    assert not torch.equal(expected, source.keypoints.position)


def test_absolute_motion_is_what_the_model_does_with_the_background_still(tiny_model):
    animator = Animator(tiny_model, motion="absolute")
    source = animator.set_source(image(0))
    expected = tiny_model.render(source, tiny_model.view(image(1)).keypoints)
    torch.testing.assert_close(animator.animate(image(1)).generated, expected.generated)


def test_adapt_scale_changes_how_far_the_source_moves(tiny_model):
    def flow(adapt_scale: bool) -> torch.Tensor:
        animator = Animator(tiny_model, adapt_scale=adapt_scale)
        animator.set_source(image(0))
        return list(animator.stream([image(1), image(2)]))[1].flow

    assert not torch.equal(flow(adapt_scale=True), flow(adapt_scale=False))


def test_the_source_is_encoded_once_however_many_frames_follow(tiny_model, monkeypatch):
    encode, calls = tiny_model.encode, []
    monkeypatch.setattr(tiny_model, "encode", lambda view: calls.append(view) or encode(view))
    animator = Animator(tiny_model)
    animator.set_source(image(0))
    for _ in animator.stream([image(1)] * 3):
        pass
    assert len(calls) == 1


def test_a_stream_takes_a_frame_only_when_asked_for_its_rendering(tiny_model):
    taken = []
    frames = (taken.append(seed) or image(seed) for seed in range(9))
    animator = Animator(tiny_model)
    animator.set_source(image(0))
    stream = animator.stream(frames)
    next(stream)
    assert taken == [0]


def test_each_stream_starts_from_its_own_first_frame(tiny_model):
    animator = Animator(tiny_model)
    animator.set_source(image(0))
    list(animator.stream([image(1), image(2)]))
    afterwards = generated(animator.stream([image(3), image(4)]))
    fresh = Animator(tiny_model)
    fresh.set_source(image(0))
    torch.testing.assert_close(afterwards, generated(fresh.stream([image(3), image(4)])))


def test_a_recorded_motion_drives_as_its_video_does(tiny_model):
    frames = [image(seed) for seed in (1, 2, 3)]
    animator = Animator(tiny_model, rest="first")
    animator.set_source(image(0))
    motion = record_motion(tiny_model, frames, Fraction(25))
    torch.testing.assert_close(generated(animator.from_motion(motion)), generated(animator.stream(frames)))


def test_a_recorded_motion_counts_from_its_frame_most_like_the_source_or_from_the_one_that_is_named(tiny_model):
    motion = record_motion(tiny_model, [image(seed) for seed in (1, 2, 0, 3)], Fraction(25))
    animator = Animator(tiny_model)
    view = animator.set_source(image(0))
    still = tiny_model.render(view, view.keypoints).generated

    moved = list(animator.from_motion(motion))

    torch.testing.assert_close(moved[2].generated, still)  # the driver looks as the source does: no motion
    named = Animator(tiny_model, rest=2)
    named.set_source(image(0))
    torch.testing.assert_close(generated(named.from_motion(motion)), generated(moved))
    named.set_source(image(4))
    assert (next(named.from_motion(motion)).generated - moved[0].generated).abs().max() > 1e-3


def test_a_rest_frame_that_the_motion_has_not_is_refused_before_the_first_frame(tiny_model):
    animator = Animator(tiny_model, rest=2)
    animator.set_source(image(0))
    with pytest.raises(UserError, match="has frames 0 to 1; there is no frame 2"):
        animator.from_motion(record_motion(tiny_model, [image(1), image(2)], Fraction(25)))


def test_a_recorded_motions_expressions_are_steadied(tiny_config):
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    config = replace(tiny_config, keypoints=keypoints, face=FaceConfig())
    model = config.build().eval()
    torch.nn.init.normal_(model.retargeting.placer[-1].weight, std=0.1)
    motion = record_motion(model, [image(seed) for seed in range(1, 5)], Fraction(25))
    animator = Animator(model, rest="first")
    view = animator.set_source(image(0))
    steady = motion.steadied()
    move = model.mover(view.keypoints, steady.at(0))
    expected = model.render(view, move(steady.at(3))).generated
    found = list(animator.from_motion(motion))[3].generated
    torch.testing.assert_close(found, expected)
    raw = model.render(view, model.mover(view.keypoints, motion.at(0))(motion.at(3))).generated
    assert not torch.allclose(found, raw, atol=1e-6)


def test_absolute_motion_counts_from_no_frame_of_a_recorded_motion(tiny_model):
    motion = record_motion(tiny_model, [image(1), image(2)], Fraction(25))
    animator = Animator(tiny_model, "absolute", rest=9)
    animator.set_source(image(0))
    torch.testing.assert_close(
        generated(animator.from_motion(motion)), generated(animator.stream([image(1), image(2)]))
    )


def test_two_recorded_motions_at_once_do_not_change_each_other(tiny_model):
    motions = [record_motion(tiny_model, [image(a), image(a + 1)], Fraction(25)) for a in (1, 5)]
    animator = Animator(tiny_model, rest="first")
    animator.set_source(image(0))
    alone = [generated(animator.from_motion(motion)) for motion in motions]
    first, second = (animator.from_motion(motion) for motion in motions)
    together = [(a.generated, b.generated) for a, b in zip(first, second, strict=True)]
    for one, parts in zip(alone, zip(*together, strict=True), strict=True):
        torch.testing.assert_close(torch.cat(parts), one)


@pytest.mark.parametrize("rest", ["last", -1, 1.5])
def test_an_unknown_rest_frame_names_the_known_ones(tiny_model, rest):
    with pytest.raises((ValueError, TypeError), match="best"):  # TypeError: the tests' check of annotations
        Animator(tiny_model, rest=rest)


def test_a_motion_of_another_model_is_refused_before_the_first_frame(tiny_model, tiny_config):
    animator = Animator(tiny_model)
    animator.set_source(image(0))
    foreign = record_motion(tiny_config.build().eval(), [image(1)], Fraction(25))
    with pytest.raises(UserError, match=r"recorded with model .* but this is model"):
        animator.from_motion(foreign)


def test_a_motion_with_other_keypoints_names_both_counts(tiny_model):
    animator = Animator(tiny_model)
    animator.set_source(image(0))
    motion = record_motion(tiny_model, [image(1)], Fraction(25))
    motion = type(motion)(motion.keypoints._replace(position=torch.zeros(1, 3, 2)), motion.fps, motion.fingerprint)
    with pytest.raises(UserError, match=r"holds 3 keypoints .* finds 5 keypoints"):
        animator.from_motion(motion)


def test_animating_leaves_the_weights_and_running_statistics_as_they_were(tiny_model):
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    animator = Animator(tiny_model.train())
    animator.set_source(image(0))
    animator.animate(image(1))
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.state_dict().items())


def test_animating_without_a_source_says_so(tiny_model):
    with pytest.raises(RuntimeError, match="set_source"):
        Animator(tiny_model).animate(image(0))


def test_an_unknown_motion_mode_names_the_known_ones(tiny_model):
    with pytest.raises((ValueError, TypeError), match="relative"):
        Animator(tiny_model, motion="sideways")

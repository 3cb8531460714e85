import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

from dagan.errors import UserError
from dagan.geometry.grid import coordinate_grid
from dagan.images import to_pixels, to_tensor
from dagan.inference import animator as animator_module
from dagan.inference.animator import Animator
from dagan.inference.recorded_motion import record_motion
from dagan.models.matte import load_matte
from dagan.models.talking_head import FaceConfig
from dagan.types import Keypoints, Layers

SIDE = 64
RATE = Fraction(25)
LEVELS = 1  # of 255: how far the pictures of two ways to compute them may differ


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.inference_mode():
        yield


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def image(seed: int) -> torch.Tensor:
    return to_tensor(picture(seed))


def animator_of(model, seed: int = 0, **choices) -> Animator:
    """An animator by PyTorch in float32, with its portrait."""
    animator = Animator(model, **{"runtime": "torch", "precision": "fp32", **choices})
    animator.set_source(picture(seed))
    return animator


def stacked(pictures) -> np.ndarray:
    return np.stack(list(pictures)).astype(int)


def generated(model, source, driving) -> np.ndarray:
    return to_pixels(model.render(source, driving).generated)


def drawn(model, source, driving) -> np.ndarray:
    """As the animator draws it: before the plate, still at the rim."""
    backdrop = model.composition.backdrop(source.image, load_matte()(source.image))
    return to_pixels(model.composition(model.layers(source, driving), backdrop))


def by_hand(model, seeds, seed: int = 0, draw=drawn) -> np.ndarray:
    """What relative motion since the first of some frames makes of a portrait, by the model's own calls."""
    source, *driving = (model.view(image(number)) for number in (seed, *seeds))
    move = model.mover(source.keypoints, driving[0].keypoints)
    return np.stack([draw(model, source, move(view.keypoints)) for view in driving]).astype(int)


@pytest.fixture
def reading_model(tiny_config):
    """A model with a face reader, whose transfer between people listens to it."""
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    model = replace(tiny_config, keypoints=keypoints, face=FaceConfig()).build().eval()
    torch.nn.init.normal_(model.retargeting.placer[-1].weight, std=1.0)
    return model


def test_a_driver_that_holds_still_gives_the_portrait_itself(tiny_model):
    unmoved = tiny_model.view(image(0))
    expected = drawn(tiny_model, unmoved, unmoved.keypoints)
    pictures = stacked(animator_of(tiny_model).stream([picture(1)] * 2))
    assert np.abs(pictures - expected).max() <= LEVELS


def test_relative_motion_adds_what_the_driver_did_since_its_first_frame(tiny_model):
    pictures = stacked(animator_of(tiny_model).stream([picture(1), picture(2)]))
    source, first, second = (tiny_model.view(image(seed)) for seed in (0, 1, 2))
    expected = source.keypoints.position + second.keypoints.position - first.keypoints.position
    turned = second.keypoints.jacobian @ torch.linalg.inv(first.keypoints.jacobian) @ source.keypoints.jacobian
    moved = drawn(tiny_model, source, first.keypoints._replace(position=expected, jacobian=turned))
    assert not torch.equal(expected, source.keypoints.position)
    assert np.abs(pictures[1] - moved).max() <= LEVELS


def test_absolute_motion_is_what_the_model_does_with_the_background_still(tiny_model):
    source, driving = (tiny_model.view(image(seed)) for seed in (0, 1))
    expected = drawn(tiny_model, source, driving.keypoints)
    animator = animator_of(tiny_model, motion="absolute")
    assert np.abs(stacked(animator.stream([picture(1)]))[0] - expected).max() <= LEVELS
    rendered = tiny_model.render(source, driving.keypoints).generated
    torch.testing.assert_close(animator.render(picture(1)).generated, rendered)


@pytest.mark.slow
def test_every_runtime_gives_the_same_pictures(tiny_model, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setenv("DAGAN_CACHE", str(tmp_path))
    frames = [picture(seed) for seed in range(1, 5)]
    expected = stacked(animator_of(tiny_model).stream(frames))
    assert np.abs(expected[1:] - expected[0]).max() > 10  # the frames differ
    other = animator_of(tiny_model, runtime="openvino")
    assert np.abs(stacked(other.stream(frames)) - expected).max() <= 2
    other.set_source(picture(7))
    second = stacked(animator_of(tiny_model, 7).stream(frames))
    assert np.abs(stacked(other.stream(frames)) - second).max() <= 2


def test_tensors_do_as_bytes(tiny_model):
    by_bytes = stacked(animator_of(tiny_model).stream([picture(1), picture(2)]))
    animator = Animator(tiny_model, "torch", "fp32")
    animator.set_source(image(0))
    assert np.abs(stacked(animator.stream([image(1), image(2)])) - by_bytes).max() <= LEVELS


def test_adapt_scale_changes_how_far_the_portrait_moves(tiny_model):
    moved = [stacked(animator_of(tiny_model, adapt_scale=it).stream([picture(1), picture(2)])) for it in (True, False)]
    assert not np.array_equal(*moved)


def test_the_portrait_is_encoded_once_however_many_frames_follow(tiny_model, monkeypatch):
    encode, calls = tiny_model.encode, []
    monkeypatch.setattr(tiny_model, "encode", lambda view: calls.append(view) or encode(view))
    assert len(list(animator_of(tiny_model).stream([picture(1)] * 3))) == 3
    assert len(calls) == 1


def test_one_engine_serves_all_portraits_of_one_size(tiny_model, monkeypatch):
    build, calls = animator_module.build_engine, []
    monkeypatch.setattr(animator_module, "build_engine", lambda *given: calls.append(given) or build(*given))
    animator = animator_of(tiny_model)
    first = stacked(animator.stream([picture(1), picture(2)]))
    animator.set_source(picture(3))
    assert not np.array_equal(stacked(animator.stream([picture(1), picture(2)])), first)
    animator.set_source(picture(0))
    assert np.array_equal(stacked(animator.stream([picture(1), picture(2)])), first)
    assert len(calls) == 1
    animator.set_source(np.zeros((32, 32, 3), np.uint8))
    assert next(animator.stream([np.zeros((32, 32, 3), np.uint8)])).shape == (32, 32, 3)
    assert len(calls) == 2


def test_each_stream_starts_from_its_own_first_frame(tiny_model):
    animator = animator_of(tiny_model)
    list(animator.stream([picture(1), picture(2)]))
    afterwards = stacked(animator.stream([picture(3), picture(4)]))
    assert np.abs(afterwards - by_hand(tiny_model, [3, 4])).max() <= LEVELS


def test_a_restart_in_a_running_stream_makes_the_next_frame_the_rest_frame(tiny_model):
    animator = animator_of(tiny_model)

    def frames():
        yield from (picture(1), picture(2))
        animator.restart()
        yield from (picture(3), picture(4))

    made = stacked(animator.stream(frames()))
    expected = np.concatenate([by_hand(tiny_model, seeds) for seeds in ([1, 2], [3, 4])])
    assert np.abs(made - expected).max() <= LEVELS


def test_a_rendering_counts_from_the_first_frame_since_the_restart(tiny_model):
    animator = animator_of(tiny_model)
    made = [to_pixels(animator.render(picture(seed)).generated) for seed in (1, 2)]
    animator.restart()
    made += [to_pixels(animator.render(picture(seed)).generated) for seed in (3, 4)]
    expected = np.concatenate([by_hand(tiny_model, seeds, draw=generated) for seeds in ([1, 2], [3, 4])])
    assert np.abs(stacked(made) - expected).max() <= LEVELS


def test_a_rendering_moves_background_and_torso_as_the_model_between_frames_of_one_video(reading_model):
    model = reading_model
    wide = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 9), (72, 72), mode="bicubic").clamp(0, 1)
    source, driving = wide[..., :SIDE, :SIDE].contiguous(), wide[..., :SIDE, 8:].contiguous()
    animator = Animator(model, motion="absolute")
    animator.set_source(source)
    moves = {"background": model.background(source, driving), "torso": model.torso(source, driving)}
    expected = model(source, driving).generated
    torch.testing.assert_close(animator.render(driving, **moves).generated, expected)
    for missing in moves:
        still = animator.render(driving, **(moves | {missing: None})).generated
        assert (still - expected).abs().max() > 1e-3


def test_a_rendering_has_its_attention_when_asked_for(tiny_model):
    animator = animator_of(tiny_model)
    assert animator.render(picture(1)).attention is None
    assert animator.render(picture(1), with_attention=True).attention is not None


@pytest.mark.parametrize(("runtime", "precision"), [("openvino", "auto"), ("onnx", "fp32"), ("torch", "bf16")])
def test_a_rendering_by_another_runtime_is_refused(tiny_model, runtime, precision):
    animator = animator_of(tiny_model, runtime=runtime, precision=precision)
    assert not animator.can_render
    with pytest.raises(UserError, match=f"not {runtime} in {precision}: use runtime torch and precision fp32"):
        animator.render(picture(1))


def test_a_recorded_motion_drives_as_its_video_does(tiny_model):
    frames = [picture(seed) for seed in (1, 2, 3)]
    animator = animator_of(tiny_model, rest="first")
    streamed = stacked(animator.stream(frames))
    watched = animator.watch(iter(frames), RATE)
    recorded = record_motion(tiny_model, map(to_tensor, frames), RATE)
    assert (len(watched), watched.fps, watched.fingerprint) == (3, RATE, recorded.fingerprint)
    torch.testing.assert_close(watched.keypoints.position, recorded.keypoints.position)
    for motion in (watched, recorded):
        assert np.abs(stacked(animator.from_motion(motion)) - streamed).max() <= LEVELS


def test_motion_is_measured_from_the_frame_most_like_the_portrait_or_from_the_one_that_is_named(tiny_model):
    animator = animator_of(tiny_model)
    motion = animator.watch([picture(seed) for seed in (1, 2, 0, 3)], RATE)
    unmoved = tiny_model.view(image(0))
    still = drawn(tiny_model, unmoved, unmoved.keypoints)
    moved = stacked(animator.from_motion(motion))
    assert animator.rest_frame(motion) == 2
    assert np.abs(moved[2] - still).max() <= LEVELS  # the driver looks as the portrait does: no motion
    named = animator_of(tiny_model, rest=2)
    assert np.array_equal(stacked(named.from_motion(motion)), moved)
    assert animator_of(tiny_model, rest="first").rest_frame(motion) == 0
    assert not np.array_equal(stacked(animator_of(tiny_model, rest=1).from_motion(motion)), moved)


def test_only_the_frames_that_are_asked_for_are_drawn(tiny_model):
    animator = animator_of(tiny_model)
    motion = animator.watch([picture(seed) for seed in (1, 2, 3)], RATE)
    whole = stacked(animator.from_motion(motion))
    assert np.array_equal(stacked(animator.from_motion(motion, [2, 0])), whole[[2, 0]])
    with pytest.raises(UserError, match="has frames 0 to 2; there is no frame 3 to draw"):
        animator.from_motion(motion, [3])


def test_a_rest_frame_that_the_motion_does_not_have_is_refused_before_the_first_picture(tiny_model):
    animator = animator_of(tiny_model, rest=2)
    motion = animator.watch([picture(1), picture(2)], RATE)
    with pytest.raises(UserError, match="has frames 0 to 1; there is no frame 2 to rest at"):
        animator.from_motion(motion)


def test_the_expressions_of_a_recorded_motion_are_steadied(reading_model):
    motion = record_motion(reading_model, [image(seed) for seed in range(1, 5)], RATE)
    source = reading_model.view(image(0)).keypoints

    def moved(motion) -> torch.Tensor:
        return reading_model.mover(source, motion.at(0))(motion.at(3)).position

    animator = animator_of(reading_model, rest="first")
    engine, drawn = animator.prepare(), []
    draw = engine.layers
    engine.layers = lambda driving: drawn.append(driving.position) or draw(driving)
    list(animator.from_motion(motion))
    torch.testing.assert_close(drawn[3], moved(motion.steadied()))
    assert not torch.allclose(drawn[3], moved(motion))


def test_a_face_is_read_only_where_motion_is_transferred(reading_model, monkeypatch):
    read, calls = reading_model.read, []
    monkeypatch.setattr(reading_model, "read", lambda view: calls.append(view) or read(view))
    absolute, relative = (animator_of(reading_model, motion=motion) for motion in ("absolute", "relative"))
    calls.clear()
    absolute.render(picture(1))
    assert len(calls) == 0
    relative.render(picture(1))
    assert len(calls) == 1


def test_absolute_motion_needs_no_rest_frame(tiny_model):
    animator = animator_of(tiny_model, motion="absolute", rest=9)
    frames = [picture(1), picture(2)]
    apart = stacked(animator.from_motion(animator.watch(frames, RATE))) - stacked(animator.stream(frames))
    assert np.abs(apart).max() <= LEVELS


def test_two_recorded_motions_at_once_do_not_change_each_other(tiny_model):
    animator = animator_of(tiny_model, rest="first")
    motions = [animator.watch([picture(a), picture(a + 1)], RATE) for a in (1, 5)]
    alone = [stacked(animator.from_motion(motion)) for motion in motions]
    together = list(zip(*map(animator.from_motion, motions), strict=True))
    assert np.array_equal(np.stack(together, axis=1), np.stack(alone))


def test_another_portrait_ends_a_stream_of_the_last_one(tiny_model):
    animator = animator_of(tiny_model)
    stream = animator.stream([picture(seed) for seed in range(1, 9)])
    next(stream)
    animator.set_source(picture(9))
    with pytest.raises(RuntimeError, match="another portrait was set"):
        list(stream)


def test_a_video_without_frames_gives_no_pictures_and_no_motion(tiny_model):
    animator = animator_of(tiny_model)
    assert list(animator.stream([])) == []
    with pytest.raises(UserError, match="without frames"):
        animator.watch([], RATE)


class Slow:
    """An engine whose odd frames take longer, to see that order is kept; a picture is as bright as its frame."""

    name, precision, num_workers = "slow", "fp32", 3

    def set_source(self, source) -> None: ...

    def keypoints(self, frame) -> Keypoints:
        time.sleep(0.02 * (round(float(frame.mean()) * 255) % 2))
        return Keypoints(frame[:, :1, :2, 0])

    def layers(self, driving) -> Layers:
        still = coordinate_grid(SIDE, SIDE, driving.position)[None]
        return Layers(driving.position.mean().expand(1, 3, SIDE, SIDE), torch.zeros(1, 1, SIDE, SIDE), still, still)


def test_pictures_come_in_the_order_of_their_frames_with_few_in_flight(tiny_model, monkeypatch):
    monkeypatch.setattr(animator_module, "build_engine", lambda *_: Slow())
    taken = []
    frames = (taken.append(level) or np.full((SIDE, SIDE, 3), level, np.uint8) for level in range(20))
    seen, leads = [], []
    for made in animator_of(tiny_model, motion="absolute").stream(frames):
        seen.append(int(made[SIDE // 2, SIDE // 2, 0]))
        leads.append(len(taken) - len(seen))
    assert seen == list(range(20))
    assert max(leads) <= Slow.num_workers


@pytest.mark.parametrize("rest", ["last", -1, 1.5])
def test_an_unknown_rest_frame_names_the_known_ones(tiny_model, rest):
    with pytest.raises((ValueError, TypeError), match="best"):  # TypeError: the tests' check of annotations
        Animator(tiny_model, rest=rest)


def test_an_unknown_motion_names_the_known_ones(tiny_model):
    with pytest.raises((ValueError, TypeError), match="relative"):
        Animator(tiny_model, motion="sideways")


def test_a_motion_of_another_model_is_refused_before_the_first_picture(tiny_model, tiny_config):
    foreign = record_motion(tiny_config.build().eval(), [image(1)], RATE)
    with pytest.raises(UserError, match=r"recorded with model .* but this is model"):
        animator_of(tiny_model).from_motion(foreign)


def test_a_motion_with_other_keypoints_names_both_counts(tiny_model):
    motion = record_motion(tiny_model, [image(1)], RATE)
    motion = replace(motion, keypoints=motion.keypoints._replace(position=torch.zeros(1, 3, 2)))
    with pytest.raises(UserError, match=r"has 3 keypoints .* finds 5 keypoints"):
        animator_of(tiny_model).from_motion(motion)


def test_a_portrait_that_is_no_square_of_a_multiple_of_32_is_refused(tiny_model):
    for shape in ((64, 96, 3), (60, 60, 3)):
        with pytest.raises(UserError, match=f"is {shape[1]}x{shape[0]}; crop it to a square of a multiple of 32"):
            Animator(tiny_model).set_source(np.zeros(shape, np.uint8))


def test_a_frame_of_another_size_than_the_portrait_is_refused(tiny_model):
    small = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(UserError, match="a driving frame is 32x32, but the portrait is 64x64"):
        list(animator_of(tiny_model).stream([small]))
    with pytest.raises(UserError, match="a driving frame is 32x32"):
        animator_of(tiny_model).render(small)


def test_damaged_weights_are_not_drawn(tiny_model):
    next(tiny_model.generator.decoder.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="not finite; its weights are damaged"):
        list(animator_of(tiny_model).stream([picture(1)]))


def test_animating_leaves_the_weights_and_running_statistics_as_they_were(tiny_model):
    before = {name: value.clone() for name, value in tiny_model.state_dict().items()}
    animator = animator_of(tiny_model.train())
    animator.render(picture(1))
    list(animator.stream([picture(1)]))
    assert all(torch.equal(value, before[name]) for name, value in tiny_model.state_dict().items())


def test_animating_without_a_portrait_says_so(tiny_model):
    animator = Animator(tiny_model, "torch", "fp32")
    for use in (animator.render, animator.stream):
        with pytest.raises(RuntimeError, match="call set_source first"):
            use([picture(0)] if use == animator.stream else picture(0))

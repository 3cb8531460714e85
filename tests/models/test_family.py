"""What every family answers alike: views, relative motion, animation, model files, runtimes, recorded motions."""

from fractions import Fraction

import numpy as np
import pytest
import torch

import dagan
from dagan.config import one_of, to_plain
from dagan.errors import UserError
from dagan.inference.animator import Animator
from dagan.inference.recorded_motion import check_motion, load_motion, record_motion, save_motion
from dagan.models.families import CODES, CONFIGS, FAMILIES, ModelConfig
from dagan.models.family import HeadTurn
from dagan.models.weights import save_model
from dagan.runtime.graphs import FrameGraph, KeypointGraph, LayersGraph, SourceGraph, flat_appearance, signature_of
from dagan.types import Backdrop
from families import TINY

SIDE = 64


@pytest.fixture(params=TINY)
def model(request):
    return TINY[request.param].build().eval()


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, SIDE, SIDE)


def test_the_tests_know_every_family():
    assert {type(config) for config in TINY.values()} | {type(dagan.presets.BASELINE)} == set(CONFIGS)
    assert len(FAMILIES) == len(CODES) == len(TINY)


@pytest.mark.parametrize("name", TINY)
def test_a_config_survives_its_plain_form(name):
    assert one_of(ModelConfig, to_plain(TINY[name])) == TINY[name]


@torch.inference_mode()
def test_a_picture_is_the_same_from_a_view_and_from_an_encoded_view(model, images):
    source, code = model.view(images[:1]), model.view(images[1:2]).code
    drawn = model.render(source, code).generated
    assert drawn.shape == (1, 3, SIDE, SIDE)
    assert torch.equal(drawn, model.render(model.encode(source), code).generated)
    assert torch.equal(drawn, model(images[:1], images[1:2]).generated)


@torch.inference_mode()
def test_images_of_a_batch_do_not_see_each_other(model, images):
    together = model(images[:2], images[1:]).generated
    alone = model(images[1:2], images[2:]).generated
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-5)


@torch.inference_mode()
def test_keypoints_are_the_code_where_there_are_some(model, images):
    view = model.view(images[:1])
    if hasattr(view, "keypoints"):
        assert view.keypoints is view.code


@torch.inference_mode()
def test_a_driver_at_rest_leaves_the_source_as_it_is(model, images):
    source, initial = (model.view(image[None]).code for image in images[:2])
    still = model.mover(source, initial)(initial)
    expected = model.render(model.view(images[:1]), source).generated
    if "covariance" not in source.named():  # Monkey-Net's covariances stay the driver's
        torch.testing.assert_close(model.render(model.view(images[:1]), still).generated, expected, rtol=0, atol=1e-4)
    else:
        torch.testing.assert_close(still.position, source.position)


@torch.inference_mode()
def test_absolute_motion_takes_the_drivers_code(model, images):
    source, initial, driving = (model.view(image[None]).code for image in images)
    moved = model.mover(source, initial, relative=False)(driving)
    assert all(torch.equal(a, b) for a, b in zip(moved, driving, strict=True))


@torch.inference_mode()
def test_the_best_rest_frame_is_the_one_like_the_source(model, images):
    assert model.rest_frame(model.view(images[1:2]).code, model.view(images).code) == 1


def test_a_model_file_gives_the_model_back(model, images, tmp_path, request):
    config = TINY[request.node.callspec.params["model"]]
    save_model(tmp_path / "m.safetensors", model, config)
    loaded = dagan.load(tmp_path / "m.safetensors")
    assert type(loaded) is type(model)
    with torch.inference_mode():
        assert torch.equal(loaded(images[:1], images[1:2]).generated, model(images[:1], images[1:2]).generated)


@pytest.mark.parametrize("motion", ["relative", "absolute"])
def test_an_animator_draws_what_the_models_layers_compose(model, motion):
    frames = [np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8) for seed in range(3)]
    animator = Animator(model, "torch", "fp32", motion=motion)
    source = animator.set_source(frames[0])
    pictures = list(animator.stream(frames[1:]))
    assert [picture.shape for picture in pictures] == [(SIDE, SIDE, 3)] * 2
    codes = [model.view(torch.from_numpy(f).permute(2, 0, 1)[None].float() / 255).code for f in frames[1:]]
    with torch.inference_mode():
        moved = model.mover(source.code, codes[0], relative=motion == "relative")(codes[1])
        rendering = animator.render(frames[1]), animator.render(frames[2])
        expected = model.render(source, moved).generated
    torch.testing.assert_close(rendering[1].generated, expected, rtol=0, atol=1e-4)


def test_a_recorded_motion_is_read_back_and_refused_by_another_model(model, images, tmp_path):
    motion = record_motion(model, [image[None] for image in images], Fraction(25))
    save_motion(motion, tmp_path / "m.safetensors")
    read = load_motion(tmp_path / "m.safetensors")
    assert len(read) == 3
    assert type(read.keypoints) is type(motion.keypoints)
    assert all(torch.equal(a, b) for a, b in zip(read.keypoints, motion.keypoints, strict=True))
    check_motion(read, model.view(images[:1]).code, motion.fingerprint)
    with pytest.raises(UserError, match="but the model finds"):
        check_motion(read, dagan.Keypoints(torch.zeros(1, 3, 2)), motion.fingerprint)


class HalfMatte(torch.nn.Module):
    """The person is on the left."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        side = image.shape[-1]
        return (torch.arange(side) < side // 2).float().expand(len(image), 1, side, -1)


@torch.inference_mode()
def test_graphs_of_tensors_draw_what_the_model_draws(model, images):
    source = model.encode(model.view(images[:1]))
    signature = signature_of(source)
    *seen, person, plate, rest, matte = SourceGraph(model, signature, HalfMatte())(images[:1])
    assert len(seen) == len(signature.code) + len(signature.appearance)
    kept = (source.image, *source.code.named().values(), *flat_appearance(source))
    code = KeypointGraph(model, signature)(images[1:])
    layers = LayersGraph(model, signature)(*code, *kept)
    alone = model.layers(source, model.view(images[2:]).code)
    for ours, theirs in zip(layers, alone, strict=True):
        torch.testing.assert_close(ours[1:], theirs, rtol=0, atol=1e-4)
    first = model.view(images[1:2]).code
    backdrop = Backdrop(person, plate, rest, matte)
    moved = model.mover(source.code, first)(model.view(images[2:]).code)
    relative = FrameGraph(model, signature)(images[1:], *kept, *backdrop, *first.named().values())
    expected = model.composition(model.layers(source, moved), backdrop)
    torch.testing.assert_close(relative[1:], expected, rtol=0, atol=1e-3)


def test_only_a_code_with_angles_can_be_turned(model, images):
    code = model.view(images[:1]).code
    if "rotation" in code.named():
        assert not torch.equal(model.turned(code, HeadTurn(added={"yaw": 5.0})).rotation, code.rotation)
    else:
        with pytest.raises(UserError, match="no head angles"):
            model.turned(code, HeadTurn())

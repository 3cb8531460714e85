from dataclasses import replace

import pytest
import torch

from dagan.models.composition import flat_image
from dagan.models.talking_head import FaceConfig
from dagan.runtime.graphs import (
    FrameGraph,
    LayersGraph,
    SourceGraph,
    flat_appearance,
    flat_code,
    flat_points,
    signature_of,
)
from dagan.transfer.face_reader import FaceReaderConfig
from dagan.transfer.relative import transfer
from dagan.types import Layers

SIDE = 64


@pytest.fixture
def scene(tiny_model):
    with torch.no_grad():
        images = torch.rand(3, 3, SIDE, SIDE)
        source = tiny_model.encode(tiny_model.view(images[:1]))
        yield tiny_model, source, images[1:]


def kept(source) -> tuple[torch.Tensor, ...]:
    return (source.image, *flat_code(source.keypoints), *flat_appearance(source))


def drawn_by_graph(model, source, *tensors) -> torch.Tensor:
    return flat_image(Layers(*LayersGraph(model, signature_of(source))(*tensors)), source.image)


class HalfMatte(torch.nn.Module):
    """The person is on the left."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        side = image.shape[-1]
        return (torch.arange(side) < side // 2).float().expand(len(image), 1, side, -1)


def backdrop(model, source):
    return model.composition.backdrop(source.image, HalfMatte()(source.image))


def composed(model, source, driving) -> torch.Tensor:
    return model.composition(model.layers(source, driving), backdrop(model, source))


def test_the_source_graph_gives_keypoints_then_appearance_under_their_names(scene):
    model, source, _ = scene
    signature = signature_of(source)
    assert signature.code == ("position", "jacobian")
    assert signature.appearance[-1] == "depth_features"
    found = SourceGraph(model, signature, HalfMatte())(source.image)
    *seen, person, plate, rest, matte = found
    assert all(torch.equal(a, b) for a, b in zip(seen, kept(source)[1:], strict=True))
    assert all(torch.equal(a, b) for a, b in zip((person, plate, rest, matte), backdrop(model, source), strict=True))


def test_one_source_serves_a_batch_of_driving_frames(scene):
    model, source, frames = scene
    driving = model.view(frames).keypoints
    pictures = flat_image(
        Layers(*LayersGraph(model, signature_of(source))(*flat_code(driving), *kept(source))), source.image
    )
    alone = model.render(source, model.view(frames[1:]).keypoints).generated
    torch.testing.assert_close(pictures[1:], alone, rtol=0, atol=1e-5)


def test_one_source_serves_a_batch_with_the_whole_faces_motion_too(tiny_config):
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    model = replace(tiny_config, keypoints=keypoints, face=FaceConfig(retargeting=None, reader=None)).build().eval()
    with torch.no_grad():
        frames = torch.rand(2, 3, SIDE, SIDE)
        source = model.encode(model.view(torch.rand(1, 3, SIDE, SIDE)))
        driving = model.view(frames).keypoints
        pictures = flat_image(
            Layers(*LayersGraph(model, signature_of(source))(*flat_code(driving), *kept(source))), source.image
        )
        alone = model.render(source, model.view(frames[1:]).keypoints).generated
    torch.testing.assert_close(pictures[1:], alone, rtol=0, atol=1e-5)


def test_initial_keypoints_of_the_driver_make_motion_relative(scene):
    model, source, frames = scene
    first, second = (model.view(frame[None]).keypoints for frame in frames)
    expected = composed(model, source, transfer(source.keypoints, second, first))
    known = (*kept(source), *backdrop(model, source))
    found = FrameGraph(model, signature_of(source))(frames[1:], *known, *flat_code(first))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("face_reader", [None, FaceReaderConfig()])
def test_motion_is_relative_by_retargeting_too(tiny_config, face_reader):
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    config = replace(tiny_config, keypoints=keypoints, face=FaceConfig(reader=face_reader))
    model = config.build().eval()
    torch.nn.init.normal_(model.retargeting.placer[-1].weight, std=0.02)
    with torch.no_grad():
        frames = torch.rand(3, 3, SIDE, SIDE)
        source = model.encode(model.view(torch.rand(1, 3, SIDE, SIDE)))
        first, second = (model.view(frame[None]).keypoints for frame in frames[:2])
        expected = model.render(source, model.mover(source.keypoints, first)(second)).generated
        known = (*kept(source), *backdrop(model, source))
        found = FrameGraph(model, signature_of(source))(frames[1:], *known, *flat_code(first))
        points = model.mover(source.keypoints, first)(second)
        drawn = (source.image, *flat_points(source.keypoints), *flat_appearance(source))
        pictures = flat_image(
            Layers(*LayersGraph(model, signature_of(source))(*flat_points(points), *drawn)), source.image
        )
    torch.testing.assert_close(found[:1], composed(model, source, points), rtol=0, atol=1e-4)
    torch.testing.assert_close(pictures, expected, rtol=0, atol=1e-4)


def test_initial_keypoints_of_the_source_make_motion_absolute(scene):
    model, source, frames = scene
    known = (*kept(source), *backdrop(model, source))
    found = FrameGraph(model, signature_of(source))(frames, *known, *flat_code(source.keypoints))
    alone = [composed(model, source, model.view(frame[None]).keypoints) for frame in frames]
    expected = torch.cat(alone)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)

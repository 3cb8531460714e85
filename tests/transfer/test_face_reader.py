"""What a face does, seen in its image: beside MediaPipe's own answer, and on faces that are made."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import dagan
from dagan.face import EXPRESSIONS, IRISES, MEAN_FACE, MESH_INDICES, NUM_LANDMARKS, NUM_MESH_POINTS
from dagan.inference.recorded_motion import fingerprint
from dagan.models.talking_head import FaceConfig, TalkingHeadConfig
from dagan.observers import BLENDSHAPE_NAMES, MediaPipeFace
from dagan.transfer.face_reader import (
    NUM_COEFFICIENTS,
    SEEN,
    SIDE,
    BlendshapeNet,
    FaceMeshNet,
    FaceReader,
    upright_square,
)

PHOTO = Path(dagan.__file__).parent / "assets" / "astronaut.png"
FACE = 0.5 * torch.tensor(MEAN_FACE)[None, :, :2]


@pytest.fixture(scope="module")
def reader() -> FaceReader:
    found = dagan.load().face_reader
    assert found is not None
    return found


def portrait(angle: float = 0.0) -> np.ndarray:
    """The face of the package's photo, 256 x 256."""
    with Image.open(PHOTO) as photo:
        turned = photo.convert("RGB").rotate(angle, Image.Resampling.BICUBIC, center=(224, 120))
        return np.asarray(turned.crop((124, 20, 324, 220)).resize((256, 256), Image.Resampling.BICUBIC))


def to_image(pixels: np.ndarray) -> Tensor:
    return torch.tensor(pixels).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("angle", [0.0, 25.0])
def test_landmarks_and_expression_are_mediapipes(reader: FaceReader, angle: float) -> None:
    with MediaPipeFace() as observer:
        seen = observer.observe(portrait(angle))
    assert seen is not None
    truth = torch.tensor(seen.landmarks[list(MESH_INDICES), :2], dtype=torch.float32) / 128 - 1
    nearly = truth + 0.02 * torch.randn(truth.shape, generator=torch.Generator().manual_seed(0))
    landmarks, expression = reader(to_image(portrait(angle)), nearly[None])
    assert 128 * (landmarks[0] - truth).norm(dim=1).mean() < 2.0  # pixels
    coefficients = torch.tensor([seen.blendshape(name) for name in EXPRESSIONS])
    assert (expression[0] - coefficients).abs().max() < 0.15
    assert (expression[0] - coefficients).abs().mean() < 0.05


def test_coefficients_of_known_landmarks_are_mediapipes_exactly(reader: FaceReader) -> None:
    with MediaPipeFace() as observer:
        seen = observer.observe(portrait())
    assert seen is not None
    landmarks = torch.tensor(seen.landmarks[None, :, :2], dtype=torch.float32)
    found = reader.blendshapes(landmarks)[0].numpy()
    assert np.abs(found - seen.blendshapes).max() < 1e-3
    assert found[25] == pytest.approx(seen.blendshape("jawOpen"), abs=1e-3)
    assert len(found) == NUM_COEFFICIENTS == len(BLENDSHAPE_NAMES)


def test_size_and_place_of_a_face_are_no_expression() -> None:
    network, landmarks = BlendshapeNet(), torch.rand(2, NUM_MESH_POINTS, 2)
    assert torch.allclose(network(landmarks), network(3 * landmarks - 0.7), atol=1e-5)


def test_the_mesh_is_of_the_images_edges() -> None:
    network = FaceMeshNet()
    torch.nn.init.zeros_(network.head.weight)
    bias = network.head.bias
    assert bias is not None
    with torch.no_grad():
        bias.view(-1, 3)[:, :2] = torch.tensor([0.0, SIDE])  # pixels
    found = network(torch.rand(2, 3, SIDE, SIDE))
    assert found.shape == (2, NUM_MESH_POINTS, 2)
    assert torch.equal(found[1, 7], torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize("turn", [0.0, 0.6, -2.0])
def test_in_its_square_a_face_is_upright_in_the_middle_and_has_a_margin(turn: float) -> None:
    cos, sin = torch.tensor(turn).cos(), torch.tensor(turn).sin()
    turned = FACE @ torch.stack([torch.stack([cos, sin]), torch.stack([-sin, cos])]) + torch.tensor([0.2, -0.1])
    square = upright_square(turned, margin=1.4)
    inside = torch.linalg.solve(square[:, :, :2], (turned - square[:, None, :, 2]).mT).mT
    left, right = IRISES
    assert inside[0, left, 1] == pytest.approx(float(inside[0, right, 1]), abs=1e-5)
    assert inside[0, left, 0] < inside[0, right, 0]
    low, high = inside.amin(1), inside.amax(1)
    assert torch.allclose(low, -high, atol=1e-5)
    assert float(high.max()) == pytest.approx(1 / 1.4, abs=1e-5)


def test_points_that_coincide_give_numbers(reader: FaceReader) -> None:
    landmarks, expression = reader(torch.rand(2, 3, 64, 64), torch.zeros(2, NUM_LANDMARKS, 2))
    assert landmarks.isfinite().all()
    assert expression.isfinite().all()


def test_under_autocast_places_stay_float32(reader: FaceReader) -> None:
    image = to_image(portrait())
    expected = reader(image, FACE)
    with torch.autocast("cpu", torch.bfloat16):
        found = reader(image.bfloat16().float(), FACE.bfloat16())
    assert [part.dtype for part in found] == [torch.float32] * 2
    assert torch.allclose(found[0], expected[0], atol=0.01)  # the square is another one


def test_only_a_view_is_read_which_transfers_need(tiny_config: TalkingHeadConfig) -> None:
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    model = replace(tiny_config, keypoints=keypoints, face=FaceConfig(retargeting=None)).build().eval()
    image = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        detected, seen = model.detect(image), model.view(image)
        landmarks, expression = model.face_reader(image, detected.keypoints.position)  # type: ignore[misc]
    assert detected.keypoints.landmarks is None
    assert torch.equal(seen.keypoints.position, detected.keypoints.position)
    assert torch.equal(seen.keypoints.landmarks, landmarks)
    assert torch.equal(seen.keypoints.expression, expression)


def test_a_motion_goes_with_the_reader_that_saw_it(tiny_config: TalkingHeadConfig) -> None:
    keypoints = replace(tiny_config.keypoints, num_keypoints=19)
    model = replace(tiny_config, keypoints=keypoints, face=FaceConfig(retargeting=None)).build().eval()
    before = fingerprint(model)
    model.face_reader.margin = 1.5  # type: ignore[union-attr]
    wider = fingerprint(model)
    model.face_reader = None
    assert len({before, wider, fingerprint(model)}) == 3


def test_it_looks_at_landmarks_that_there_are() -> None:
    assert len(set(SEEN)) == len(SEEN) == 146
    assert max(SEEN) < NUM_MESH_POINTS

"""Expressions carried over by what is read of them."""

import pytest
import torch
from torch import Tensor, nn

from dagan.face import JAW, LIDS, MEAN_FACE, NUM_EXPRESSIONS, NUM_LANDMARKS
from dagan.transfer.face_transfer import face_transfer
from dagan.transfer.head_pose import FaceShape
from dagan.transfer.retargeting import OFFSET_SCALE, FaceRetargeting, FaceRetargetingConfig
from dagan.types import Keypoints

FACE = torch.tensor(MEAN_FACE)[None, :, :2] * 0.4
CHIN, UPPER_LIP, LOWER_LIP, BROW = 1, 7, 8, 13
CORNERS = [5, 6]  # of the mouth


@pytest.fixture
def untrained() -> FaceRetargeting:
    return FaceRetargetingConfig(reader_width=8, placer_width=8).build()


class ReadsTheJaw(nn.Module):
    """How open the jaw is: how far apart the lips are, in faces."""

    def forward(self, features: Tensor) -> Tensor:
        height = features[:, 1 : 2 * NUM_LANDMARKS : 2] / OFFSET_SCALE
        jaw = height[:, LOWER_LIP] - height[:, UPPER_LIP]
        return torch.cat([jaw[:, None], torch.zeros(len(jaw), NUM_EXPRESSIONS - 1)], 1)


class DropsTheJaw(nn.Module):
    """Chin and lower lip are as far down as the jaw is open."""

    def forward(self, features: Tensor) -> Tensor:
        placed = torch.zeros(len(features), NUM_LANDMARKS, 2)
        placed[:, [CHIN, LOWER_LIP], 1] = features[:, -NUM_EXPRESSIONS, None]
        return placed.flatten(1)


@pytest.fixture
def exact() -> FaceRetargeting:
    return exactly(FaceRetargetingConfig(gain=1.0))


def exactly(config: FaceRetargetingConfig) -> FaceRetargeting:
    """With networks that know all there is to know."""
    model = config.build()
    model.reader, model.placer = ReadsTheJaw(), DropsTheJaw()  # type: ignore[assignment]
    nn.init.zeros_(model.kept)
    return model.requires_grad_(False)


def opened(by: float) -> Tensor:
    points = FACE.clone()
    points[:, [CHIN, LOWER_LIP], 1] += 0.4 * by
    return points


def faces(count: int) -> Tensor:
    return FACE + 0.05 * torch.randn(count, NUM_LANDMARKS, 2)


def moved(model: FaceRetargeting, source: Tensor, rest: Tensor, driving: Tensor) -> Tensor:
    return model.of_landmarks(source, rest)(driving).position


def test_untrained_it_is_the_transfer_of_displacements(untrained: FaceRetargeting) -> None:
    source, rest, driving = (
        Keypoints(
            torch.cat([faces(count), torch.rand(count, 3, 2)], 1), torch.eye(2) + 0.1 * torch.randn(count, 20, 2, 2)
        )
        for count in (2, 1, 2)
    )
    scale = torch.tensor([1.2, 0.9]).view(2, 1, 1)
    ours, plain = (way(source, rest, scale)(driving) for way in (untrained, face_transfer))
    assert torch.equal(ours.position, plain.position)
    assert torch.equal(ours.jacobian, plain.jacobian)


def test_one_source_and_rest_serve_a_batch_of_driving_frames() -> None:
    model = FaceRetargetingConfig().build()
    nn.init.normal_(model.placer[-1].weight, std=0.02)  # type: ignore[arg-type]
    source, rest, driving = faces(1), faces(1), faces(3)
    alone = torch.cat([moved(model, source, rest, frame[None]) for frame in driving])
    assert torch.allclose(moved(model, source, rest, driving), alone, atol=1e-6)
    assert torch.allclose(moved(model, source.expand(3, -1, -1), rest, driving), alone, atol=1e-6)


def test_who_does_nothing_moves_nothing_whatever_the_weights() -> None:
    model = FaceRetargetingConfig().build()
    nn.init.normal_(model.placer[-1].weight)  # type: ignore[arg-type]
    source, driver = faces(2), faces(2)
    assert torch.allclose(moved(model, source, driver, driver), source, atol=1e-5)


def test_a_jaw_opens_by_what_is_read_of_the_drivers(exact: FaceRetargeting) -> None:
    assert torch.allclose(moved(exact, opened(0.1), opened(0.0), opened(0.3)), opened(0.4), atol=0.01)


def test_a_jaw_and_lips_that_are_shut_close_no_further(exact: FaceRetargeting) -> None:
    closed = moved(exact, opened(0.05), opened(0.3), opened(0.0))
    assert float(closed[0, CHIN, 1]) == pytest.approx(float(FACE[0, CHIN, 1]), abs=0.01)
    assert float(closed[0, LOWER_LIP, 1] - closed[0, UPPER_LIP, 1]) == pytest.approx(0, abs=0.005)


def test_expressions_but_the_lids_are_asked_for_larger_by_the_gain_and_no_further_than_possible() -> None:
    model = FaceRetargetingConfig(gain=2.0).build()
    source, rest, driving = (torch.zeros(1, NUM_EXPRESSIONS) for _ in range(3))
    source[0, :4] = torch.tensor([0.1, 0.2, 0.7, 0.0])
    driving[0, :4] = torch.tensor([0.3, 0.2, 0.5, 0.25])  # jaw, left and right lid, smile
    assert torch.allclose(model.asked(source, rest, driving)[0, :4], torch.tensor([0.7, 0.4, 1.0, 0.5]))


def test_lips_part_as_the_drivers_whatever_the_jaw_does(exact: FaceRetargeting) -> None:
    exact.gain[0] = 2.0
    wide = moved(exact, opened(0.1), opened(0.0), opened(0.2))
    gaps = [points[0, LOWER_LIP, 1] - points[0, UPPER_LIP, 1] for points in (opened(0.1), wide)]
    assert float(gaps[1] - gaps[0]) == pytest.approx(0.4 * 0.2, abs=0.005)
    assert float(wide[0, CHIN, 1] - opened(0.1)[0, CHIN, 1]) == pytest.approx(0.4 * 0.4, abs=0.01)


def test_a_share_of_the_lips_goes_by_the_expression() -> None:
    model = exactly(FaceRetargetingConfig(gain=1.0, lips=0.25))
    model.gain[0] = 2.0
    wide = moved(model, opened(0.1), opened(0.0), opened(0.2))
    gaps = [points[0, LOWER_LIP, 1] - points[0, UPPER_LIP, 1] for points in (opened(0.1), wide)]
    assert float(gaps[1] - gaps[0]) == pytest.approx(0.4 * (0.25 * 0.2 + 0.75 * 0.4), abs=0.005)


def test_what_a_face_reader_saw_goes_before_what_landmarks_tell(exact: FaceRetargeting) -> None:
    """Of the driver the reader sees a jaw that opens by 0.3, and the detector nothing."""
    jaw = [torch.zeros(1, NUM_EXPRESSIONS) for _ in range(3)]
    for expression, value in zip(jaw, (0.1, 0.2, 0.5), strict=True):
        expression[0, 0] = value
    elsewhere = FACE + torch.tensor([0.05, 0.1])
    source = Keypoints(opened(0.1), None, elsewhere, jaw[0])
    rest, driving = Keypoints(FACE, None, opened(0.0), jaw[1]), Keypoints(FACE, None, opened(0.3), jaw[2])
    found = exact(source, rest)(driving)
    assert torch.allclose(found.position, opened(0.4), atol=0.01)
    assert found.landmarks is None
    assert found.expression is None


def test_the_frame_nearest_to_the_source_is_so_by_what_a_reader_saw(exact: FaceRetargeting) -> None:
    jaw = torch.zeros(3, NUM_EXPRESSIONS)
    jaw[:, 0] = torch.tensor([0.9, 0.5, 0.1])
    alike = [FACE.expand(3, -1, -1), None, FACE.expand(3, -1, -1)]
    source = Keypoints(FACE, None, FACE, jaw[1:2] + 0.05)
    assert exact.difference(source, Keypoints(*alike, jaw)).argmin() == 1


def test_what_is_not_read_is_displaced_as_the_drivers(exact: FaceRetargeting) -> None:
    raised, lowered = FACE.clone(), FACE.clone()
    raised[:, BROW, 1] -= 0.05
    lowered[:, CORNERS, 1] += 0.05  # of which this reader knows nothing
    assert torch.allclose(moved(exact, FACE, FACE, raised), raised, atol=0.01)
    assert ((moved(exact, FACE, FACE, lowered) - FACE)[:, CORNERS, 1] < 0.01).all()
    nn.init.ones_(exact.kept)
    assert ((moved(exact, FACE, FACE, lowered) - FACE)[:, CORNERS, 1] > 0.04).all()


def test_what_is_read_is_the_height_of_jaw_and_lids() -> None:
    heights = {int(point) for point, x_or_y in (FaceRetargetingConfig().build().is_read > 0).nonzero() if x_or_y == 1}
    assert heights == {*JAW, *(lid for lids in LIDS for lid in lids)}
    assert NUM_LANDMARKS == NUM_LANDMARKS


def test_readings_are_between_0_and_1() -> None:
    model = FaceRetargetingConfig(reader_width=8, placer_width=8).build()
    nn.init.constant_(model.reader[-1].bias, -3.0)  # type: ignore[arg-type]
    face = FaceShape(torch.eye(3)[None], torch.zeros(1, NUM_LANDMARKS, 2))
    assert torch.equal(model.read(face), torch.zeros(1, NUM_EXPRESSIONS))
    assert (model.score(face) < 0).all()


def test_of_a_drivers_frames_the_one_is_nearest_whose_jaw_is_read_to_be_as_open(exact: FaceRetargeting) -> None:
    driving = torch.cat([opened(0.5), opened(0.2), opened(0.0)])

    difference = exact.difference(Keypoints(opened(0.25)), Keypoints(driving))

    assert difference.argmin() == 1
    assert exact.difference(Keypoints(driving[:1]), Keypoints(driving[:1])).item() == pytest.approx(0, abs=1e-6)

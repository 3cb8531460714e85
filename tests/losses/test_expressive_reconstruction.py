import pytest
import torch

from dagan.face import EXPRESSIVE
from dagan.losses.expression import expressive_reconstruction

FIRST = EXPRESSIVE.start
EYE = torch.tensor([0.5, -0.5])


def landmarks_at(place: torch.Tensor, batch: int = 1) -> torch.Tensor:
    return place.expand(batch, FIRST + 3, 2)


def test_an_even_error_counts_as_itself() -> None:
    driving = torch.full((1, 3, 32, 32), 0.5)
    loss = expressive_reconstruction(driving + 0.2, driving, landmarks_at(EYE), torch.tensor([True]))
    assert loss.item() == pytest.approx(0.2, abs=1e-6)


def test_an_error_at_the_eye_counts_more_than_the_same_error_elsewhere() -> None:
    driving = torch.zeros(1, 3, 32, 32)
    at_eye, elsewhere = driving.clone(), driving.clone()
    at_eye[:, :, 6:10, 22:26] = 1.0
    elsewhere[:, :, 22:26, 6:10] = 1.0
    near, far = (
        expressive_reconstruction(image, driving, landmarks_at(EYE), torch.tensor([True])).item()
        for image in (at_eye, elsewhere)
    )
    assert near > 0.3
    assert far < 1e-6


def test_the_outline_of_the_face_draws_no_attention() -> None:
    landmarks = landmarks_at(EYE).clone()
    landmarks[:, :FIRST] = -0.5
    generated = torch.zeros(1, 3, 32, 32)
    generated[:, :, 6:10, 6:10] = 1.0
    loss = expressive_reconstruction(generated, torch.zeros_like(generated), landmarks, torch.tensor([True]))
    assert loss.item() < 1e-6


def test_images_without_a_face_count_nothing_and_have_no_gradient() -> None:
    generated = torch.rand(2, 3, 16, 16, requires_grad=True)
    driving, landmarks = torch.zeros(2, 3, 16, 16), landmarks_at(EYE, 2)
    expressive_reconstruction(generated, driving, landmarks, torch.tensor([True, False])).backward()
    assert generated.grad is not None
    assert generated.grad[0].abs().max() > 0
    assert generated.grad[1].abs().max() == 0
    assert expressive_reconstruction(generated, driving, landmarks, torch.tensor([False, False])) == 0

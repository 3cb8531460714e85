"""What FaceRetargeting learns from (not in the paper; docs/decisions.md): how faces look in one expression or another,
and that a face asked for an expression is read to have it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from dagan.geometry.face_motion import FaceTransfer, face_shape
from dagan.models.retargeting import FaceRetargeting

NOISE = (
    0.008  # standard deviation of landmarks' displacements at most: a pixel of 256, a detector's error at strangers'
)
SHARES = (1.0, 0.5, 0.5)  # of jaw and either eye in the error
LARGEST = 0.6  # displacement in units of the face that is believed


def expression_reading(
    retargeting: FaceRetargeting,
    points: Float[Tensor, "b n 2"],
    expression: Float[Tensor, "b e"],
    found: Bool[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Mean squared error of what is read from landmarks, over the faces found."""
    error = (retargeting.score(face_shape(points)) - expression).square() @ points.new_tensor(SHARES)
    return mean_of(error, found)


def expression_placing(
    retargeting: FaceRetargeting,
    source: Float[Tensor, "b n 2"],
    driving: Float[Tensor, "b n 2"],
    found: Bool[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Mean L1 between how the landmarks of a face are said to move and how they did, between two frames of a clip."""
    with torch.no_grad():
        own, now = face_shape(source), face_shape(driving)
        _, turned = FaceTransfer(source, source).turned(driving)
        before, after = retargeting.read(own), retargeting.read(now)
    placed = retargeting.place(own, turned.source, before, after)
    error = (placed - turned.left.clamp(-LARGEST, LARGEST)).abs().mean((1, 2))
    return mean_of(error, found)


def expression_transfer(
    retargeting: FaceRetargeting,
    source: Float[Tensor, "b n 2"],
    rest: Float[Tensor, "b n 2"],
    driving: Float[Tensor, "b n 2"],
    found: Bool[Tensor, " b"],
) -> Float[Tensor, ""]:
    """Mean squared error of the expression that is read from a face moved by another's, beside what was asked for.

    The reader learns nothing from it.
    """
    with _fixed(retargeting.reader):
        ours, theirs, now = (retargeting.read(face_shape(points)) for points in (source, rest, driving))
        moved = face_shape(retargeting.of_landmarks(source, rest)(driving).position)
        error = (retargeting.score(moved) - retargeting.asked(ours, theirs, now)).square().mean(1)
    return mean_of(error, found)


def mean_of(error: Float[Tensor, " b"], found: Bool[Tensor, " b"]) -> Float[Tensor, ""]:
    """Over the samples in which there is a face; 0 without any."""
    return torch.where(found, error, 0).sum() / found.sum().clamp_min(1)


@contextmanager
def _fixed(module: torch.nn.Module) -> Iterator[None]:
    """Gradients go through the module, and none to its weights."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)

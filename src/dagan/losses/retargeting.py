"""What FaceRetargeting learns from (not in the paper; docs/decisions.md): how faces look in one expression or another,
and that a face asked for an expression is read to have it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.face import NUM_EXPRESSIONS
from dagan.transfer.face_transfer import FaceMover
from dagan.transfer.head_pose import face_shape
from dagan.transfer.retargeting import FaceRetargeting

SHARES = (1.0, *[0.5] * (NUM_EXPRESSIONS - 1))  # in the error: the jaw counts twice
LARGEST = 0.6  # displacement in units of the face that is believed


def expression_reading(
    retargeting: FaceRetargeting, points: Float[Tensor, "b n 2"], expression: Float[Tensor, "b e"]
) -> Float[Tensor, ""]:
    """Mean squared error of what is read from a face's landmarks."""
    error = (retargeting.score(face_shape(points)) - expression).square() @ points.new_tensor(SHARES)
    return error.mean()


def expression_placing(
    retargeting: FaceRetargeting, source: Float[Tensor, "b n 2"], driving: Float[Tensor, "b n 2"]
) -> Float[Tensor, ""]:
    """Mean L1 between how the landmarks of a face are said to move and how they did, between two frames of a clip."""
    with torch.no_grad():
        own, now = face_shape(source), face_shape(driving)
        _, turned = FaceMover(source, source).turned(driving)
        before, after = retargeting.read(own), retargeting.read(now)
    placed = retargeting.placing(own, before)(turned.source, after)
    return (placed - turned.left.clamp(-LARGEST, LARGEST)).abs().mean()


def expression_transfer(
    retargeting: FaceRetargeting,
    source: Float[Tensor, "b n 2"],
    rest: Float[Tensor, "b n 2"],
    driving: Float[Tensor, "b n 2"],
) -> Float[Tensor, ""]:
    """Mean squared error of the expression that is read from a face moved by another's, beside what was asked for.

    The reader learns nothing from it.
    """
    with _fixed(retargeting.reader):
        ours, theirs, now = (retargeting.read(face_shape(points)) for points in (source, rest, driving))
        moved = face_shape(retargeting.of_landmarks(source, rest)(driving).position)
        return (retargeting.score(moved) - retargeting.asked(ours, theirs, now)).square().mean()


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

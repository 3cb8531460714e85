"""The relative transfer of motion between people whose first keypoints are face landmarks: the head's turn and the
expression apart, each in three dimensions.

FOMM's transfer adds the driver's displacements in the image, where a nod moves lids and lips as a blink does and a face
turned the other way moves wrongly. Here the driver's head is fitted by a scaled orthographic camera and a mean face;
its turn since the rest frame turns the source's own face, and what the turn does not explain is the expression, moved
along in the head's frame. Not in the paper (docs/decisions.md).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.errors import UserError
from dagan.face import BONE, JAW, LIDS, LIPS, MEAN_FACE, NUM_LANDMARKS
from dagan.transfer.face_edit import PLAIN, REACH, FaceEdit, Translation
from dagan.transfer.head_pose import (
    TINY,
    FacePose,
    FaceShape,
    face_shape,
    fit_pose,
    image_to_face,
    on_face,
    pose_difference,
    shape_at,
    turned_alike,
    turned_by,
)
from dagan.transfer.relative import offset_transfer
from dagan.types import Keypoints

ALIKE_OPENINGS = (0.1, 0.08, 0.08)  # so do these, of lips and lids, in units of the face


class Turned(NamedTuple):
    """A driver's frame beside its rest frame: the head's turn, and what of the landmarks it leaves."""

    driving: Float[Tensor, "b n 2"]  # the landmarks
    driver: Float[Tensor, "b 3 3"]  # how the driver's face is turned
    source: Float[Tensor, "b 3 3"]  # how that turns the source's
    left: Float[Tensor, "b n 2"]  # displacements in the plane of the driver's face, in units of the face
    opening: Float[Tensor, "#b"]  # of the source's mouth, in units of the face
    expression: Float[Tensor, "b e"] | None  # the driver's, if it was read


# What the source's face does, as displacements in its own plane; and that as made for a source and a driver at rest.
Expression = Callable[[Turned], Float[Tensor, "b n 2"]]
Expressing = Callable[[FaceShape, FaceShape], Expression]


def _displacing(source: FaceShape, rest: FaceShape) -> Expression:
    return displaced


def _displacing_parts(edit: FaceEdit, source: FaceShape, rest: FaceShape) -> Expression:
    return lambda turned: of_parts(displaced(turned), edit)


def displaced(turned: Turned) -> Float[Tensor, "b n 2"]:
    """The driver's displacements, as far as they are an expression that the source can follow."""
    return possible(turned.left, turned.opening)


class MovedFace(NamedTuple):
    """Where landmarks go. `frame` turns their local affine frames, carried over as the driver's, as this face turns."""

    position: Float[Tensor, "b n 2"]
    frame: Float[Tensor, "b 2 2"]


class FaceMover:
    """Where a source's landmarks go when its head and face do what the driver's did since `rest`.

    Yaw, pitch and roll each change by as much as the driver's: two heads that lean differently both nod. With
    `displaced`, the source itself as driver, with itself at rest, gives back the driving points, up to what `BONE` and
    lids leave out. Expressions are as much larger as the source's face is, shifts by `scale`: a face that fills the
    photo would leave it otherwise. All in closed form, as exporters want it.
    """

    def __init__(
        self,
        source: Float[Tensor, "b n 2"],
        rest: Float[Tensor, "#b n 2"],
        scale: Float[Tensor, "b 1 1"] | float = 1.0,
        expressing: Expressing = _displacing,
        edit: FaceEdit = PLAIN,
    ):
        self._scale, self._edit = scale, edit
        mean = source.new_tensor(MEAN_FACE)[None]
        self._first, self._own = fit_pose(rest, mean), fit_pose(source, mean)
        self._resting, self._face = self._first.carved(rest, mean), self._own.carved(source, mean)
        lips = source[:, LIPS[1]] - source[:, LIPS[0]]
        self._opening = (on_face(lips[:, None], self._own.rotation) / self._own.scale[:, None, None])[:, 0, 1]
        self._frame = image_to_face(self._own.rotation), self._first.rotation[:, :2, :2]
        self._expression = expressing(shape_at(self._own, source), shape_at(self._first, rest))

    def turned(
        self, driving: Float[Tensor, "b n 2"], expression: Float[Tensor, "b e"] | None = None
    ) -> tuple[FacePose, Turned]:
        """How the driver's face at rest is turned and moved to be seen as in the driving frame, and what that means."""
        now = fit_pose(driving, self._resting)
        driver = now.rotation @ self._first.rotation
        left = on_face(driving - now.seen(self._resting), driver) / now.scale[:, None, None]
        rotations = (self._own.rotation, self._first.rotation, driver)
        source = turned_by(*rotations, self._edit) if self._edit.changes_turn else turned_alike(*rotations)
        return now, Turned(driving, driver, source, left, self._opening, expression)

    def __call__(self, driving: Float[Tensor, "b n 2"], expression: Float[Tensor, "b e"] | None = None) -> MovedFace:
        first, own, (now, turned) = self._first, self._own, self.turned(driving, expression)
        shift, growth = self._scale * (now.shift - first.shift)[:, None], now.scale / first.scale
        if self._edit is not PLAIN:
            share = self._edit.share_of_head()
            shift, growth = within_reach(share * shift, self._edit.translation), growth**share
        turn = turned.source @ own.rotation.mT
        pose = FacePose(own.scale * growth, turn, own.shift + shift[:, 0])
        to_image = turned.source[:, :2, :2]
        moved = self._expression(turned) @ (pose.scale[:, None, None] * to_image).mT
        from_own, to_rest = self._frame
        return MovedFace(pose.seen(self._face) + moved, to_image @ from_own @ to_rest @ image_to_face(turned.driver))


def of_parts(moved: Float[Tensor, "b n 2"], edit: FaceEdit) -> Float[Tensor, "b n 2"]:
    return moved * moved.new_tensor(edit.shares_of_points())[:, None]


def within_reach(shift: Float[Tensor, "b 1 2"], translation: Translation) -> Float[Tensor, "b 1 2"]:
    """The head's shift, in [-1, 1] units of the picture: as it is, none, or with what lies beyond `REACH` of the side
    held back, so that it never comes to twice that."""
    if translation == "keep":
        return shift
    if translation == "none":
        return torch.zeros_like(shift)
    far = shift.square().sum(-1, keepdim=True).sqrt()
    reach = 2 * REACH
    held = torch.where(far > reach, reach + reach * torch.tanh((far - reach) / reach), far)
    return shift * (held / far.clamp_min(TINY))


def with_face(
    source: Keypoints,
    initial: Keypoints,
    scale: Float[Tensor, "b 1 1"] | float,
    expressing: Expressing = _displacing,
    edit: FaceEdit = PLAIN,
) -> Callable[[Keypoints], Keypoints]:
    """The first keypoints by `FaceMover`, those after them by `offset_transfer`."""
    count, plain = NUM_LANDMARKS, offset_transfer(source, initial, scale, edit)
    face = FaceMover(landmarks_of(source), landmarks_seen(initial), scale, expressing, edit)

    def moved(driving: Keypoints) -> Keypoints:
        (moved_face, frame), others = face(landmarks_seen(driving), driving.expression), plain(driving)
        position = torch.cat([moved_face, others.position[:, count:]], dim=1)
        if others.jacobian is None:
            return Keypoints(position)
        return Keypoints(
            position, torch.cat([frame[:, None] @ others.jacobian[:, :count], others.jacobian[:, count:]], 1)
        )

    return moved


class FaceTransfer:
    """As `OffsetTransfer`, the first keypoints by `FaceMover`."""

    def __call__(
        self,
        source: Keypoints,
        initial: Keypoints,
        scale: Float[Tensor, "b 1 1"] | float = 1.0,
        edit: FaceEdit = PLAIN,
    ) -> Callable[[Keypoints], Keypoints]:
        """A function of the driving keypoints: what is known of source and initial frame is found once.

        Raises:
            UserError: the edit adds an expression, which displacements cannot.
        """
        if edit.expression:
            raise UserError("this model places no expressions: leave --expression out, or use a model with retargeting")
        return with_face(
            source, initial, scale, _displacing if edit is PLAIN else partial(_displacing_parts, edit), edit
        )

    def difference(self, source: Keypoints, driving: Keypoints) -> Float[Tensor, " t"]:
        """`pose_difference`, and that of how far lips and lids are apart."""
        ours, theirs = (face_shape(landmarks_seen(keypoints)) for keypoints in (source, driving))
        apart = (openings(theirs) - openings(ours)) / ours.offset.new_tensor(ALIKE_OPENINGS)
        return pose_difference(ours.rotation, theirs.rotation) + apart.square().sum(1)


face_transfer = FaceTransfer()


def landmarks_of(keypoints: Keypoints) -> Float[Tensor, "b n 2"]:
    """The keypoints that are landmarks of the face: what the generator moves."""
    return keypoints.position[:, :NUM_LANDMARKS]


def landmarks_seen(keypoints: Keypoints) -> Float[Tensor, "b n 2"]:
    """The face's landmarks by its reader, who knows strangers better; by the detector, where there is none."""
    return landmarks_of(keypoints) if keypoints.landmarks is None else keypoints.landmarks


def openings(face: FaceShape) -> Float[Tensor, "b 3"]:
    """How much further apart than the mean face's lips and either eye's lids are, in units of the face."""
    pairs = torch.tensor((LIPS, *LIDS), device=face.offset.device)
    upper, lower = face.offset[:, pairs, 1].unbind(-1)
    return lower - upper


def lips_apart_as(
    moved: Float[Tensor, "b n 2"], other: Float[Tensor, "b n 2"], share: float = 1.0
) -> Float[Tensor, "b n 2"]:
    """Displacements in a face's plane, with the lips as much further apart as others move them, about their middle;
    with a `share` below 1, that far on the way to it."""
    upper, lower = LIPS
    apart, wanted = (points[:, lower, 1] - points[:, upper, 1] for points in (moved, other))
    more = torch.stack([torch.zeros_like(apart), share * (wanted - apart) / 2], -1)
    parts = list(moved.unbind(1))
    parts[upper], parts[lower] = parts[upper] - more, parts[lower] + more
    return torch.stack(parts, dim=1)


def possible(left: Float[Tensor, "b n 2"], opening: Float[Tensor, "#b"]) -> Float[Tensor, "b n 2"]:
    """What the turn leaves, as far as it can be an expression: openings of lids, and all of mouth, chin, brows, irises.

    `opening`: of the source's mouth, which cannot close by more than that.
    """
    parts = list(left.unbind(1))
    upper, lower = LIPS
    closing, most = left[:, upper, 1] - left[:, lower, 1], opening.clamp_min(0)
    share = torch.where(closing > most, most / closing, torch.ones_like(closing))
    for point in JAW:
        parts[point] = torch.stack([left[:, point, 0], share * left[:, point, 1]], -1)
    for upper, lower in LIDS:
        change = (left[:, upper] - left[:, lower]) * left.new_tensor([0.0, 0.5])
        parts[upper], parts[lower] = change, -change
    for point in BONE:
        parts[point] = torch.zeros_like(parts[point])
    return torch.stack(parts, dim=1)

"""FaceRetargeting: the driver's expression on the source's own face (not in the paper; docs/decisions.md).

Displacements carry an expression badly from one face to another: how far which landmark moves as a jaw drops depends on
the person, on how far it is open already and on where the head is turned. Here an expression says how open a jaw is,
how shut eyes are, how a face smiles, and so on, and a small network how the landmarks of a given face move when that
changes. A face reader sees the expression in the image (`face_reader.py`); where there is none, and in training,
another small network reads it from the landmarks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from dagan.face import JAW, LID_EXPRESSIONS, LIDS, NUM_EXPRESSIONS, NUM_LANDMARKS
from dagan.transfer.face_edit import PLAIN, FaceEdit
from dagan.transfer.face_transfer import (
    Expression,
    FaceMover,
    MovedFace,
    Turned,
    displaced,
    landmarks_seen,
    lips_apart_as,
    of_parts,
    possible,
    with_face,
)
from dagan.transfer.head_pose import FaceShape, face_shape, pose_difference
from dagan.types import Keypoints

# Changes of them that matter as much as one another, and as `ALIKE_TURNS`.
ALIKE_EXPRESSIONS = (0.15, 0.21, 0.21, *[1.0] * (NUM_EXPRESSIONS - 3))
OFFSET_SCALE = 3.0  # brings offsets in units of the face, of about 0.1, nearer to 1


@dataclass(frozen=True, kw_only=True)
class FaceRetargetingConfig:
    """`gain`: how much more expression is asked for than the driver's, but for the lids, since generators draw too
    little of it. `lips`: how much of their parting goes by displacement; the rest, by the expression. Landmarks tell
    the former better, a face reader the latter (docs/decisions.md)."""

    reader_width: int = 128
    placer_width: int = 192
    gain: float = 1.6
    lips: float = 1.0

    def build(self) -> "FaceRetargeting":
        return FaceRetargeting(self.reader_width, self.placer_width, self.gain, self.lips)


class FaceRetargeting(nn.Module):
    """A way to transfer motion between people (`geometry.keypoints.Transfer`) whose first keypoints are landmarks.

    The head's turn is `FaceMover`'s. The expression goes by what a face reader saw, or else by what is read of the
    landmarks; how far the lips part, and what else the driver's face does, is carried over as displacements. Untrained,
    that is how all of it moves: `face_transfer`.
    """

    gain: Float[Tensor, " e"]
    is_read: Float[Tensor, "n 2"]

    def __init__(self, reader_width: int, placer_width: int, gain: float, lips: float = 1.0):
        super().__init__()
        self.lips = lips
        gains = torch.full((NUM_EXPRESSIONS,), gain)
        gains[LID_EXPRESSIONS] = 1.0
        self.register_buffer("gain", gains, persistent=False)
        count = NUM_LANDMARKS
        shape = 2 * count + 6
        self.reader = _perceptron(shape, reader_width, NUM_EXPRESSIONS)
        self.placer = _perceptron(shape + 6 + 2 * NUM_EXPRESSIONS, placer_width, 2 * count)
        nn.init.zeros_(self.placer[-1].weight)  # type: ignore[arg-type]
        # What reading jaw and lids does not explain of their height is mostly a detector's error: how much is kept.
        self.kept = nn.Parameter(torch.ones(1))
        is_read = torch.zeros(count, 2)
        is_read[[*JAW, *(lid for lids in LIDS for lid in lids)], 1] = 1
        self.register_buffer("is_read", is_read, persistent=False)

    def forward(
        self,
        source: Keypoints,
        initial: Keypoints,
        scale: Float[Tensor, "b 1 1"] | float = 1.0,
        edit: FaceEdit = PLAIN,
    ) -> Callable[[Keypoints], Keypoints]:
        """Where the source's keypoints go, as a function of the driver's."""
        expressing = partial(self._expressing, source.expression, initial.expression, edit)
        return with_face(source, initial, scale, expressing, edit)

    def of_landmarks(
        self, source: Float[Tensor, "b n 2"], rest: Float[Tensor, "#b n 2"]
    ) -> Callable[[Tensor], MovedFace]:
        """The transfer of landmarks alone, by what is read of them."""
        return FaceMover(source, rest, 1.0, partial(self._expressing, None, None, PLAIN))

    def _expressing(
        self, ours: Tensor | None, theirs: Tensor | None, edit: FaceEdit, source: FaceShape, rest: FaceShape
    ) -> Expression:
        ours, theirs = self.read(source, ours), self.read(rest, theirs)
        place, explain = self.placing(source, ours), self.placing(rest, theirs)

        def expression(turned: Turned) -> Float[Tensor, "b n 2"]:
            now = self.read(face_shape(turned.driving, turned.driver), turned.expression)
            explained = explain(turned.driver, now)
            unexplained = (turned.left - explained) * (1 - self.is_read + self.kept * self.is_read)
            moved = place(turned.source, self.asked(ours, theirs, now)) + possible(unexplained, turned.opening)
            return lips_apart_as(moved, displaced(turned), self.lips)

        def edited(turned: Turned) -> Float[Tensor, "b n 2"]:
            now = self.read(face_shape(turned.driving, turned.driver), turned.expression)
            shares, added = ours.new_tensor(edit.shares_of_coefficients()), ours.new_tensor(edit.added())
            followed = (ours + shares * (self.asked(ours, theirs, now) - ours)).clamp(0, 1)
            more = place(turned.source, (followed + added).clamp(0, 1)) - place(turned.source, followed)
            return of_parts(expression(turned), edit) + more

        return edited if edit.changes_expression else expression

    def asked(
        self, source: Float[Tensor, "#b e"], rest: Float[Tensor, "#b e"], driving: Float[Tensor, "b e"]
    ) -> Float[Tensor, "b e"]:
        """The source's expression, changed as the driver's did: as far as a mouth can be open or an eye shut."""
        return (source + self.gain * (driving - rest)).clamp(0, 1)

    def difference(self, source: Keypoints, driving: Keypoints) -> Float[Tensor, " t"]:
        """`pose_difference`, and that of the expression that is read."""
        ours, theirs = (face_shape(landmarks_seen(keypoints)) for keypoints in (source, driving))
        change = self.read(theirs, driving.expression) - self.read(ours, source.expression)
        change = change / change.new_tensor(ALIKE_EXPRESSIONS)
        return pose_difference(ours.rotation, theirs.rotation) + change.square().sum(1)

    def read(self, face: FaceShape, known: Float[Tensor, "b e"] | None = None) -> Float[Tensor, "b e"]:
        """The expression, in [0, 1]: what a face reader saw in the image, or else what the landmarks tell."""
        return self.score(face).clamp(0, 1) if known is None else known

    def score(self, face: FaceShape) -> Float[Tensor, "b e"]:
        """As `read`, but without bounds."""
        score: Tensor = self.reader(torch.cat(_flat(face), 1))
        return score

    def placing(self, face: FaceShape, before: Float[Tensor, "b e"]) -> Callable[[Tensor, Tensor], Tensor]:
        """How the landmarks of a face move in its plane, as a function of the rotation `b 3 3` to which it turns and of
        the expression `b e` that it takes on; nothing moves where neither changes."""
        still = self._placed(face, face.rotation, before, before)

        def place(rotation: Float[Tensor, "b 3 3"], after: Float[Tensor, "b e"]) -> Float[Tensor, "b n 2"]:
            return rearrange(self._placed(face, rotation, before, after) - still, "b (n d) -> b n d", d=2)

        return place

    def _placed(self, face: FaceShape, rotation: Tensor, before: Tensor, after: Tensor) -> Float[Tensor, "_b _n"]:
        parts = [*_flat(face), rotation[:, :2].flatten(1), before]
        # to a size that is named: the largest of several unknown ones takes exporters minutes
        placed: Tensor = self.placer(torch.cat([*(part.expand(after.shape[0], -1) for part in parts), after], 1))
        return placed


def _perceptron(num_inputs: int, width: int, num_outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(num_inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, num_outputs)
    )


def _flat(face: FaceShape) -> tuple[Float[Tensor, "b _n"], Float[Tensor, "b 6"]]:
    return OFFSET_SCALE * face.offset.flatten(1), face.rotation[:, :2].flatten(1)

"""A talking head cut into functions of tensors alone, as exporters and inference engines take them.

`KeypointGraph` runs once per driving frame, `LayersGraph` after it; `SourceGraph` once per source; `FrameGraph` is
keypoints, transfer and picture in one. Tensors that a model does not have (jacobians, what a face reader sees, depth
features) are left out.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from dagan.models.talking_head import TalkingHead
from dagan.types import Appearance, Backdrop, Keypoints, View

POINTS = ("position", "jacobian")  # of keypoints, what a picture is drawn from; the rest is for transfers


class Signature(NamedTuple):
    """Names of tensors that cross the border, in order: of keypoints, and of what a source leaves behind."""

    keypoints: tuple[str, ...]
    appearance: tuple[str, ...]

    @property
    def points(self) -> tuple[str, ...]:
        """Those of keypoints that a picture is drawn from."""
        return tuple(name for name in self.keypoints if name in POINTS)


def signature_of(source: View) -> Signature:
    """The names for an encoded source of this model."""
    assert source.appearance is not None
    features = tuple(f"features_{index}" for index in range(len(source.appearance.features)))
    has_depth = source.appearance.depth_features is not None
    return Signature(tuple(source.keypoints.named()), (*features, "depth_features") if has_depth else features)


def gathered(names: Sequence[str], tensors: Sequence[Tensor]) -> Keypoints:
    """Keypoints of their tensors."""
    return Keypoints(**dict(zip(names, tensors, strict=True)))


def flat_keypoints(keypoints: Keypoints) -> tuple[Tensor, ...]:
    return tuple(keypoints.named().values())


def flat_points(keypoints: Keypoints) -> tuple[Tensor, ...]:
    """The tensors of `Signature.points`."""
    return tuple(part for name, part in keypoints.named().items() if name in POINTS)


def flat_appearance(source: View) -> tuple[Tensor, ...]:
    """What `encode` found. Raises ValueError for a view that was not encoded."""
    if source.appearance is None:
        raise ValueError("the source view has no appearance; call TalkingHead.encode first")
    features, depth_features = source.appearance
    return features if depth_features is None else (*features, depth_features)


class Graph(nn.Module):
    """What the four share: the (folded) model and its signature."""

    def __init__(self, model: TalkingHead, signature: Signature) -> None:
        super().__init__()
        self.model = model
        self.signature = signature

    def _source(self, names: Sequence[str], image: Tensor, tensors: Sequence[Tensor], batch: int) -> View:
        """The source beside a batch of driving frames, by the names of its keypoints; its tensors have a batch of 1."""
        image, *rest = (tensor.expand(batch, *tensor.shape[1:]) for tensor in (image, *tensors))
        seen, kept = gathered(names, rest[: len(names)]), rest[len(names) :]
        depth_features = kept.pop() if "depth_features" in self.signature.appearance else None
        return View(image, None, seen, Appearance(tuple(kept), depth_features))


class SourceGraph(Graph):
    """Image to keypoints, appearance and backdrop; `matte` finds the person in it."""

    def __init__(self, model: TalkingHead, signature: Signature, matte: nn.Module) -> None:
        super().__init__(model, signature)
        self.matte = matte

    def forward(self, image: Float[Tensor, "b 3 h h"]) -> tuple[Tensor, ...]:
        view = self.model.encode(self.model.view(image))
        backdrop = self.model.composition.backdrop(image, self.matte(image))
        return (*flat_keypoints(view.keypoints), *flat_appearance(view), *backdrop)


class KeypointGraph(Graph):
    """Driving frames to keypoints."""

    def forward(self, frame: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        return flat_keypoints(self.model.view(frame).keypoints)


class LayersGraph(Graph):
    """Points to move to (b), then source image, points and appearance (1), to the layers of pictures (b)."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        names = self.signature.points
        driving, image, *source = gathered(names, tensors[: len(names)]), *tensors[len(names) :]
        view = self._source(names, image, source, driving.position.shape[0])
        return tuple(self.model.layers(view, driving))


class FrameGraph(Graph):
    """Driving frames (b), source image, keypoints, appearance and backdrop (1), initial driving keypoints (1), to
    pictures (b).

    Relative motion: initial are the keypoints of the driver's rest frame. Absolute motion: initial are the source's
    own keypoints, for which `offset_transfer` gives the driver's own, `face_transfer` the driver's head and expression,
    and `FaceRetargeting` an expression as much stronger as its gain says.
    """

    def forward(self, frame: Float[Tensor, "b 3 h h"], *tensors: Tensor) -> Float[Tensor, "b 3 h h"]:
        names, parts = self.signature.keypoints, len(Backdrop._fields)
        rest, initial = tensors[: -len(names)], gathered(names, tensors[-len(names) :])
        (image, *source), backdrop = rest[:-parts], Backdrop(*rest[-parts:])
        view = self._source(names, image, source, frame.shape[0])
        driving = self.model.view(frame).keypoints
        layers = self.model.layers(view, self.model.retargeting(view.keypoints, initial)(driving))
        picture: Tensor = self.model.composition(layers, backdrop)
        return picture

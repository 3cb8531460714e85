"""A model cut into functions of tensors alone, as exporters and inference engines take them.

`KeypointGraph` runs once per driving frame and gives its driving code, `LayersGraph` after it; `SourceGraph` once per
source; `FrameGraph` is code, transfer and picture in one. Tensors that a model does not have (jacobians, what a face
reader sees, depth features) are left out.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn

from dagan.models.family import Family
from dagan.types import Backdrop, View


class Signature(NamedTuple):
    """Names of tensors that cross the border, in order: of a driving code, of those parts that a picture is drawn from,
    and of what a source leaves behind; and the types of which codes and sources are made again."""

    code: tuple[str, ...]
    points: tuple[str, ...]
    appearance: tuple[str, ...]
    code_type: type
    source_types: "Shape"

    def gathered(self, names: Sequence[str], tensors: Sequence[Tensor]) -> Any:
        """A driving code of tensors."""
        return self.code_type(**dict(zip(names, tensors, strict=True)))


class Shape(NamedTuple):
    """How a view's appearance is nested: a named or plain tuple of shapes, a tensor ("tensor"), or nothing (None)."""

    kind: Any
    parts: "tuple[Shape, ...]" = ()

    def filled(self, tensors: list[Tensor]) -> Any:
        """The value of this shape, made of the first tensors, which are taken off the list."""
        if self.kind == "tensor":
            return tensors.pop(0)
        if self.kind is None:
            return None
        parts = [part.filled(tensors) for part in self.parts]
        return self.kind(*parts) if hasattr(self.kind, "_fields") else tuple(parts)


def shape_of(value: Any) -> Shape:
    if value is None or isinstance(value, Tensor):
        return Shape(None if value is None else "tensor")
    return Shape(type(value), tuple(map(shape_of, value)))


def named_parts(value: Any, name: str = "") -> dict[str, Tensor]:
    """The tensors of nested tuples by their place: features_0, features_1, depth_features."""
    if value is None or isinstance(value, Tensor):
        return {} if value is None else {name: value}
    inner = zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    return {key: part for own, item in inner for key, part in named_parts(item, f"{name}_{own}".lstrip("_")).items()}


def signature_of(source: Any) -> Signature:
    """The names for an encoded source of this model."""
    code, view_type = source.code, type(source)
    names = tuple(named_parts(source.appearance))
    return Signature(
        tuple(code.named()), tuple(code.drawn()), names, type(code), Shape(view_type, (shape_of(source.appearance),))
    )


def flat_code(code: Any) -> tuple[Tensor, ...]:
    return tuple(code.named().values())


def flat_points(code: Any) -> tuple[Tensor, ...]:
    """The tensors of `Signature.points`."""
    return tuple(code.drawn().values())


def flat_appearance(source: Any) -> tuple[Tensor, ...]:
    """What `encode` found. Raises ValueError for a view that was not encoded."""
    if source.appearance is None:
        raise ValueError("the source view has no appearance; call the model's encode first")
    return tuple(named_parts(source.appearance).values())


def view_of(kind: type, image: Tensor, code: Any, appearance: Any) -> Any:
    """An encoded source; no picture is drawn from its depth."""
    return View(image, None, code, appearance) if kind is View else kind(image, code, appearance)


class Graph(nn.Module):
    """What the four share: the (folded) model and its signature."""

    def __init__(self, model: Family, signature: Signature) -> None:
        super().__init__()
        self.model = model
        self.signature = signature

    def _source(self, names: Sequence[str], image: Tensor, tensors: Sequence[Tensor], batch: int) -> Any:
        """The source beside a batch of driving frames, by the names of its code; its tensors have a batch of 1."""
        image, *rest = (tensor.expand(batch, *tensor.shape[1:]) for tensor in (image, *tensors))
        seen, kept = self.signature.gathered(names, rest[: len(names)]), rest[len(names) :]
        view_type, (appearance,) = self.signature.source_types
        return view_of(view_type, image, seen, appearance.filled(kept))


class SourceGraph(Graph):
    """Image to its code, appearance and backdrop; `matte` finds the person in it."""

    def __init__(self, model: Family, signature: Signature, matte: nn.Module) -> None:
        super().__init__(model, signature)
        self.matte = matte

    def forward(self, image: Float[Tensor, "b 3 h h"]) -> tuple[Tensor, ...]:
        view = self.model.encode(self.model.view(image))
        backdrop = self.model.composition.backdrop(image, self.matte(image))
        return (*flat_code(view.code), *flat_appearance(view), *backdrop)


class KeypointGraph(Graph):
    """Driving frames to their codes."""

    def forward(self, frame: Float[Tensor, "b 3 h w"]) -> tuple[Tensor, ...]:
        return flat_code(self.model.view(frame).code)


class LayersGraph(Graph):
    """Points to move to (b), then source image, points and appearance (1), to the layers of pictures (b)."""

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        names = self.signature.points
        driving, image, *source = self.signature.gathered(names, tensors[: len(names)]), *tensors[len(names) :]
        view = self._source(names, image, source, tensors[0].shape[0])
        return tuple(self.model.layers(view, driving))


class FrameGraph(Graph):
    """Driving frames (b), source image, code, appearance and backdrop (1), initial driving code (1), to pictures (b).

    Relative motion: initial is the code of the driver's rest frame. Absolute motion: initial is the source's own, for
    which `offset_transfer` gives the driver's own, `face_transfer` the driver's head and expression, and
    `FaceRetargeting` an expression as much stronger as its gain says.
    """

    def forward(self, frame: Float[Tensor, "b 3 h h"], *tensors: Tensor) -> Float[Tensor, "b 3 h h"]:
        names, parts = self.signature.code, len(Backdrop._fields)
        initial = self.signature.gathered(names, tensors[-len(names) :])
        image, *source = tensors[: -len(names) - parts]
        backdrop = Backdrop(*tensors[-len(names) - parts : -len(names)])
        view = self._source(names, image, source, frame.shape[0])
        driving = self.model.view(frame).code
        layers = self.model.layers(view, self.model.transfer(view.code, initial)(driving))
        picture: Tensor = self.model.composition(layers, backdrop)
        return picture

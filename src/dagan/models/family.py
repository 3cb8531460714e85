"""Family: the calls that every method answers. Trainer, evaluator and animator use these and look into no code."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dagan.errors import UserError
from dagan.geometry.warp import PIXELS, Pixels
from dagan.models.composition import CompositionConfig, layers_of
from dagan.models.depth import FaceDepthNet
from dagan.transfer.face_edit import FaceEdit
from dagan.types import Agreement, Layers, Rendering


class OwnTerm(NamedTuple):
    """A loss term that only one family has: a function of the step's values (`losses.values.Values`), and the names of
    the looks that it needs beside the rendering (`losses.values.Look`, in lower case)."""

    function: Callable[[Any], Float[Tensor, ""]]
    looks: tuple[str, ...] = ()
    needs_landmarks: bool = False


class HeadTurn(NamedTuple):
    """Changes of a head's angles in degrees, by name (yaw, pitch, roll): `added` to the driver's, or in `fixed` the
    angles themselves."""

    added: Mapping[str, float] = MappingProxyType({})
    fixed: Mapping[str, float] = MappingProxyType({})


class Family(nn.Module):
    """A method that animates a source image. Images are squares of a multiple of 32, RGB in [0, 1].

    A family writes `view`, `encode`, `mover`, `difference` and `render`; the other calls have answers that suit most.
    Views are NamedTuples with the fields `image` and `appearance` and the driving code as `code` (`types.View`,
    `types.CodeView`).
    """

    own_terms: ClassVar[Mapping[str, OwnTerm]] = MappingProxyType({})
    pixels: Pixels = PIXELS["centres"]  # what its coordinates mean
    depth: FaceDepthNet | None  # F_d, for families that can use it

    def __init__(self, composition: CompositionConfig | None = None, side: int = 256) -> None:
        """`side`: of the square images that the model was trained on, in pixels."""
        super().__init__()
        self.depth = None
        self.composition = (composition or CompositionConfig()).build()
        self.side = side
        self.agreement: Mapping[str, Agreement] = {}  # by precision, where a model file tells it

    def view(self, image: Float[Tensor, "b 3 h w"]) -> Any:
        """An image with its driving code."""
        raise NotImplementedError

    def encode(self, view: Any) -> Any:
        """The view with what `render` needs of a source filled in as `appearance`: call once per source."""
        raise NotImplementedError

    def mover(
        self, source: Any, initial: Any, relative: bool = True, adapt_scale: bool = False
    ) -> Callable[[Any], Any]:
        """From a driver's code to the code that moves the source as the driver moved since its initial frame."""
        raise NotImplementedError

    def edited_mover(
        self, source: Any, initial: Any, edit: FaceEdit, adapt_scale: bool = False
    ) -> Callable[[Any], Any]:
        """`mover` of relative motion, of which only what `edit` says is taken over.

        Raises:
            UserError: the model knows no faces, or cannot do what the edit asks for.
        """
        if edit.changes_expression:
            raise UserError(
                "this model does not know the parts of a face: leave --amount, --parts and --expression out, or use a "
                "model of faces, such as the bundled one"
            )
        move, turn = self.mover(source, initial, True, adapt_scale), HeadTurn(edit.turn_by, edit.turn_to)
        return (lambda driving: self.turned(move(driving), turn)) if edit.turn_by or edit.turn_to else move

    def difference(self, source: Any, driving: Any) -> Float[Tensor, " t"]:
        """How differently a source and a driver in each of t frames hold themselves, 0 or more."""
        raise NotImplementedError

    def render(
        self,
        source: Any,
        driving: Any,
        with_attention: bool = False,
        background: Float[Tensor, "b 2 3"] | None = None,
    ) -> Rendering:
        """The source moved to a driving code; a source that was not encoded yet is encoded here."""
        raise NotImplementedError

    def layers(self, source: Any, driving: Any) -> Layers:
        """What `composition` draws a picture from, at any resolution of the source: `render` taken apart."""
        return layers_of(self.render(source, driving), self.pixels)

    def given(self) -> list[nn.Module]:
        """The parts that are never trained with the others."""
        return []

    def watching(self) -> list[nn.Module]:
        """The parts that find driving codes: a recorded motion fits a model as long as they stay the same."""
        return [self]

    def compilable(self) -> list[nn.Module]:
        """The networks for torch.compile."""
        return list(self.children())

    def detect(self, image: Float[Tensor, "b 3 h w"]) -> Any:
        """As `view`, without what only a transfer between people needs."""
        return self.view(image)

    def read(self, view: Any) -> Any:
        """The view of `detect` with what `view` adds."""
        return view

    def background(
        self, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b 2 3"] | None:
        """How the background moved between two frames of one video; None for models in which it stands still."""
        return None

    def torso(
        self, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]
    ) -> Float[Tensor, "b 2 3"] | None:
        """How the torso moved between two frames of one video; None for models that do not use it."""
        return None

    def place_torso(self, source: Any, driving: Any, torso: Float[Tensor, "b 2 3"]) -> Any:
        """The driving code with the source's torso where `torso` carried it."""
        return driving

    def transfer(self, source: Any, initial: Any) -> Callable[[Any], Any]:
        """`mover` in operations that exporters know."""
        return self.mover(source, initial)

    def bounded(self, driving: Any, rest: Any) -> Any:
        """The codes of t frames with the head grown or shrunk since the rest frame no further than a photo follows."""
        return driving

    def turned(self, code: Any, turn: HeadTurn) -> Any:
        """The code with the head turned. Raises UserError for families whose codes hold no angles."""
        raise UserError("this model's driving code has no head angles to turn; use a model of the family osfv")

    def rest_frame(self, source: Any, driving: Any) -> int:
        """Which of a driver's frames (t of them) holds its head and face most like the source: the one that relative
        motion is best counted from."""
        with torch.autocast(next(self.parameters()).device.type, enabled=False):
            return int(self.difference(source, driving).nan_to_num(nan=float("inf")).argmin())

    def reenact(self, source: Any, driving: Any, with_attention: bool = False) -> Rendering:
        """The source moved as in a driving frame of the same video."""
        return self.render(source, driving.code, with_attention)

    def flow(self, source: Any, driving: Any) -> Float[Tensor, "b h w 2"]:
        """The flow of `reenact`, without a picture where that saves work."""
        return self.reenact(source, driving).flow

    def forward(self, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"]) -> Rendering:
        """The source moved as in the driving frame of the same video."""
        return self.reenact(self.detect(source), self.detect(driving))

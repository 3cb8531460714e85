"""Values that cross module borders. Images are `b 3 h w` RGB in [0, 1]; coordinates are (x, y) in [-1, 1],
where -1 and +1 are the outer edges of the image and pixel centres lie half a pixel inside (`align_corners=False`).
Models imported from published checkpoints keep the coordinates that they were trained with (docs/checkpoints.md)."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

from jaxtyping import Float
from torch import Tensor


class Code(Protocol):
    """A driving code: what a model finds in a driving frame to move a source by. A NamedTuple of tensors whose first
    axis counts frames; a part may be None."""

    def named(self) -> dict[str, Tensor]:
        """All that is there, by its name."""
        ...

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """All that is there, changed alike."""
        ...

    def drawn(self) -> dict[str, Tensor]:
        """Those of `named` that a picture is drawn from; the others are for transfers between people."""
        ...


class Keypoints(NamedTuple):
    """Sparse keypoints {x_n} of one image (Eq. 6), with FOMM's local affine frames when the detector has them.

    `landmarks`, in [-1, 1], and `expression`, in [0, 1], are what a face reader saw (`transfer/face_reader.py`), when
    the model has one: of images alone, not of keypoints that were moved.
    """

    position: Float[Tensor, "b k 2"]
    jacobian: Float[Tensor, "b k 2 2"] | None = None
    landmarks: Float[Tensor, "b n 2"] | None = None
    expression: Float[Tensor, "b e"] | None = None

    def named(self) -> dict[str, Tensor]:
        """All that is there, by its name."""
        return {name: part for name, part in self._asdict().items() if part is not None}

    def each(self, change: Callable[[Tensor], Tensor]) -> "Keypoints":
        """All that is there, changed alike."""
        return Keypoints(**{name: change(part) for name, part in self.named().items()})

    def drawn(self) -> dict[str, Tensor]:
        """Positions and affine frames."""
        return {name: part for name, part in self.named().items() if name in ("position", "jacobian")}


class Appearance(NamedTuple):
    """What the generator keeps of a source image: E_I(I_s) from fine to coarse, and E_d(D_s) or None."""

    features: tuple[Float[Tensor, "b _c _h _w"], ...]
    depth_features: Float[Tensor, "b c h w"] | None


class View(NamedTuple):
    """One image as a model with keypoints sees it; `appearance` is filled for a source by `encode`.

    Families (`models/families/`) have keypoints and appearances of their own types.
    """

    image: Float[Tensor, "b 3 h w"]
    depth: Float[Tensor, "b 1 h w"] | None
    keypoints: Any
    appearance: Any = None

    @property
    def code(self) -> Any:
        """The driving code: the keypoints."""
        return self.keypoints


class CodeView(NamedTuple):
    """One image as a model without keypoints sees it: its driving code, and the appearance filled by `encode`."""

    image: Float[Tensor, "b 3 h w"]
    code: Any
    appearance: Any = None


class DenseMotion(NamedTuple):
    """Dense motion from driving to source pixels: w_m already weighted by M_m, and M_m, M_o (Sec. 3.3).

    `foreground` is the flow without the background's share: where a pixel comes from if it shows the person.
    """

    flow: Float[Tensor, "b h w 2"]
    mask: Float[Tensor, "b s h w"]
    occlusion: Float[Tensor, "b 1 h w"]
    foreground: Float[Tensor, "b h w 2"]


class Decoded(NamedTuple):
    """A decoder's image, and the warped source's share of each pixel; None: the decoder does not say."""

    image: Float[Tensor, "b 3 h w"]
    weight: Float[Tensor, "b 1 h w"] | None = None


class Rendering(NamedTuple):
    """A generated image with everything that made it. `occlusion` 1 = visible; `attention` rows sum to 1.

    `foreground`: as in `DenseMotion`. `weight`: the warped source's share of the image, where the decoder decides it
    itself. What a model does not have is None.
    """

    generated: Float[Tensor, "b 3 h w"]
    flow: Float[Tensor, "b _h _w 2"]
    mask: Float[Tensor, "b s _h _w"] | None
    occlusion: Float[Tensor, "b 1 _h _w"] | None
    warped: Float[Tensor, "b 3 h w"]
    attention: Float[Tensor, "b n n"] | None = None
    foreground: Float[Tensor, "b _h _w 2"] | None = None
    weight: Float[Tensor, "b 1 h w"] | None = None


class Layers(NamedTuple):
    """A generated image taken apart: `painted + weight * warped source` is the image, at any size of the source.

    `foreground` is the flow of the person alone, as in `DenseMotion`. Flows are (x, y) of the source in [-1, 1], the
    outer edges.
    """

    painted: Float[Tensor, "b 3 h w"]
    weight: Float[Tensor, "b 1 h w"]
    flow: Float[Tensor, "b _h _w 2"]
    foreground: Float[Tensor, "b _h _w 2"]


class Backdrop(NamedTuple):
    """What a photo brings to all its pictures, at its own resolution (`models/composition.py`).

    `person`: its colours without the background's; `plate`: what is behind the person; `rest`: what both leave of the
    photo; `matte`: the person's share of each pixel, at the size of the networks.
    """

    person: Float[Tensor, "1 3 s s"]
    plate: Float[Tensor, "1 3 s s"]
    rest: Float[Tensor, "1 3 s s"]
    matte: Float[Tensor, "1 1 h h"]


class CameraPose(NamedTuple):
    """Relative pose and camera between two frames (Eq. 2): R, t and K, K in pixels."""

    rotation: Float[Tensor, "b 3 3"]
    translation: Float[Tensor, "b 3"]
    intrinsics: Float[Tensor, "b 3 3"]


class Agreement(NamedTuple):
    """How near the pictures of a precision are to PyTorch's float32: PSNR in dB over drawn heads."""

    median: float
    least: float

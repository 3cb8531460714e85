"""A model rewritten for inference at one image size: the same function with fewer multiplications and fewer steps.

Batch norm goes into the convolution beside it; a convolution of an enlarged image becomes four smaller ones, one to few
channels does several pixels at once; a resize to a fixed size becomes two matrix products and 2x2 matrices are inverted
by formula (which every exporter knows). Results agree with the model's to about 1e-5. The copy is for running and
exporting, not for training or saving.
"""

import copy
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from dagan.geometry.local_motion import affine, invert_2x2
from dagan.models.decoder import BlendDecoder, PlainDecoder
from dagan.models.dense_motion import DenseMotionNet
from dagan.models.family import Family
from dagan.models.keypoints import JacobianHead
from dagan.models.refine import Attention, CrossModalAttention, Refined
from dagan.models.talking_head import TalkingHead
from dagan.nn.blocks import ResBlock, ResizeTo, SameBlock, UpBlock
from dagan.nn.resnet import BasicBlock, Bottleneck, ResNetEncoder
from dagan.runtime.narrow import NarrowConv, factor_for
from dagan.runtime.winograd import WinogradChain, suits
from dagan.types import Keypoints

ROWS_AT_ONCE = 1024  # queries of an attention: its matrix is made in parts of so many rows
PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))  # row and column of an output pixel inside its input pixel


@torch.no_grad()
def fold(model: Family, side: int, narrow: bool = True, winograd: bool = False) -> Family:
    """A copy of `model`, in eval mode, for images of `side` pixels.

    `narrow`: several pixels at once where channels are few. `winograd`: for one image at a time, wide residual blocks.
    """
    folded: Family = copy.deepcopy(model).eval().requires_grad_(False)
    folded = folded.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload] # an animator's is not
    _fold_children(folded, side)
    if winograd and isinstance(folded, TalkingHead):
        _filter_residuals(folded, side)
    if narrow:
        _fold_narrow(folded)
    return folded


def fold_network(network: nn.Module, side: int) -> nn.Module:
    """A network that is not part of the model, for images of `side` pixels; it is changed."""
    _fold_children(network, side)
    return network


def affine_by_formula(
    source: Keypoints, driving: Keypoints, grid: Float[Tensor, "h w 2"]
) -> Float[Tensor, "b k h w 2"]:
    """`local_motion.affine` as A z + t with one matrix product for all pixels."""
    assert source.jacobian is not None
    assert driving.jacobian is not None
    turn = source.jacobian @ invert_2x2(driving.jacobian)  # b k 2 2
    shift = source.position - (turn @ driving.position[..., None])[..., 0]  # b k 2
    height, width = grid.shape[:2]
    turned = rearrange(grid, "h w d -> (h w) d") @ turn.transpose(-1, -2)  # b k (h w) 2
    return rearrange(turned + shift[:, :, None], "b k (h w) d -> b k h w d", h=height, w=width)


class FoldedUpBlock(nn.Module):
    """Convolution 3x3 of the input enlarged twofold, and ReLU, as one 2x2 convolution for each place of a pixel.

    Along one axis an output pixel at the first place sees its left neighbour with tap 0 and its own input pixel with
    taps 1 and 2; at the second place its own with taps 0 and 1 and its right neighbour with tap 2.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv
        bias = conv.bias
        assert bias is not None
        self.seen: nn.Module = nn.Identity()  # a quantized model rounds here
        self.places = nn.ModuleList()
        for row, column in PLACES:
            place = nn.Conv2d(conv.in_channels, conv.out_channels, 2)
            place.weight = nn.Parameter(_sum_taps(_sum_taps(conv.weight, row, 2), column, 3), requires_grad=False)
            place.bias = bias
            self.places.append(place)

    def forward(self, x: Float[Tensor, "b c h w"], size: tuple[int, int] | None = None) -> Float[Tensor, "b c2 h2 w2"]:
        if size is not None and size != (2 * x.shape[2], 2 * x.shape[3]):
            return F.relu(self.conv(F.interpolate(x, size, mode="nearest")))
        x = self.seen(x)
        maps = [
            F.relu(place(F.pad(x, (1 - column, column, 1 - row, row))))
            for (row, column), place in zip(PLACES, self.places, strict=True)
        ]
        return rearrange(torch.cat(maps, 1), "b (p q c) h w -> b c (h p) (w q)", p=2, q=2)


def _sum_taps(weight: Tensor, place: int, dim: int) -> Tensor:
    first, second, third = torch.split(weight, 1, dim)
    return torch.cat([first, second + third] if place == 0 else [first + second, third], dim).contiguous()


class FoldedResize(nn.Module):
    """An antialiased bilinear resize between two fixed sizes as products with its matrix."""

    matrix: Tensor

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        identity = torch.eye(before)[None, None]
        options = {"mode": "bilinear", "align_corners": False, "antialias": True}
        self.register_buffer("matrix", F.interpolate(identity, (after, before), **options)[0, 0])  # type: ignore[arg-type]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c s s"]:
        resized: Tensor = self.matrix @ x.float() @ self.matrix.transpose(0, 1)
        return resized


class FoldedJacobianHead(nn.Module):
    """`JacobianHead` in operations that exporters know: the mean of a convolution without its maps.

    It is the convolution of means: for each tap, the features' mean under the heatmap moved by that tap. A quarter of
    the multiplications, and of the rounding error, of the maps' mean.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, head: JacobianHead) -> None:
        super().__init__()
        conv = head.conv
        assert conv.bias is not None
        self.register_buffer("weight", rearrange(conv.weight, "(k d) c i j -> k d (i j c)", d=4).contiguous())
        self.register_buffer("bias", rearrange(conv.bias, "(k d) -> k d 1", d=4).contiguous())
        self.reach, self.padding = conv.kernel_size[0] - 1, int(conv.padding[0])

    def forward(
        self, features: Float[Tensor, "b c h w"], heatmap: Float[Tensor, "b k h2 w2"]
    ) -> Float[Tensor, "b k 2 2"]:
        reach, (height, width) = self.reach, features.shape[2:]
        wide = F.pad(heatmap, (reach, reach, reach, reach))
        taps = [reach + self.padding - tap for tap in range(reach + 1)]
        moved = torch.stack([wide[:, :, y : y + height, x : x + width] for y in taps for x in taps], 2)
        means = moved.flatten(3) @ rearrange(features.float(), "b c h w -> b 1 (h w) c")  # b k taps c
        mean = self.weight @ means.flatten(2)[..., None] + self.bias * heatmap.sum((2, 3))[..., None, None]  # b k 4 1
        return rearrange(mean, "b k (i j) 1 -> b k i j", i=2)


class FoldedAttention(nn.Module):
    """Attention whose matrix is made a part at a time, and kept by nobody."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.asks_depth = isinstance(attention, CrossModalAttention)

    def forward(
        self,
        warped: Float[Tensor, "b c h w"],
        depth_features: Float[Tensor, "b c h w"] | None,
        with_attention: bool = False,
    ) -> Refined:
        """Raises ValueError when the matrix is asked for: a folded model has none to give."""
        if with_attention:
            raise ValueError("a folded model keeps no attention matrix; ask the model itself")
        ours, height = self.attention, warped.shape[2]
        asking = depth_features if self.asks_depth else warped
        query, key, value = (
            ours.activation(projected).flatten(2)
            for projected in (ours.query(asking), ours.key(warped), ours.value(warped))
        )
        parts = [
            F.softmax(part.transpose(1, 2) @ key, dim=-1) @ value.transpose(1, 2)
            for part in query.split(ROWS_AT_ONCE, dim=2)
        ]  # b n c
        attended = rearrange(torch.cat(parts, 1), "b (h w) c -> b c h w", h=height)
        return Refined(ours.merge(attended, warped), None)


def _fold_same(block: SameBlock) -> nn.Module:
    block.conv, block.norm = fuse_conv_bn_eval(block.conv, block.norm), nn.Identity()  # type: ignore[assignment]
    return block


def _fold_up(block: UpBlock) -> nn.Module:
    plain = nn.Conv2d(block.conv.in_channels, block.conv.out_channels, 3, padding=1)
    plain.load_state_dict(block.conv.state_dict())
    return FoldedUpBlock(fuse_conv_bn_eval(plain.eval(), block.norm))


def _fold_residual(block: ResBlock) -> nn.Module:
    """Its first norm comes before a ReLU and has to stay."""
    block.conv1, block.norm2 = fuse_conv_bn_eval(block.conv1, block.norm2), nn.Identity()  # type: ignore[assignment]
    return block


def _fold_norms(block: nn.Module) -> None:
    """ResNet's pairs conv1, bn1 and so on, and the two of a shortcut."""
    for number in ("1", "2", "3"):
        if hasattr(block, f"bn{number}"):
            fused = fuse_conv_bn_eval(getattr(block, f"conv{number}"), getattr(block, f"bn{number}"))
            setattr(block, f"conv{number}", fused)
            setattr(block, f"bn{number}", nn.Identity())
    shortcut = getattr(block, "downsample", None)
    if isinstance(shortcut, nn.Sequential):
        block.downsample = fuse_conv_bn_eval(shortcut[0], shortcut[1])  # type: ignore[arg-type,type-var]


def _filter_residuals(model: TalkingHead, side: int) -> None:
    decoder, small = model.generator.decoder, side >> len(model.generator.encoder.down)
    if isinstance(decoder, PlainDecoder | BlendDecoder) and suits(decoder.res, small):
        decoder.res = WinogradChain(decoder.res, small)  # type: ignore[assignment]


def _fold_narrow(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Conv2d):
            factor = factor_for(child)
            setattr(module, name, NarrowConv(child, factor) if factor > 1 else child)
        else:
            _fold_narrow(child)


REPLACEMENTS: tuple[tuple[type[nn.Module], Callable[..., nn.Module]], ...] = (
    (UpBlock, _fold_up),
    (ResBlock, _fold_residual),
    (SameBlock, _fold_same),  # and DownBlock
    (JacobianHead, FoldedJacobianHead),
    (Attention, FoldedAttention),
)


def _fold_children(module: nn.Module, side: int) -> None:
    for name, child in module.named_children():
        if isinstance(child, ResizeTo):
            setattr(module, name, FoldedResize(side, child.size))
            continue
        made = next((make for kind, make in REPLACEMENTS if isinstance(child, kind)), None)
        if made is not None:
            setattr(module, name, made(child))
            continue
        _fold_children(child, side)
    if isinstance(module, BasicBlock | Bottleneck | ResNetEncoder):
        _fold_norms(module)
    if isinstance(module, DenseMotionNet) and module.local_motion is affine:
        module.local_motion = affine_by_formula

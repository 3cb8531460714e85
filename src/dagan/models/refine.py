"""Refinement of the warped feature (Sec. 3.4, Eq. 9): siblings called with (warped, depth_features)."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"identity": nn.Identity, "relu": nn.ReLU}
INNER_RATIO = 8  # channels of query and key are a ratio of the feature's, as the released model has


class Refined(NamedTuple):
    """F_g, and the attention map A when it was asked for."""

    feature: Float[Tensor, "b c h w"]
    attention: Float[Tensor, "b n n"] | None


@dataclass(frozen=True, kw_only=True)
class PassThroughConfig:
    """No refinement (Baseline)."""

    needs_depth: bool = False

    def build(self, channels: int) -> "PassThrough":
        return PassThrough()


@dataclass(frozen=True, kw_only=True)
class AttentionConfig:
    """Attention over all positions. `needs_depth`: queries from depth (CAM, Eq. 9) or from the feature (SA, B.3).

    `gated` adds the result to the warped feature through a learned gate that starts at 0 (not in the paper, whose Eq. 9
    replaces the feature): the decoder then starts from a usable feature, which short trainings need. `activation`
    follows the projections of query, key and value; Eq. 9 has none, published models have ReLU.
    """

    needs_depth: bool = True
    gated: bool = False
    activation: Literal["identity", "relu"] = "identity"

    def build(self, channels: int) -> "Attention":
        kind = CrossModalAttention if self.needs_depth else SelfAttention
        return kind(channels, Gate() if self.gated else Replace(), ACTIVATIONS[self.activation]())


RefineConfig = PassThroughConfig | AttentionConfig


class PassThrough(nn.Module):
    """The warped feature as it is."""

    def forward(
        self,
        warped: Float[Tensor, "b c h w"],
        depth_features: Float[Tensor, "b c h w"] | None,
        with_attention: bool = False,
    ) -> Refined:
        return Refined(warped, None)


class Replace(nn.Module):
    """The attended feature alone (Eq. 9)."""

    def forward(self, attended: Tensor, warped: Tensor) -> Tensor:
        return attended


class Gate(nn.Module):
    """gamma * attended + warped, gamma starting at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, attended: Tensor, warped: Tensor) -> Tensor:
        return self.gamma.to(warped.dtype) * attended + warped


class Attention(nn.Module):
    """Softmax(Q K^T) V over the h*w positions, projections by 1x1 convolutions, no scaling of the logits."""

    def __init__(self, channels: int, merge: nn.Module, activation: nn.Module):
        super().__init__()
        inner = max(1, channels // INNER_RATIO)
        self.query = nn.Conv2d(channels, inner, 1)
        self.key = nn.Conv2d(channels, inner, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.merge = merge
        self.activation = activation

    def attend(
        self, asking: Float[Tensor, "b c h w"], warped: Float[Tensor, "b c h w"], with_attention: bool
    ) -> Refined:
        query, key, value = (
            rearrange(self.activation(projected), "b c h w -> b (h w) c")
            for projected in (self.query(asking), self.key(warped), self.value(warped))
        )
        attended = F.scaled_dot_product_attention(query, key, value, scale=1.0)  # b n c
        attended = rearrange(attended, "b (h w) c -> b c h w", h=warped.shape[2])
        attention = F.softmax((query @ key.mT).float(), dim=-1) if with_attention else None
        return Refined(self.merge(attended, warped), attention)


class CrossModalAttention(Attention):
    """CAM: queries from the source's depth features, keys and values from the warped feature (Eq. 9)."""

    def forward(
        self,
        warped: Float[Tensor, "b c h w"],
        depth_features: Float[Tensor, "b c h w"] | None,
        with_attention: bool = False,
    ) -> Refined:
        if depth_features is None:
            raise ValueError("cross-modal attention needs depth features; give the model a depth network")
        return self.attend(depth_features, warped, with_attention)


class SelfAttention(Attention):
    """Ours (SA), appendix B.3: query, key and value all from the warped feature."""

    def forward(
        self,
        warped: Float[Tensor, "b c h w"],
        depth_features: Float[Tensor, "b c h w"] | None,
        with_attention: bool = False,
    ) -> Refined:
        return self.attend(warped, warped, with_attention)

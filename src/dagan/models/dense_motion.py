"""Feature warping module up to the flow: w_m, M_m and M_o from two keypoint sets (Sec. 3.3, Figs. 4, 11c)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from einops import einsum, rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.grid import GridFunction, coordinate_grid
from dagan.geometry.keypoints import gaussians
from dagan.geometry.local_motion import LOCAL_MOTIONS, LocalMotion
from dagan.geometry.registration import affine_flow
from dagan.geometry.warp import PIXELS, PixelConvention
from dagan.nn.blocks import Resize, ScaleBy
from dagan.nn.hourglass import Hourglass
from dagan.types import DenseMotion, Keypoints

VARIANCE = 0.01  # of the keypoint Gaussians, as FOMM
PRIOR_VARIANCE = 0.05  # reach of a keypoint's own motion before anything is learned: a quarter of the face
PRIOR_GAIN = 6.0  # logit at the keypoint
PRIOR_BACKGROUND = 4.0  # logit of no motion: wins where no keypoint is near (20 others together have log 20 = 3)
LEAST_SHARE = 1e-12  # of a motion in the foreground's flow: far from the person all may be 0
PRIOR_PIECE = 0.0  # logit of the head as one piece, far below the background's: when to choose it is learned


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """Paper: offsets only (Eq. 7), an hourglass at a quarter of the image's size, a background that stands still.

    `background`: "registered" is told how the background moved between two frames of one video (`register`), since
    keypoints on a face cannot know. For a photo and somebody else's video it stands still either way.
    `occludes_outside`: what the flow takes from outside the photo counts as occluded, so the decoder paints it.
    """

    local_motion: Literal["offset", "affine"] = "offset"
    width: int = 64
    cap: int = 1024
    num_blocks: int = 5
    kernel: int = 7
    pixels: PixelConvention = "centres"
    channels_last: bool = True  # faster; False sums as published models do, equal to the last digit
    resize: Resize = ScaleBy(factor=0.25)
    has_mask_prior: bool = False  # not in the paper; starts the mask from nearness to the keypoints
    background: Literal["still", "registered"] = "still"
    occludes_outside: bool = False

    def build(self, num_keypoints: int, pieces: tuple[LocalMotion, ...] = ()) -> "DenseMotionNet":
        return DenseMotionNet(self, num_keypoints, pieces)


class DenseMotionNet(nn.Module):
    """Occlusion estimator T: from sparse motions and the source warped by each, the mask M_m and occlusion M_o.

    `pieces` are motions of several keypoints together that the mask may choose as well, such as `whole_face`.
    """

    def __init__(self, config: MotionConfig, num_keypoints: int, pieces: tuple[LocalMotion, ...] = ()):
        super().__init__()
        self.local_motion = LOCAL_MOTIONS[config.local_motion]
        self.follows_background = config.background == "registered"
        self.pixels = PIXELS[config.pixels]
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format
        self.resize = config.resize.build()
        self.pieces = pieces
        num_slots = 1 + num_keypoints + len(self.pieces)
        self.hourglass = Hourglass(4 * num_slots, config.width, config.cap, config.num_blocks)
        maps = self.hourglass.out_channels
        self.mask = nn.Conv2d(maps, num_slots, config.kernel, padding=config.kernel // 2)
        self.occlusion = nn.Conv2d(maps, 1, config.kernel, padding=config.kernel // 2)
        self.mask_prior = NearnessPrior(len(self.pieces)) if config.has_mask_prior else NoPrior()
        self.shown = inside if config.occludes_outside else everywhere

    def forward(
        self,
        image: Float[Tensor, "b 3 h w"],
        source: Keypoints,
        driving: Keypoints,
        background: Float[Tensor, "b 2 3"] | None = None,
    ) -> DenseMotion:
        """The flow from driving pixels into the source `image`, at this network's own size.

        `background`: its affine motion from driving to source coordinates; None: it stands still.
        """
        small = self.resize(image)
        with torch.autocast(image.device.type, enabled=False):
            motions = (self.local_motion, *self.pieces)
            flows = sparse_motions(motions, source, driving, small.float(), self.pixels.grid)  # b s h w 2
            if background is not None:
                moved = affine_flow(background, flows.shape[2], flows.shape[3])
                flows = torch.cat([moved[:, None], flows[:, 1:]], dim=1)
            slots = self._slots(small.float(), source, driving, flows)
        features = self.hourglass(slots.contiguous(memory_format=self.layout))
        mask = F.softmax(self.mask_prior(self.mask(features).float(), driving), dim=1)
        occlusion = torch.sigmoid(self.occlusion(features).float())
        with torch.autocast(image.device.type, enabled=False):
            flow = einsum(mask, flows, "b s h w, b s h w d -> b h w d")
            return DenseMotion(flow, mask, occlusion * self.shown(flow), foreground_flow(mask, flows))

    def _slots(
        self,
        image: Float[Tensor, "b 3 h w"],
        source: Keypoints,
        driving: Keypoints,
        flows: Float[Tensor, "b s h w 2"],
    ) -> Float[Tensor, "b c h w"]:
        """[heatmap difference, R, G, B] of every motion: background first, then keypoints, then pieces; only
        keypoints have heatmaps, the others' are zero."""
        size = (image.shape[2], image.shape[3])
        ours, theirs = (gaussians(seen.position, size, VARIANCE, self.pixels.grid) for seen in (source, driving))
        difference = theirs - ours
        heatmaps = F.pad(difference, (0, 0, 0, 0, 1, len(self.pieces)))  # b s h w
        num_slots = flows.shape[1]
        copies = repeat(image, "b c h w -> (b s) c h w", s=num_slots)
        warped = self.pixels.warp(copies, rearrange(flows, "b s h w d -> (b s) h w d"))
        warped = rearrange(warped, "(b s) c h w -> b s c h w", s=num_slots)
        return rearrange(torch.cat([heatmaps[:, :, None], warped], dim=2), "b s c h w -> b (s c) h w")


def foreground_flow(mask: Float[Tensor, "b s h w"], flows: Float[Tensor, "b s h w 2"]) -> Float[Tensor, "b h w 2"]:
    """The flow by all motions but the background's, which is the first."""
    person = mask[:, 1:] + LEAST_SHARE
    shares = person / person.sum(1, keepdim=True)
    return einsum(shares, flows[:, 1:], "b s h w, b s h w d -> b h w d")


def inside(flow: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b 1 h w"]:
    """1 where the flow points into the image, falling to 0 over one of its own pixels outside."""
    beyond = (flow.abs().amax(-1) - 1).clamp_min(0) * (flow.shape[1] / 2)  # b h w, in pixels
    return (1 - beyond).clamp_min(0)[:, None]


def everywhere(flow: Float[Tensor, "b h w 2"]) -> float:
    """The photo's border goes on for ever: the paper, and published models."""
    return 1.0


class NoPrior(nn.Module):
    """The mask's logits as predicted."""

    def forward(self, logits: Float[Tensor, "b s h w"], driving: Keypoints) -> Float[Tensor, "b s h w"]:
        return logits


class NearnessPrior(nn.Module):
    """Logits plus a learned gain times nearness to each driving keypoint, and learned biases for the background and for
    every piece: a motion of several keypoints together.

    A softmax over many motions starts as their mean, and needs thousands of steps to tell them apart; with the prior
    each pixel starts with the motion of the keypoints beside it.
    """

    def __init__(self, num_pieces: int = 0) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(PRIOR_GAIN))
        self.background = nn.Parameter(torch.tensor(PRIOR_BACKGROUND))
        self.pieces = nn.ParameterList(nn.Parameter(torch.tensor(PRIOR_PIECE)) for _ in range(num_pieces))

    def forward(self, logits: Float[Tensor, "b s h w"], driving: Keypoints) -> Float[Tensor, "b s h w"]:
        size = (logits.shape[2], logits.shape[3])
        near = self.gain * gaussians(driving.position.float(), size, PRIOR_VARIANCE)  # b k h w
        background, *pieces = (bias.expand(near.shape[0], 1, *size) for bias in (self.background, *self.pieces))
        return logits + torch.cat([background, near, *pieces], dim=1)


def sparse_motions(
    motions: Sequence[LocalMotion],
    source: Keypoints,
    driving: Keypoints,
    image: Float[Tensor, "b 3 h w"],
    build_grid: GridFunction = coordinate_grid,
) -> Float[Tensor, "b s h w 2"]:
    """The background's identity motion, then those of keypoints and pieces."""
    grid = build_grid(image.shape[2], image.shape[3], image)
    identity = grid.expand(image.shape[0], 1, -1, -1, -1)
    return torch.cat([identity, *(motion(source, driving, grid) for motion in motions)], dim=1)

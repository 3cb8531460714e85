"""Which pixels of a portrait are the person: MediaPipe's Selfie Segmentation in PyTorch (not in the paper).

Its published weights (Apache-2.0) come with the package. The network is a MobileNetV3 with a light decoder: 0.1 M
parameters, 256 x 256 pixels.
"""

from importlib.resources import as_file, files

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dagan.nn.blocks import ResizeTo

SIDE = 256  # pixels of the image that the network takes
WEIGHTS = "selfie_segmentation.safetensors"  # in the package's assets; see NOTICE.md there


class MatteNet(nn.Module):
    """The share of each pixel that belongs to a person, hair included. Not trained here: it takes no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.resize = ResizeTo(SIDE)
        self.stem = nn.Sequential(_SamePad(3), nn.Conv2d(3, 16, 3, stride=2), nn.Hardswish())
        self.quarter = InvertedResidual(16, 16, 16, 3, stride=2, gate=8)
        self.eighth = nn.Sequential(InvertedResidual(16, 72, 24, 3, stride=2), InvertedResidual(24, 88, 24, 3))
        self.sixteenth = nn.Sequential(
            InvertedResidual(24, 96, 32, 5, stride=2, gate=24, activation=nn.Hardswish),
            *(InvertedResidual(32, 128, 32, 5, gate=32, activation=nn.Hardswish) for _ in range(2)),
            *(InvertedResidual(32, 96, 32, 5, gate=24, activation=nn.Hardswish) for _ in range(2)),
        )
        self.context = nn.Sequential(nn.Conv2d(32, 128, 1), nn.ReLU())
        self.context_gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(32, 128, 1), nn.Sigmoid())
        self.up = nn.ModuleList([JoinUp(128, 24), JoinUp(24, 16), JoinUp(16, 16)])
        self.head = nn.ConvTranspose2d(16, 1, 2, stride=2)
        self.requires_grad_(False)

    @torch.no_grad()
    def forward(self, image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
        """The matte of RGB images in [0, 1], in [0, 1], 1 = person; images of other sizes are resized on the way."""
        half = self.stem(self.resize(image))
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        coarse = self.sixteenth(eighth)
        seen = self.context(coarse) * self.context_gate(coarse)
        for join, skip in zip(self.up, (eighth, quarter, half), strict=True):
            seen = join(seen, skip)
        matte = torch.sigmoid(self.head(seen))
        same = image.shape[2:] == matte.shape[2:]
        return matte if same else F.interpolate(matte, image.shape[2:], mode="bilinear", align_corners=False)


class InvertedResidual(nn.Module):
    """MobileNetV3's block: widen, convolve each channel, weigh the channels (if `gate` of them squeeze), narrow."""

    def __init__(
        self,
        channels: int,
        hidden: int,
        out_channels: int,
        kernel: int,
        *,
        stride: int = 1,
        gate: int = 0,
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        pad = _SamePad(kernel) if stride == 2 else nn.ZeroPad2d(kernel // 2)
        depthwise = nn.Conv2d(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.body = nn.Sequential(nn.Conv2d(channels, hidden, 1), activation(), pad, depthwise, activation())
        self.gate = ChannelGate(hidden, gate) if gate else nn.Identity()
        self.narrow = nn.Conv2d(hidden, out_channels, 1)
        self.is_residual = stride == 1 and channels == out_channels

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        changed: Tensor = self.narrow(self.gate(self.body(x)))
        return x + changed if self.is_residual else changed


class ChannelGate(nn.Module):
    """Squeeze and excitation: each channel times a weight in [0, 1] that the channels' means decide."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(channels, hidden, 1),
            nn.ReLU(),
            nn.Conv2d(hidden, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x * self.weight(x)

    def weight(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c 1 1"]:
        weight: Tensor = self.weigh(x)
        return weight


class JoinUp(nn.Module):
    """Features at twice their size, joined with those of the encoder at that size."""

    def __init__(self, channels: int, skip_channels: int) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(channels, skip_channels, 1)
        self.gate = ChannelGate(skip_channels, skip_channels)
        self.mix = nn.Sequential(nn.Conv2d(skip_channels, skip_channels, 1), nn.ReLU())
        self.smooth = nn.Sequential(
            nn.Conv2d(skip_channels, skip_channels, 3, padding=1, groups=skip_channels), nn.ReLU()
        )

    def forward(self, x: Float[Tensor, "b c h w"], skip: Float[Tensor, "b d h2 w2"]) -> Float[Tensor, "b d h2 w2"]:
        larger = self.narrow(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False))
        joined = self.mix(skip * self.gate.weight(skip + larger) + larger)
        smooth: Tensor = joined + self.smooth(joined)
        return smooth


class _SamePad(nn.ZeroPad2d):
    """TensorFlow's padding of an even image before a convolution of stride 2: one more pixel at the end."""

    def __init__(self, kernel: int) -> None:
        before = (kernel - 2) // 2
        after = kernel - 2 - before
        super().__init__((before, after, before, after))


def load_matte() -> MatteNet:
    """The network with the package's weights, in evaluation mode."""
    from safetensors.torch import load_file

    network = MatteNet()
    with as_file(files("dagan") / "assets" / WEIGHTS) as path:
        network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return network.eval()

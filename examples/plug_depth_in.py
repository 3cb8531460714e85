"""Depth in an animator of your own: keypoints that see it (FDN, Sec. 3.3), attention that asks with it (CAM, 3.4)."""

import torch
from torch import Tensor, nn

import dagan
from dagan.geometry.grid import coordinate_grid
from dagan.geometry.keypoints import gaussians, position_from_heatmap
from dagan.geometry.warp import warp
from dagan.models.generator import DepthEncoder
from dagan.models.refine import AttentionConfig


class MyAnimator(nn.Module):
    """Somebody's network: four points, features at a quarter of the image that move with them. + is what depth adds."""

    def __init__(self, depth: nn.Module, width: int = 32):
        super().__init__()
        self.depth = depth.requires_grad_(False).eval()  # + F_d, already trained, stays as it is
        self.detector = nn.Conv2d(3 + 1, 4, 7, padding=3, stride=4)  # + one channel more: the depth
        self.encoder = nn.Sequential(nn.Conv2d(3, width, 8, stride=4, padding=2), nn.ReLU())
        self.depth_encoder = DepthEncoder((8, 16, width))  # + to the size and channels of the features: b c h/4 w/4
        self.attention = AttentionConfig(needs_depth=True, gated=True).build(width)  # + Eq. 9, adding nothing at first
        self.decoder = nn.Sequential(nn.Upsample(scale_factor=4, mode="bilinear"), nn.Conv2d(width, 3, 5, padding=2))

    def points(self, image: Tensor, depth: Tensor) -> Tensor:
        heatmaps = self.detector(torch.cat([image, depth], dim=1))  # + RGB-D in (Eq. 6)
        return position_from_heatmap(heatmaps.flatten(2).softmax(-1).view_as(heatmaps))  # b k 2

    def forward(self, source: Tensor, driving: Tensor) -> Tensor:
        depth = self.depth(source)  # + b 1 h w in (0, 1), bright = near
        from_, to = self.points(source, depth), self.points(driving, self.depth(driving))
        near = gaussians(to, (32, 32), variance=0.1)[..., None]  # b k h w 1
        flow = coordinate_grid(32, 32, source) + (near * (from_ - to)[:, :, None, None]).sum(1)  # b h w 2
        warped = warp(self.encoder(source), flow)
        refined = self.attention(
            warped, self.depth_encoder(depth)
        ).feature  # + queries of depth, keys and values warped
        return self.decoder(refined).sigmoid()


def main(steps: int = 20) -> list[float]:
    """Teaches it to undo a shift of a noisy picture; gives the loss of each step."""
    model = MyAnimator(dagan.load().depth)  # or dagan.models.weights.load_depth("model.safetensors")
    source = nn.functional.interpolate(torch.rand(1, 3, 8, 8), (128, 128), mode="bicubic").clamp(0, 1)
    driving = source.roll(8, dims=3)
    optimizer, losses = torch.optim.Adam((p for p in model.parameters() if p.requires_grad), 1e-3), []
    for _ in range(steps):
        loss = (model(source, driving) - driving).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


if __name__ == "__main__":
    losses = main()
    print(f"L1 {losses[0]:.3f} before, {losses[-1]:.3f} after {len(losses)} steps")

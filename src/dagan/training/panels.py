"""Pictures of a run on fixed frames, and the numbers that go with them."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor, nn

from dagan.data.clips import ClipFrames
from dagan.geometry.grid import coordinate_grid
from dagan.models.talking_head import TalkingHead
from dagan.types import Rendering, View

NUM_ROWS = 8
PANEL_SIDE = 160  # pixels of one tile
FLOW_FULL_SCALE = 0.5  # displacement in [-1, 1] units that is drawn with full colour
PALETTE = ((0.05, 0.03, 0.25), (0.45, 0.1, 0.5), (0.85, 0.3, 0.35), (1.0, 0.65, 0.3), (1.0, 0.95, 0.75))  # far to near


def fixed_pairs(clips: list[ClipFrames], device: torch.device) -> tuple[Tensor, Tensor]:
    """Frames one third and five sixths into clips of different people: source and driving, `b 3 h w`."""
    chosen = list({clip.clip.identity: clip for clip in clips}.values())
    chosen = chosen[:: max(1, len(chosen) // NUM_ROWS)][:NUM_ROWS]
    source = np.stack([clip.frames[len(clip) // 3] for clip in chosen])
    driving = np.stack([clip.frames[len(clip) * 5 // 6] for clip in chosen])
    return to_images(source, device), to_images(driving, device)


def to_images(frames: UInt8[np.ndarray, "b h w 3"], device: torch.device) -> Float[Tensor, "b 3 h w"]:
    return rearrange(torch.from_numpy(frames).to(device), "b h w c -> b c h w").float() / 255


@torch.inference_mode()
def generation_panel(model: TalkingHead, clips: list[ClipFrames], path: Path, device: torch.device) -> dict[str, float]:
    """Writes source | driving | depth | flow | occlusion | warped | generated; gives L1 and its ratio to not moving."""
    source, driving = fixed_pairs(clips, device)
    view = model.view(source)
    rendering = model.render(view, model.view(driving).keypoints)
    write_sheet(path, panel_columns(view, driving, rendering))
    error = (rendering.generated - driving).abs().mean()
    return {"validation_l1": float(error), "validation_l1_ratio": float(error / (source - driving).abs().mean())}


@torch.inference_mode()
def depth_panel(depth: nn.Module, clips: list[ClipFrames], path: Path, device: torch.device) -> dict[str, float]:
    """Writes image | disparity for both fixed frames of some clips; gives the mean spread of disparity."""
    source, driving = fixed_pairs(clips, device)
    maps = [depth(source), depth(driving)]
    write_sheet(path, [source, colour_map(maps[0]), driving, colour_map(maps[1])])
    return {"disparity_spread": float(maps[0].flatten(1).std(dim=1).mean())}


def panel_columns(source: View, driving: Tensor, rendering: Rendering) -> list[Float[Tensor, "b 3 _h _w"]]:
    """The columns of a contact sheet."""
    columns = [draw_points(source.image, source.keypoints.position), driving]
    if source.depth is not None:
        columns.append(colour_map(source.depth))
    occlusion = rendering.occlusion.expand(-1, 3, -1, -1)
    return [*columns, draw_flow(rendering.flow), occlusion, rendering.warped, rendering.generated]


def colour_map(depth: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 3 h w"]:
    """A map in colours, each image from its own least to its greatest value (bright = near for disparity)."""
    low, high = depth.amin(dim=(1, 2, 3), keepdim=True), depth.amax(dim=(1, 2, 3), keepdim=True)
    at = (depth - low) / (high - low).clamp_min(1e-6) * (len(PALETTE) - 1)
    palette = torch.tensor(PALETTE, device=depth.device)
    below = at.long().clamp_max(len(PALETTE) - 2)
    colour = torch.lerp(palette[below], palette[below + 1], (at - below)[..., None])  # b 1 h w 3
    return rearrange(colour, "b 1 h w c -> b c h w")


def draw_flow(flow: Float[Tensor, "b h w 2"]) -> Float[Tensor, "b 3 h w"]:
    """Displacement as colour: direction is hue-like, grey is no motion."""
    moved = (flow - coordinate_grid(flow.shape[1], flow.shape[2], flow)) / FLOW_FULL_SCALE
    x, y = moved.unbind(-1)
    return torch.stack([0.5 + x / 2, 0.5 + y / 2, 0.5 - (x + y) / 4], dim=1).clamp(0, 1)


def draw_points(image: Float[Tensor, "b 3 h w"], position: Float[Tensor, "b k 2"]) -> Float[Tensor, "b 3 h w"]:
    """The image with a small dot at each keypoint, coloured by index."""
    drawn = image.clone()
    height, width = image.shape[2:]
    count = position.shape[1]
    for b in range(len(image)):
        for k, (x, y) in enumerate(position[b].tolist()):
            column, row = int((x + 1) / 2 * width), int((y + 1) / 2 * height)
            colour = torch.tensor([k / count, 1 - k / count, 0.9 if k % 2 else 0.1], device=image.device)
            drawn[b, :, max(row - 2, 0) : row + 2, max(column - 2, 0) : column + 2] = colour[:, None, None]
    return drawn


def write_sheet(path: Path, columns: list[Float[Tensor, "b 3 _h _w"]], side: int = PANEL_SIDE) -> None:
    """One picture with a row per image."""
    tiles = [F.interpolate(column.float(), (side, side), mode="bilinear", antialias=True) for column in columns]
    sheet = rearrange(torch.stack(tiles), "n b c h w -> (b h) (n w) c").clamp(0, 1)
    Image.fromarray((sheet * 255).round().byte().cpu().numpy()).save(path)

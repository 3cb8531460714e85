"""Pictures of a run on fixed frames."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from PIL import Image, ImageDraw
from torch import Tensor, nn

from dagan.files import written_whole
from dagan.geometry.grid import coordinate_grid
from dagan.models.talking_head import TalkingHead
from dagan.types import Rendering, View

NUM_ROWS = 8
PANEL_SIDE = 160  # pixels of one tile
HEADER = 18  # pixels of the row of titles
FLOW_FULL_SCALE = 0.5  # displacement in [-1, 1] units that is drawn with full colour
QUERY = (0.0, 0.25)  # (x, y) of the position whose attention is drawn: about the mouth of a face in the middle
CROSS = 4  # the query's cross is one part in so many of the image wide
PALETTE = ((0.05, 0.03, 0.25), (0.45, 0.1, 0.5), (0.85, 0.3, 0.35), (1.0, 0.65, 0.3), (1.0, 0.95, 0.75))  # far to near


@torch.inference_mode()
def generation_panel(
    model: TalkingHead, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], path: Path
) -> None:
    """Writes everything that makes each generated image, a row a pair."""
    rows = []
    for row in range(len(source)):  # attention maps of many pairs at once would fill a GPU
        pair = source[row : row + 1], driving[row : row + 1]
        view, wanted = map(model.view, pair)
        driven, background = model.follow(view, wanted), model.background(*pair)
        rendering = model.render(view, driven, with_attention=True, background=background)
        rows.append(panel_columns(view, wanted, rendering))
    write_sheet(path, {title: torch.cat([row[title] for row in rows]) for title in rows[0]})


@torch.inference_mode()
def depth_panel(
    depth: nn.Module, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], path: Path
) -> dict[str, float]:
    """Writes image | disparity for two frames of some clips; gives the mean spread of disparity."""
    maps = [depth(source), depth(driving)]
    pictures = {"frame": source, "disparity": colour_map(maps[0])}
    write_sheet(path, pictures | {"later frame": driving, "its disparity": colour_map(maps[1])})
    return {"disparity_spread": float(maps[0].flatten(1).std(dim=1).mean())}


def panel_columns(source: View, driving: View, rendering: Rendering) -> dict[str, Float[Tensor, "b 3 _h _w"]]:
    """The columns of a panel by their titles; of depth and attention those that the model has."""
    columns = {"source": source.image, "driving": driving.image}
    if source.depth is not None:
        columns["depth"] = colour_map(source.depth)
    columns["source keypoints"] = draw_points(source.image, source.keypoints.position)
    columns["driving keypoints"] = draw_points(driving.image, driving.keypoints.position)
    columns["flow"] = draw_flow(rendering.flow)
    columns["occlusion"] = rendering.occlusion.expand(-1, 3, -1, -1)
    columns["warped"] = rendering.warped
    if rendering.attention is not None:
        columns["attention at +"] = draw_attention(rendering.warped, rendering.attention)
    columns["generated"] = rendering.generated
    return columns


def draw_attention(
    image: Float[Tensor, "b 3 h w"], attention: Float[Tensor, "b n n"], query: tuple[float, float] = QUERY
) -> Float[Tensor, "b 3 h w"]:
    """Where the position under the red cross takes its feature from (its row of A, Eq. 9), over the faded image."""
    side = math.isqrt(attention.shape[1])
    column, row = (min(int((value + 1) / 2 * side), side - 1) for value in query)
    heat = colour_map(rearrange(attention[:, row * side + column], "b (h w) -> b 1 h w", h=side))
    heat = F.interpolate(heat, image.shape[2:], mode="bilinear", align_corners=False)
    drawn = 0.3 * image.mean(1, keepdim=True) + 0.7 * heat
    height, width = image.shape[2:]
    x, y = (int((place + 0.5) / side * pixels) for place, pixels in ((column, width), (row, height)))
    arm, thick = width // (2 * CROSS * 2), max(1, width // 128)
    red = torch.tensor([1.0, 0.0, 0.0], device=image.device)[:, None, None]
    drawn[:, :, max(y - arm, 0) : y + arm + 1, max(x - thick, 0) : x + thick] = red
    drawn[:, :, max(y - thick, 0) : y + thick, max(x - arm, 0) : x + arm + 1] = red
    return drawn


def colour_map(depth: Float[Tensor, "b 1 h w"], bounds: tuple[float, float] | None = None) -> Float[Tensor, "b 3 h w"]:
    """A map in colours (bright = near for disparity), each image from its own least to its greatest value, or all
    between the same bounds."""
    low, high = depth.amin(dim=(1, 2, 3), keepdim=True), depth.amax(dim=(1, 2, 3), keepdim=True)
    if bounds is not None:
        low, high = torch.full_like(low, bounds[0]), torch.full_like(high, bounds[1])
    at = ((depth - low) / (high - low).clamp_min(1e-6)).clamp(0, 1) * (len(PALETTE) - 1)
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
    count, reach = position.shape[1], max(1, width // 64)
    for b in range(len(image)):
        for k, (x, y) in enumerate(position[b].tolist()):
            column, row = int((x + 1) / 2 * width), int((y + 1) / 2 * height)
            colour = torch.tensor([k / count, 1 - k / count, 0.9 if k % 2 else 0.1], device=image.device)
            rows, columns = slice(max(row - reach, 0), row + reach), slice(max(column - reach, 0), column + reach)
            drawn[b, :, rows, columns] = colour[:, None, None]
    return drawn


def write_sheet(path: Path, columns: Mapping[str, Float[Tensor, "b 3 _h _w"]], side: int = PANEL_SIDE) -> None:
    """One picture with a row per image and the columns' titles above, written atomically."""
    tiles = [
        F.interpolate(column.float(), (side, side), mode="bilinear", antialias=True) for column in columns.values()
    ]
    sheet = rearrange(torch.stack(tiles), "n b c h w -> (b h) (n w) c").clamp(0, 1)
    pixels = (sheet * 255).round().byte().cpu().numpy()
    page = Image.new("RGB", (pixels.shape[1], pixels.shape[0] + HEADER), "white")
    page.paste(Image.fromarray(pixels), (0, HEADER))
    pen = ImageDraw.Draw(page)
    for place, title in enumerate(columns):
        pen.text((place * side + side // 2, HEADER // 2), title, fill="black", anchor="mm")
    with written_whole(path) as partial:
        page.save(partial, Image.registered_extensions()[path.suffix.lower()])

"""Pictures of a run on fixed frames."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from dagan.geometry.grid import coordinate_grid
from dagan.images import Tile, colour_map, compose, draw_attention, draw_displacement, save_page, with_points
from dagan.models.family import Family
from dagan.types import Rendering, View

NUM_ROWS = 8
PANEL_SIDE = 160  # pixels of one tile
QUERY = (0.0, 0.25)  # (x, y) of the position whose attention is drawn: about the mouth of a face in the middle


@torch.inference_mode()
def generation_panel(
    model: Family, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], path: Path
) -> None:
    """Writes everything that makes each generated image, a row a pair."""
    rows = []
    for row in range(len(source)):  # attention maps of many pairs at once would fill a GPU
        pair = source[row : row + 1], driving[row : row + 1]
        view, wanted = map(model.view, pair)
        rendering = model.reenact(view, wanted, with_attention=True)
        rows.append(panel_row(view, wanted, rendering))
    write_panel(path, [list(row.values()) for row in rows], list(rows[0]))


@torch.inference_mode()
def depth_panel(
    depth: nn.Module, source: Float[Tensor, "b 3 h w"], driving: Float[Tensor, "b 3 h w"], path: Path
) -> dict[str, float]:
    """Writes image | disparity for two frames of some clips; gives the mean spread of disparity."""
    first, later = depth(source), depth(driving)
    rows = list(zip(source, colour_map(first), driving, colour_map(later), strict=True))
    write_panel(path, rows, ["frame", "disparity", "later frame", "its disparity"])
    return {"disparity_spread": float(first.flatten(1).std(dim=1).mean())}


def panel_row(source: Any, driving: Any, rendering: Rendering) -> dict[str, Tile]:
    """The pictures of one pair by their titles; of depth, keypoints, occlusion and attention those that the model has.

    `source` and `driving` are views.
    """
    flow = rendering.flow
    row: dict[str, Tile] = {"source": source.image[0], "driving": driving.image[0]}
    if isinstance(source, View) and source.depth is not None:
        row["depth"] = colour_map(source.depth)[0]
    for name, view in (("source", source), ("driving", driving)):
        if isinstance(view, View):
            row[f"{name} keypoints"] = with_points(view.image[0], view.keypoints.position[0], PANEL_SIDE)
    row["flow"] = draw_displacement(flow - coordinate_grid(flow.shape[1], flow.shape[2], flow))[0]
    if rendering.occlusion is not None:
        row["occlusion"] = rendering.occlusion.expand(-1, 3, -1, -1)[0]
    row["warped"] = rendering.warped[0]
    if rendering.attention is not None:
        row["attention at x"] = draw_attention(rendering.warped, rendering.attention, QUERY, PANEL_SIDE)
    row["generated"] = rendering.generated[0]
    return row


def write_panel(path: Path, rows: Sequence[Sequence[Tile]], titles: Sequence[str], side: int = PANEL_SIDE) -> None:
    """One picture with a row for each pair and the titles below the columns; appears whole or not at all."""
    save_page(compose(rows, titles, side=side), path)

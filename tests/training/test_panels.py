"""Pictures of a run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.models.talking_head import TalkingHead
from dagan.training.panels import (
    FLOW_FULL_SCALE,
    HEADER,
    PALETTE,
    colour_map,
    draw_attention,
    draw_flow,
    draw_points,
    generation_panel,
    panel_columns,
    write_sheet,
)
from parts import identity_flow


def test_colours_run_from_the_palettes_first_to_its_last() -> None:
    ramp = torch.linspace(3, 7, 5).view(1, 1, 1, 5)
    assert torch.allclose(colour_map(ramp)[0, :, 0].T, torch.tensor(PALETTE), atol=1e-5)


def test_a_flat_map_has_one_colour() -> None:
    assert torch.allclose(
        colour_map(torch.ones(1, 1, 4, 4)), torch.tensor(PALETTE[0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    )


def test_no_motion_is_grey_and_directions_differ() -> None:
    still = identity_flow(1, 4, 4)
    assert torch.allclose(draw_flow(still), torch.tensor(0.5), atol=1e-6)
    right, down = (draw_flow(still + FLOW_FULL_SCALE * torch.tensor(way)) for way in ([1.0, 0.0], [0.0, 1.0]))
    assert torch.allclose(right[0, :, 0, 0], torch.tensor([1, 0.5, 0.25]))
    assert torch.allclose(down[0, :, 0, 0], torch.tensor([0.5, 1, 0.25]))


def test_points_are_drawn_where_they_are_on_a_copy() -> None:
    image = torch.zeros(1, 3, 20, 20)
    drawn = draw_points(image, torch.tensor([[[-0.5, 0.5], [-1.0, -1.0]]]))
    assert image.max() == 0
    rows, columns = drawn[0].sum(0)[10:].nonzero().float().mean(0)
    assert (rows + 10).item() == pytest.approx(14.5)
    assert columns.item() == pytest.approx(4.5)
    assert drawn[0, :, 0, 0].max() > 0


def test_a_sheet_has_a_row_per_image_and_a_column_per_picture_of_any_size(tmp_path: Path) -> None:
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1)
    columns = {"red": red.expand(2, 3, 8, 8), "black": torch.zeros(2, 3, 64, 64), "": 2 + red.expand(2, 3, 5, 5)}
    write_sheet(tmp_path / "sheet.png", columns, side=10)
    page = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert page.shape == (HEADER + 20, 30, 3)
    assert (page[:HEADER, :20] < 128).any()  # titles
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    sheet = page[HEADER:]
    assert sheet[5, 5].tolist() == [255, 0, 0]
    assert sheet[15, 15].tolist() == [0, 0, 0]
    assert sheet[15, 25].tolist() == [255, 255, 255]


def test_a_panel_shows_everything_that_made_the_picture(tiny_model: TalkingHead) -> None:
    source, driving = (tiny_model.view(torch.rand(1, 3, 64, 64)) for _ in range(2))
    rendering = tiny_model.render(source, driving.keypoints, with_attention=True)
    whole = panel_columns(source, driving, rendering)
    assert list(whole) == [
        "source",
        "driving",
        "depth",
        "source keypoints",
        "driving keypoints",
        "flow",
        "occlusion",
        "warped",
        "attention at +",
        "generated",
    ]
    flat = panel_columns(source._replace(depth=None), driving, rendering._replace(attention=None))
    assert whole.keys() - flat.keys() == {"depth", "attention at +"}


def test_attention_is_bright_where_the_query_looks_and_the_query_is_crossed_in_red() -> None:
    attention = torch.zeros(1, 64, 64)
    row, column = int((0.25 + 1) / 2 * 8), int((0.0 + 1) / 2 * 8)
    attention[0, row * 8 + column, 2 * 8 + 1] = 1  # the query looks at row 2, column 1
    drawn = draw_attention(torch.zeros(1, 3, 64, 64), attention, (0.0, 0.25))[0]
    brightest = drawn.mean(0).argmax().item()
    assert abs(brightest // 64 - 2.5 * 8) <= 4
    assert abs(brightest % 64 - 1.5 * 8) <= 4
    red = (drawn == torch.tensor([1.0, 0, 0])[:, None, None]).all(0).nonzero().float().mean(0)
    assert red.tolist() == pytest.approx([(row + 0.5) * 8, (column + 0.5) * 8], abs=1.5)


def test_a_panel_of_two_pairs_has_two_rows(tmp_path: Path, tiny_model: TalkingHead) -> None:
    generation_panel(tiny_model, torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64), tmp_path / "panel.png")
    assert Image.open(tmp_path / "panel.png").size == (10 * 160, 2 * 160 + HEADER)

"""Pictures of a run."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.models.talking_head import TalkingHead
from dagan.training.panels import (
    FLOW_FULL_SCALE,
    PALETTE,
    colour_map,
    draw_flow,
    draw_points,
    fixed_pairs,
    generation_panel,
    panel_columns,
    write_sheet,
)
from parts import face_clips, identity_flow

CPU = torch.device("cpu")


def test_the_fixed_pairs_are_of_different_people_and_the_same_each_time() -> None:
    clips = face_clips(2)
    source, driving = fixed_pairs([*clips, clips[0]], CPU)
    assert source.shape == driving.shape == (2, 3, 64, 64)
    assert torch.equal(source[1], torch.from_numpy(clips[1].frames[2]).permute(2, 0, 1) / 255)
    assert torch.equal(driving[1], torch.from_numpy(clips[1].frames[5]).permute(2, 0, 1) / 255)


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
    write_sheet(
        tmp_path / "sheet.png", [red.expand(2, 3, 8, 8), torch.zeros(2, 3, 64, 64), 2 + red.expand(2, 3, 5, 5)], side=10
    )
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (20, 30, 3)
    assert sheet[5, 5].tolist() == [255, 0, 0]
    assert sheet[15, 15].tolist() == [0, 0, 0]
    assert sheet[15, 25].tolist() == [255, 255, 255]


def test_a_contact_sheet_shows_everything_that_made_the_picture(tiny_model: TalkingHead) -> None:
    source, driving = (tiny_model.view(torch.rand(1, 3, 64, 64)) for _ in range(2))
    rendering = tiny_model.render(source, driving.keypoints)
    assert len(panel_columns(source, driving.image, rendering)) == 7
    assert len(panel_columns(source._replace(depth=None), driving.image, rendering)) == 6


def test_the_numbers_compare_with_not_moving(tmp_path: Path, tiny_model: TalkingHead) -> None:
    clips = face_clips(2)
    numbers = generation_panel(tiny_model, clips, tmp_path / "panel.png", CPU)
    source, driving = fixed_pairs(clips, CPU)
    error = (tiny_model(source, driving).generated - driving).abs().mean().item()
    assert numbers["validation_l1"] == pytest.approx(error, rel=1e-4)
    assert numbers["validation_l1_ratio"] == pytest.approx(error / (source - driving).abs().mean().item(), rel=1e-4)
    assert Image.open(tmp_path / "panel.png").size == (7 * 160, 2 * 160)

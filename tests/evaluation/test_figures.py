"""What the figures show is where it should be."""

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.errors import UserError
from dagan.evaluation.figures import Pair, ablation_row, attention_row, comparison_row, draw_cloud
from dagan.images import GAP, check_target, compose, draw_attention, fitted, save_page, with_cross, with_points
from dagan.models.talking_head import TalkingHeadConfig

SIDE = 64


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)


@pytest.fixture
def pair():
    return Pair(*torch.rand(2, 1, 3, 64, 64))


def test_tiles_stand_in_their_places_on_white():
    red, blue = torch.zeros(2, 3, 8, 8)
    red[0], blue[2] = 1, 1
    page = pixels(compose([[red, None], [None, blue]], ["one", "two"], side=SIDE))
    second = SIDE + GAP + SIDE // 2
    assert page[SIDE // 2, SIDE // 2].tolist() == [255, 0, 0]
    assert page[second, second].tolist() == [0, 0, 255]
    assert page[SIDE // 2, second].tolist() == [255, 255, 255]
    below = page[2 * SIDE + 2 * GAP :]
    assert (below < 128).any()  # the titles
    assert page.shape[1] == 2 * SIDE + GAP


def test_names_of_rows_take_a_column_of_their_own():
    tile = torch.zeros(3, 8, 8)
    plain, named = (compose([[tile]], ["one"], names, side=SIDE) for names in ((), ["model"]))
    assert named.width > plain.width
    assert (pixels(named)[:SIDE, : named.width - SIDE] < 128).any()


def test_a_title_wider_than_its_tile_is_cut():
    from PIL import ImageFont

    font = ImageFont.load_default(size=16)
    cut = fitted("a very long title indeed", font, SIDE)
    assert cut.endswith("...")
    assert font.getlength(cut) <= SIDE
    assert fitted("short\nlines", font, SIDE) == "short\nlines"


def test_the_cross_is_red_at_its_place_and_nowhere_else():
    marked = pixels(with_cross(torch.zeros(3, 64, 64), (0.5, -0.25), 128))
    red = (marked[..., 0] > 150) & (marked[..., 1] < 100)
    rows, columns = np.nonzero(red)
    assert columns.mean() == pytest.approx(0.75 * 128, abs=1)
    assert rows.mean() == pytest.approx(0.375 * 128, abs=1)
    assert np.ptp(rows) < 12


def test_keypoints_have_their_own_colours_at_their_places():
    drawn = pixels(with_points(torch.zeros(3, 64, 64), torch.tensor([[-0.5, 0.0], [0.5, 0.0]]), 128))
    assert drawn[64, 32].tolist() != drawn[64, 96].tolist()
    assert drawn[64, 32].max() > 200
    assert drawn[64, 64].max() == 0


def test_an_attention_map_is_brightest_where_the_query_looks():
    attention = torch.full((1, 64, 64), 1e-4)
    query, looked_at = 8 * 6 + 1, 8 * 1 + 5  # row, column of 8 x 8: asks from (1, 6), looks at (5, 1)
    attention[0, query, looked_at] = 1
    drawn = pixels(draw_attention(torch.zeros(1, 3, 64, 64), attention, (-0.6, 0.6), 128))
    brightness = drawn.sum(-1)
    brightness[90:, :50] = 0  # the cross
    row, column = np.unravel_index(brightness.argmax(), brightness.shape)
    assert (row // 16, column // 16) == (1, 5)


def test_a_model_without_attention_is_refused(pair, tiny_config: TalkingHeadConfig):
    from dataclasses import replace

    from dagan.models.refine import PassThroughConfig

    model = replace(tiny_config, generator=replace(tiny_config.generator, refine=PassThroughConfig())).build().eval()
    with pytest.raises(UserError, match="no attention to draw"):
        attention_row(model, pair, [(0.0, 0.0)])


def test_rows_have_a_tile_for_each_title(pair, tiny_model):
    assert len(attention_row(tiny_model, pair, [(0.0, 0.0), (0.1, 0.2)])) == 3 + 2
    assert len(comparison_row({"a": tiny_model, "b": tiny_model}, pair, tiny_model.depth)) == 4 + 2
    assert len(comparison_row({"a": tiny_model}, pair, None)) == 2 + 1
    assert len(ablation_row({"a": tiny_model}, pair, tiny_model.depth)) == 3 + 1
    registered = ablation_row({"a": tiny_model}, pair, None, "registered")[2]
    assert torch.equal(registered, tiny_model(*pair).generated[0])


def test_two_people_are_not_taken_for_one_video(tiny_model, monkeypatch):
    """A grid registered backgrounds of two people, who have none in common."""
    pair = Pair(torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64))
    monkeypatch.setattr(type(tiny_model), "background", lambda *images: pytest.fail("registered"))
    with torch.inference_mode():
        seen = tiny_model.view(pair.driving).keypoints
        expected = tiny_model.render(tiny_model.view(pair.source), seen).generated[0]
    assert torch.equal(comparison_row({"a": tiny_model}, pair, None)[2], expected)


def test_a_cloud_shows_the_near_part_alone_and_turns_it():
    image, disparity = torch.zeros(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    image[:, 0, :, 30:34] = 1  # a red nose ridge, the nearest
    disparity[..., 16:48, 16:48] = 0.8
    disparity[..., 16:48, 28:36] = 1.0
    front, left, right = (draw_cloud(image, disparity, turn, 128)[0] for turn in (0.0, -25.0, 25.0))
    assert front[1:, 64, 64].max() < 0.1
    assert front[:, 5, 5].min() == 1
    assert torch.allclose(left, right.flip(2), atol=0.02)
    ridge = [(view[0] - view[1] > 0.5).nonzero()[:, 1].float().mean().item() for view in (left, front, right)]
    assert ridge[1] == pytest.approx(63.5, abs=0.5)
    assert abs(ridge[0] - 63.5) > 2  # what is near moves aside


def test_a_page_is_written_as_png_or_jpg(tmp_path):
    page = compose([[torch.zeros(3, 8, 8)]], ["one"], side=32)
    for name in ("page.png", "page.jpg"):
        save_page(page, tmp_path / name)
        assert Image.open(tmp_path / name).size == page.size
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(UserError, match=r"in \.png or \.jpg"):
        check_target(tmp_path / "page.gif")
    with pytest.raises(UserError, match="no such folder"):
        check_target(tmp_path / "absent" / "page.png")

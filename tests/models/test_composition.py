"""A head that is a bright square moves before a background of stripes."""

import pytest
import torch

from dagan.geometry.grid import coordinate_grid
from dagan.geometry.warp import PIXELS
from dagan.images import to_pixels
from dagan.models.composition import CompositionConfig, flat_image, layers_of
from dagan.types import Layers, Rendering

SIDE, LARGE = 64, 160


def scene(large: int = LARGE) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A photo, its matte at the networks' size, and the background behind the head."""
    grid = coordinate_grid(large, large, torch.empty(0))
    stripes = (0.3 + 0.1 * torch.sin(9 * grid[..., 0])).expand(1, 3, -1, -1)
    head = (grid.abs().amax(-1) < 0.4).float()
    photo = torch.lerp(stripes, torch.tensor([0.9, 0.6, 0.5]).view(1, 3, 1, 1).expand(1, 3, large, large), head)
    photo = (photo * 255).round() / 255
    small = (coordinate_grid(SIDE, SIDE, grid).abs().amax(-1) < 0.4).float()
    return photo, small[None, None], stripes


def moved_layers(right: float, weight: float = 1.0, painted: float = 0.0) -> Layers:
    """The head goes to the right, in [-1, 1] units; the background stays."""
    flow = coordinate_grid(16, 16, torch.empty(0)) - torch.tensor([right, 0.0])
    image = torch.full((1, 3, SIDE, SIDE), painted)
    return Layers(image, torch.full((1, 1, SIDE, SIDE), weight), flow[None], flow[None])


def test_a_head_at_rest_gives_the_photo_bit_for_bit():
    photo, matte, _ = scene()
    composition = CompositionConfig().build()
    soft = matte * torch.rand_like(matte)
    picture = composition(moved_layers(0), composition.backdrop(photo, soft))
    assert (to_pixels(picture) == to_pixels(photo)).all()


@pytest.mark.parametrize("has_plate", [True, False])
def test_the_last_pixels_at_the_rim_are_the_photos_own_however_the_head_moves(has_plate):
    photo = (torch.rand(1, 3, LARGE, LARGE) * 255).round() / 255
    composition = CompositionConfig(has_plate=has_plate).build()
    backdrop = composition.backdrop(photo, torch.rand(1, 1, SIDE, SIDE))
    picture, photo = to_pixels(composition(moved_layers(0.3, 0.4, 0.5), backdrop)), to_pixels(photo)
    for side in (0, -1):
        assert (picture[side] == photo[side]).all()
        assert (picture[:, side] == photo[:, side]).all()
    assert (picture[LARGE // 2] != photo[LARGE // 2]).any()


def test_where_the_head_was_the_background_shows_and_where_it_went_the_head():
    photo, matte, background = scene()
    composition = CompositionConfig().build()
    picture = composition(moved_layers(0.3), composition.backdrop(photo, matte))
    left_behind = slice(LARGE * 32 // 100, LARGE * 38 // 100)  # inside the head at rest, left of where it went
    middle = slice(LARGE // 2 - 8, LARGE // 2 + 8)
    assert (picture - background)[..., middle, left_behind].abs().max() < 0.15
    assert (photo - background)[..., middle, left_behind].abs().min() > 0.15
    arrived = slice(LARGE * 72 // 100, LARGE * 76 // 100)
    assert (picture[0, 0, middle, arrived] - 0.9).abs().max() < 0.05


def test_without_a_plate_the_head_stays_where_it_was_too():
    photo, matte, _ = scene()
    composition = CompositionConfig(has_plate=False).build()
    flow = moved_layers(0.3)
    still = coordinate_grid(16, 16, torch.empty(0))[None]
    picture = composition(flow._replace(flow=still), composition.backdrop(photo, matte))
    torch.testing.assert_close(picture, photo, rtol=0, atol=1e-5)


def test_the_sharp_photo_shows_where_the_weight_says_so():
    photo = torch.rand(1, 3, LARGE, LARGE)
    composition = CompositionConfig(has_plate=False).build()
    backdrop = composition.backdrop(photo, torch.ones(1, 1, SIDE, SIDE))
    middle = (..., slice(LARGE // 3, -LARGE // 3), slice(LARGE // 3, -LARGE // 3))
    shown = composition(moved_layers(0.0, weight=0.75, painted=0.1), backdrop)
    torch.testing.assert_close(shown[middle], 0.1 + 0.75 * photo[middle], rtol=0, atol=1e-5)


def rendering(weight: torch.Tensor | None, generated: torch.Tensor, warped: torch.Tensor) -> Rendering:
    flow = coordinate_grid(16, 16, torch.empty(0))[None]
    return Rendering(generated, flow, torch.ones(1, 2, 16, 16), torch.ones(1, 1, 16, 16), warped, None, flow, weight)


def test_layers_put_together_are_the_generated_image():
    generated, source = torch.rand(1, 3, SIDE, SIDE), torch.rand(1, 3, SIDE, SIDE)
    for weight in (torch.rand(1, 1, SIDE, SIDE), None):
        layers = layers_of(rendering(weight, generated, source), PIXELS["centres"])
        torch.testing.assert_close(flat_image(layers, source), generated)


def test_a_decoder_that_does_not_say_shows_the_photo_where_its_image_is_near_the_warped_photo():
    source = torch.rand(1, 3, SIDE, SIDE)
    generated = source.clone()
    generated[..., : SIDE // 2] = 1 - generated[..., : SIDE // 2]
    weight = layers_of(rendering(None, generated, source), PIXELS["centres"]).weight
    assert weight[..., : SIDE // 2 - 4].median() < 0.05
    assert weight[..., SIDE // 2 + 4 :].min() > 0.95


def test_a_flow_from_corner_to_corner_points_at_the_same_pixels_of_a_larger_photo():
    corners = PIXELS["corners"]
    flow = corners.grid(SIDE, SIDE, torch.empty(0))[None]
    torch.testing.assert_close(corners.to_edges(flow, SIDE), coordinate_grid(SIDE, SIDE, flow)[None])

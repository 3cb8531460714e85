import torch

from dagan.geometry.camera import pixel_centres
from dagan.geometry.splat import fill_holes, splat

SIDE = 16


def picture() -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel centres, `2 n`, and colours, `3 n`."""
    return pixel_centres(SIDE, SIDE, torch.zeros(1)).flatten(0, 1).T.contiguous(), torch.rand(3, SIDE * SIDE)


def test_points_on_pixel_centres_give_the_picture_back():
    at, colour = picture()
    image, cover = splat(at, torch.ones(SIDE * SIDE), colour, SIDE, SIDE)
    assert torch.allclose(image[0].flatten(1), colour, atol=1e-6)
    assert (cover == 1).all()


def test_a_whole_pixel_to_the_right_moves_the_picture_and_uncovers_a_column():
    at, colour = picture()
    image, cover = splat(at + torch.tensor([[1.0], [0.0]]), torch.ones(SIDE * SIDE), colour, SIDE, SIDE)
    assert torch.allclose(image[0, :, :, 1:], colour.view(3, SIDE, SIDE)[:, :, :-1], atol=1e-6)
    assert (cover[..., 0] == 0).all()
    assert (cover[..., 1:] == 1).all()


def test_the_nearer_point_hides_the_farther_whatever_their_order():
    at = torch.tensor([[3.5, 3.5], [5.5, 5.5]])
    colour = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    for order in ([0, 1], [1, 0]):
        image, _ = splat(at[:, order], torch.tensor([0.8, 1.2])[order], colour[:, order], SIDE, SIDE)
        assert image[0, :, 5, 3].tolist() == [1, 0, 0]


def test_points_of_one_surface_blend():
    at = torch.tensor([[3.5, 3.5], [5.5, 5.5]])
    image, _ = splat(at, torch.tensor([1.0, 1.001]), torch.tensor([[1.0, 0.0]] * 3), SIDE, SIDE)
    assert torch.allclose(image[0, :, 5, 3], torch.tensor(0.5))


def test_an_outline_is_mixed_with_what_lies_behind_it():
    at, _ = picture()
    front = torch.tensor([[3.75], [5.5]])  # covers three quarters of one pixel and a quarter of the next
    points, depth = torch.cat([at, front], 1), torch.cat([torch.full((SIDE * SIDE,), 2.0), torch.ones(1)])
    colour = torch.cat([torch.zeros(3, SIDE * SIDE), torch.ones(3, 1)], 1)
    image, cover = splat(points, depth, colour, SIDE, SIDE)
    assert image[0, 0, 5, 3] == 1
    assert 0.3 < image[0, 0, 5, 4] < 0.6
    assert (cover == 1).all()


def test_points_outside_are_left_out():
    at = torch.tensor([[-5.0, 99.0, 3.5], [3.5, 3.5, -7.0]])
    _, cover = splat(at, torch.ones(3), torch.ones(3, 3), SIDE, SIDE)
    assert cover.sum() == 0


def test_holes_are_filled_from_around_and_nothing_else_changes():
    image = torch.full((1, 3, 20, 13), 0.4)
    cover = torch.ones(1, 1, 20, 13)
    cover[..., 5:12, 3:9] = 0
    assert torch.allclose(fill_holes(image * cover, cover), image, atol=1e-5)
    mixed = torch.rand(1, 3, 20, 13)
    assert torch.equal((fill_holes(mixed, cover) * cover), mixed * cover)

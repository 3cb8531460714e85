import torch

from dagan.geometry.jumps import hidden_layer, sharpen_jumps, spread, widen_outlines
from depth_maps import FAR, FOCAL, NEAR, SIDE, block, smeared_disc


def test_values_spread_a_pixel_a_step_and_only_in_their_domain():
    known = torch.zeros(1, 1, 5, 9, dtype=torch.bool)
    known[..., 0] = True
    domain = torch.ones_like(known)
    domain[..., 6:] = False
    values = torch.full((1, 2, 5, 9), 3.0)
    grown, reached = spread(values, known, domain, 4)
    assert reached[0, 0, 2].tolist() == [True] * 5 + [False] * 4
    assert torch.allclose(grown[..., :5], torch.tensor(3.0))
    assert (grown[..., 5:] == 0).all()
    assert spread(values, known, domain, 20)[1][0, 0, 2].sum() == 6


def test_a_smeared_jump_becomes_a_step_of_one_pixel():
    smeared = smeared_disc()
    sharp = sharpen_jumps(smeared, FOCAL)
    between = ((sharp - NEAR) > 0.1 * (FAR - NEAR)) & ((FAR - sharp) > 0.1 * (FAR - NEAR))
    assert ((smeared - NEAR > 0.1) & (FAR - smeared > 0.1)).sum() > 50
    assert between.sum() == 0
    assert sharp[0, 0, 16, 16] == smeared[0, 0, 16, 16]


def test_a_gentle_surface_stays_as_it_is():
    slope = torch.linspace(0.8, 0.9, SIDE).expand(1, 1, SIDE, SIDE)
    assert torch.equal(sharpen_jumps(slope, FOCAL), slope)


def test_the_background_is_continued_behind_an_outline():
    depth = block()
    image = (depth > 1).float().expand(1, 3, SIDE, SIDE)  # the square is black, the background white
    hidden = hidden_layer(image, depth, FOCAL, reach=4)
    assert torch.allclose(hidden.depth[hidden.mask], torch.tensor(FAR), atol=1e-5)
    assert (hidden.image[0, 0][hidden.mask[0, 0]] > 0.999).all()
    assert hidden.mask[0, 0, 16].nonzero().flatten().tolist() == [8, 9, 10, 11, 20, 21, 22, 23]


def test_nothing_is_hidden_behind_a_face():
    nose = torch.full((1, 1, SIDE, SIDE), 0.85)
    nose[..., 14:18, 14:18] = 0.82
    assert not hidden_layer(torch.rand(1, 3, SIDE, SIDE), nose, FOCAL, reach=4).mask.any()


def test_outlines_widen_by_two_pixels():
    wide = widen_outlines(block(), FOCAL)
    assert (wide == NEAR).sum() == 20**2
    assert torch.equal(widen_outlines(wide * 0 + 1, FOCAL), wide * 0 + 1)

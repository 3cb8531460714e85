"""Affine registration on pictures that were moved by known motions."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dagan.geometry.registration import affine_flow, register, window
from dagan.geometry.warp import warp

IDENTITY = torch.eye(2, 3)


def picture(seed: int, side: int = 96) -> Tensor:
    """Coloured blobs of many sizes, `1 3 s s` in [0, 1]."""
    numbers = torch.Generator().manual_seed(seed)
    layers = [
        F.interpolate(torch.rand(1, 3, cells, cells, generator=numbers), (side, side), mode="bicubic")
        for cells in (4, 9, 17)
    ]
    return (torch.stack(layers).mean(0) * 1.6 - 0.3).clamp(0, 1)


def moved_by(values: list[list[float]]) -> Tensor:
    return IDENTITY[None] + torch.tensor([values])


@pytest.mark.parametrize("region", ["background", "torso"])
@pytest.mark.parametrize(
    "change",
    [[[0, 0, 0.12], [0, 0, -0.06]], [[0.06, 0, 0], [0, 0.06, 0.05]], [[0.02, -0.05, 0.03], [0.05, 0.02, 0.04]]],
)
def test_a_moved_picture_is_found_again_to_half_a_pixel_within_the_window(
    region: str, change: list[list[float]]
) -> None:
    source, motion = picture(1), moved_by(change)
    driving = warp(source, affine_flow(motion, 96, 96))

    found = register(source, driving, region)  # type: ignore[arg-type]

    miss = (affine_flow(found, 96, 96) - affine_flow(motion, 96, 96)).norm(dim=-1)[0]
    assert float(miss[window(region, 96, 96, source) > 0].mean()) < 2 / 96 / 2  # type: ignore[arg-type]


def test_what_moves_otherwise_in_the_middle_does_not_matter() -> None:
    source, motion = picture(2), moved_by([[0, 0, 0.1], [0, 0, 0.05]])
    driving = warp(source, affine_flow(motion, 96, 96))
    driving[:, :, 24:96, 20:76] = picture(3)[:, :, :72, :56]  # a head, and the shoulders below it

    found = register(source, driving, "background")

    assert torch.allclose(found, motion, atol=0.03)


def test_a_still_picture_stands_exactly_still() -> None:
    source = torch.cat([picture(4), torch.full((1, 3, 96, 96), 0.4)])

    found = register(source, source, "background")

    assert torch.equal(found, IDENTITY.expand(2, 2, 3))


def test_pictures_with_nothing_in_common_do_not_run_away() -> None:
    source, driving = torch.cat([picture(5), picture(6)]), torch.cat([picture(7), picture(8)])

    found = register(source, driving, "torso")

    assert found.isfinite().all()
    assert float((found - IDENTITY).abs().max()) < 0.8


def test_each_pair_of_a_batch_is_registered_by_itself() -> None:
    source = torch.cat([picture(1), picture(2)])
    motion = torch.cat([moved_by([[0, 0, 0.1], [0, 0, 0]]), moved_by([[0, 0, -0.08], [0, 0, 0.04]])])
    driving = warp(source, affine_flow(motion, 96, 96))

    together = register(source, driving, "background")

    alone = torch.cat([register(source[i : i + 1], driving[i : i + 1], "background") for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-4)


def test_the_regions_divide_a_portrait_and_leave_the_face_to_neither() -> None:
    like = torch.zeros(1)
    background, torso = (window(region, 64, 64, like) for region in ("background", "torso"))

    assert float((background * torso).sum()) == 0
    assert float(background[24:40, 20:44].sum() + torso[24:40, 20:44].sum()) == 0
    assert background[0].all()
    assert torso[-1].all()

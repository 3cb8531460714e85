"""Direct alignment against a scene of known depth and motion."""

import torch
from torch import Tensor

from dagan.geometry.alignment import align
from dagan.geometry.camera import back_project, pixel_centres, project, reproject, rotation_from_axis_angle
from dagan.types import CameraPose

SIZE = 64
INTRINSICS = torch.tensor([[[128.0, 0, 32], [0, 128.0, 32], [0, 0, 1]]])


def bulge() -> Tensor:
    """Depth of a head-like bulge: 0.7 in the middle, 1 at the borders."""
    radius = ((pixel_centres(SIZE, SIZE, torch.zeros(1)) / 32 - 1) / 0.6).square().sum(-1)
    return (1 - 0.3 * torch.exp(-radius))[None, None]


def texture(pixels: Tensor) -> Tensor:
    """Detail of many sizes and directions, as skin and hair have: alignment looks at local contrast."""
    numbers = torch.Generator().manual_seed(3)
    frequency = 0.2 * 6 ** torch.rand(24, generator=numbers)  # radians per pixel, 0.2 to 1.2
    angle, phase = 6.28 * torch.rand(2, 24, generator=numbers)
    along = torch.stack([angle.cos(), angle.sin()], -1) * frequency[:, None]
    waves = torch.sin(torch.einsum("...d,nd->...n", pixels, along) + phase)
    grey = 0.5 + 0.07 * waves.sum(-1)
    return torch.stack([grey, 0.8 * grey, 0.6 * grey], -3)


def scene(axis_angle: list[float], shift: list[float]) -> tuple[Tensor, Tensor, CameraPose]:
    """A frame, its neighbour and the motion between: a turn about (0, 0, 0.9), then a shift."""
    rotation = rotation_from_axis_angle(torch.tensor([axis_angle]))
    pivot = torch.tensor([0.0, 0.0, 0.9])
    pose = CameraPose(rotation, (pivot - rotation @ pivot + torch.tensor(shift)), INTRINSICS)
    depth = bulge()
    there = depth.clone()
    for _ in range(30):  # the depth in the neighbour's view, by fixed point
        points = back_project(there, torch.linalg.inv(INTRINSICS)) - pose.translation[:, :, None, None]
        origin = torch.einsum("bji,bjhw->bihw", rotation, points)  # in the frame's camera
        pixels = project(origin, INTRINSICS)
        surface = torch.nn.functional.grid_sample(depth, pixels / 32 - 1, padding_mode="border", align_corners=False)
        there = there + surface - origin[:, 2:]
    return texture(pixel_centres(SIZE, SIZE, depth))[None], texture(pixels), pose


def still() -> CameraPose:
    return CameraPose(torch.eye(3)[None], torch.zeros(1, 3), INTRINSICS)


def error(found: CameraPose, truth: CameraPose) -> tuple[float, float]:
    """Degrees, and distance at the pivot."""
    cosine = ((found.rotation[0].T @ truth.rotation[0]).trace() - 1) / 2
    pivot = torch.tensor([0.0, 0.0, 0.9])
    where = (found.rotation - truth.rotation)[0] @ pivot + (found.translation - truth.translation)[0]
    return float(torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))), float(where.norm())


def test_it_finds_a_turn_and_a_shift_from_a_standing_start() -> None:
    frame, neighbour, truth = scene([0.03, -0.08, 0.02], [0.01, -0.015, 0.01])
    found = align(still(), bulge(), frame, neighbour, levels=(2, 1, 0), steps=4)
    degrees, distance = error(found, truth)
    assert degrees < 0.3
    assert distance < 0.003


def test_a_patch_that_moves_by_itself_does_not_pull_the_pose_along() -> None:
    frame, neighbour, truth = scene([0.0, 0.06, 0.0], [0.01, 0.0, 0.0])
    neighbour[..., 40:50, 24:40] = neighbour[..., 46:56, 24:40]  # a mouth opens
    degrees, distance = error(align(still(), bulge(), frame, neighbour, levels=(2, 1, 0), steps=4), truth)
    assert degrees < 0.6
    assert distance < 0.006


def test_light_that_stays_while_the_head_turns_does_not_hold_the_pose_back() -> None:
    frame, neighbour, truth = scene([0.0, 0.08, 0.0], [0.0, 0.0, 0.0])
    x, _ = (pixel_centres(SIZE, SIZE, frame) / SIZE).unbind(-1)
    light = 0.4 + 0.8 * x  # fixed in the picture
    degrees, _ = error(align(still(), bulge(), frame * light, neighbour * light, levels=(2, 1, 0), steps=4), truth)
    assert degrees < 0.5


def test_shoulders_that_stay_behind_do_not_hold_the_pose_back() -> None:
    frame, neighbour, truth = scene([0.0, 0.08, 0.0], [0.0, 0.0, 0.0])
    frame[..., 50:, :] = neighbour[..., 50:, :] = texture(pixel_centres(14, SIZE, frame))[None]
    degrees, _ = error(align(still(), bulge(), frame, neighbour, levels=(2, 1, 0), steps=4), truth)
    assert degrees < 0.5


def test_equal_images_keep_the_pose() -> None:
    frame, _, _ = scene([0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    found = align(still(), bulge(), frame, frame)
    assert torch.equal(found.rotation, torch.eye(3)[None])
    assert torch.equal(found.translation, torch.zeros(1, 3))


def test_an_image_without_texture_keeps_the_pose_finite() -> None:
    grey = torch.full((1, 3, SIZE, SIZE), 0.5)
    found = align(still(), bulge(), grey, 0.8 * grey)
    assert all(part.isfinite().all() for part in found)
    assert error(found, still())[0] < 0.1


def test_samples_are_aligned_independently_of_their_batch() -> None:
    one, two = scene([0.0, 0.08, 0.0], [0.0, 0.0, 0.0]), scene([0.05, 0.0, 0.0], [0.0, 0.01, 0.0])
    start = CameraPose(*(part.repeat(2, *[1] * (part.dim() - 1)) for part in still()))
    both = align(start, bulge().repeat(2, 1, 1, 1), torch.cat([one[0], two[0]]), torch.cat([one[1], two[1]]))
    alone = align(still(), bulge(), two[0], two[1])
    assert torch.allclose(both.rotation[1:], alone.rotation, atol=1e-4)


def test_the_true_depth_explains_the_neighbour_better_than_a_plane_or_the_bulge_inside_out() -> None:
    frame, neighbour, _ = scene([0.0, 0.1, 0.0], [0.0, 0.0, 0.0])

    def remaining(depth: Tensor) -> float:
        found = align(still(), depth, frame, neighbour, levels=(2, 1, 0), steps=6)
        grid = reproject(depth, found).grid
        warped = torch.nn.functional.grid_sample(neighbour, grid, padding_mode="border", align_corners=False)
        return float((warped - frame)[..., 8:-8, 8:-8].abs().mean())

    true, plane, inside_out = (remaining(depth) for depth in (bulge(), torch.full_like(bulge(), 0.9), 1.7 - bulge()))
    assert true < 0.3 * plane
    assert true < 0.7 * inside_out

import torch

from dagan.geometry.camera import project
from dagan.geometry.relief import cloud_from_depth, mesh_from_depth, middle_depth, triangulate
from depth_maps import FAR, FOCAL, NEAR, SIDE, block, smeared_disc

CAMERA = torch.tensor([[[FOCAL, 0, SIDE / 2], [0, FOCAL, SIDE / 2], [0, 0, 1.0]]])


def test_no_triangle_crosses_a_jump_and_all_others_are_there():
    depth = block()
    corners = depth.flatten()[triangulate(depth, FOCAL)]
    assert (corners.amax(1) == corners.amin(1)).all()
    assert len(triangulate(torch.ones(1, 1, SIDE, SIDE), FOCAL)) == 2 * (SIDE - 1) ** 2
    squares_across = 2 * 4 * 16 + 2 * 4  # along the four sides, with the corners' remainders
    assert 2 * (SIDE - 1) ** 2 - len(corners) <= squares_across


def test_a_mesh_faces_the_viewer():
    mesh = mesh_from_depth(block(), CAMERA)
    a, b, c = mesh.position[mesh.triangles].unbind(1)
    assert (torch.linalg.cross(b - a, c - a)[:, 2] > 0).all()
    assert torch.allclose(mesh.normal, torch.tensor([0.0, 0.0, 1.0]), atol=1e-5)
    assert mesh.triangles.max() == len(mesh.position) - 1


def test_a_mesh_is_where_its_camera_saw_it():
    numbers = torch.rand(1, 1, SIDE, SIDE) * 0.001 + 0.9
    mesh = mesh_from_depth(numbers, CAMERA)
    points = mesh.position * torch.tensor([1.0, -1, -1]) + torch.tensor([0, 0, middle_depth(numbers)])
    seen = project(points.T[None, :, :, None], CAMERA)[0, :, 0]
    assert torch.allclose(seen / SIDE, mesh.texture_at, atol=1e-5)
    assert torch.allclose(points[:, 2], numbers.flatten(), atol=1e-6)


def test_up_in_the_picture_is_up_in_the_world_and_near_is_in_front():
    mesh = mesh_from_depth(block(), CAMERA)
    top = mesh.texture_at[:, 1] < 0.1
    assert (mesh.position[top, 1] > 0).all()
    assert mesh.position[:, 2].max() == 0  # the face is at the origin
    assert torch.isclose(mesh.position[:, 2].min(), torch.tensor(NEAR - FAR))


def test_a_cloud_has_the_colours_of_its_pixels():
    image = torch.rand(1, 3, SIDE, SIDE)
    cloud = cloud_from_depth(image, torch.ones(1, 1, SIDE, SIDE), CAMERA)
    assert torch.equal(cloud.colour, image[0].flatten(1).T)


def test_a_smeared_outline_leaves_no_points_between_the_surfaces():
    cloud = cloud_from_depth(torch.rand(1, 3, SIDE, SIDE), smeared_disc(), CAMERA)
    z = cloud.position[:, 2]
    assert ((z < -0.1) & (z > NEAR - FAR + 0.1)).sum() == 0

"""Files are read back by trimesh, and what it does not read, from glTF's own description."""

import builtins
import json

import numpy as np
import pytest
import torch
import trimesh

from dagan.depth.surface_files import write_glb, write_ply
from dagan.errors import UserError
from dagan.geometry.relief import Mesh, PointCloud

POSITION = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, -0.5]])
NORMAL = torch.tensor([[0.0, 0, 1]]).expand(4, 3)
TRIANGLES = torch.tensor([[0, 1, 2], [2, 1, 3]])


@pytest.fixture
def glb(tmp_path):
    """A mesh file whose texture is red at its top, and the texture coordinates that it was given."""
    texture_at = torch.rand(4, 2)
    image = torch.full((1, 3, 16, 24), 0.5)
    image[:, 0, :8] = 1
    write_glb(tmp_path / "mesh.glb", Mesh(POSITION, NORMAL, texture_at, TRIANGLES), image, 0.5, 0.8)
    return tmp_path / "mesh.glb", texture_at


def described(content: bytes) -> dict:
    return json.loads(content[20 : 20 + int.from_bytes(content[12:16], "little")])


def test_a_point_cloud_opens_with_its_colours(tmp_path):
    colour = torch.tensor([[0.0, 0.5, 1.0]]).expand(4, 3)
    write_ply(tmp_path / "cloud.ply", PointCloud(POSITION, NORMAL, colour))
    cloud = trimesh.load(tmp_path / "cloud.ply")
    assert cloud.vertices.tolist() == POSITION.tolist()
    assert cloud.colors[3].tolist() == [0, 128, 255, 255]


def test_a_point_cloud_holds_normals_for_those_who_read_them(tmp_path):
    write_ply(tmp_path / "cloud.ply", PointCloud(POSITION, NORMAL, NORMAL))
    head, body = (tmp_path / "cloud.ply").read_bytes().split(b"end_header\n", 1)
    assert b"binary_little_endian" in head
    fields = [
        line.split()[2].decode() for line in head.splitlines() if line.startswith(b"property") and b"list" not in line
    ]
    assert fields == ["x", "y", "z", "nx", "ny", "nz", "red", "green", "blue", "alpha"]
    points = np.frombuffer(body, [("place", "<f4", 6), ("colour", "u1", 4)])
    assert points["place"][:, 3:].tolist() == NORMAL.tolist()


def test_a_mesh_opens_with_its_texture(glb):
    path, texture_at = glb
    (mesh,) = trimesh.load(path).geometry.values()
    assert mesh.vertices.tolist() == POSITION.tolist()
    assert mesh.faces.tolist() == TRIANGLES.tolist()
    assert mesh.vertex_normals.tolist() == NORMAL.tolist()
    assert np.allclose(mesh.visual.uv, texture_at.numpy() * (1, -1) + (0, 1), atol=1e-6)  # trimesh has y up
    picture = mesh.visual.material.baseColorTexture
    assert picture.size == (24, 16)
    assert picture.getpixel((3, 3)) == (255, 128, 128)  # the top of the picture is the top of the texture


def test_a_mesh_has_the_camera_that_took_the_picture_and_no_lamps(glb):
    description = described(glb[0].read_bytes())
    node = next(node for node in description["nodes"] if "camera" in node)
    assert description["nodes"].index(node) in description["scenes"][0]["nodes"]
    assert node["translation"] == [0, 0, 0.8]
    assert description["cameras"][node["camera"]]["perspective"]["yfov"] == 0.5
    assert description["cameras"][node["camera"]]["perspective"]["aspectRatio"] == 1.5
    assert "KHR_materials_unlit" in description["materials"][0]["extensions"]
    assert description["extensionsUsed"] == ["KHR_materials_unlit"]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "cloud.ply").write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk is gone")))
    with pytest.raises(OSError, match="gone"):
        write_ply(tmp_path / "cloud.ply", PointCloud(POSITION, NORMAL, NORMAL))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]


def test_without_trimesh_one_line_names_the_extra(tmp_path, monkeypatch):
    def refuse(name, *rest, real=builtins.__import__):
        if name == "trimesh":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match=r"dagan\[depth\]"):
        write_ply(tmp_path / "cloud.ply", PointCloud(POSITION, NORMAL, NORMAL))

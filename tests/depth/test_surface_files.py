"""Files are read back by hand, as their specifications say, without the code that wrote them."""

import io
import json
import struct

import numpy as np
import pytest
import torch
from PIL import Image

from dagan.depth.surface_files import write_glb, write_ply
from dagan.geometry.relief import Mesh, PointCloud

POSITION = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, -0.5]])
NORMAL = torch.tensor([[0.0, 0, 1]]).expand(4, 3)
TRIANGLES = torch.tensor([[0, 1, 2], [2, 1, 3]])


def read_ply(content: bytes) -> tuple[list[str], np.ndarray]:
    head, body = content.split(b"end_header\n", 1)
    lines = head.decode("ascii").splitlines()
    kinds = {"float": "<f4", "uchar": "u1"}
    fields = [(line.split()[2], kinds[line.split()[1]]) for line in lines if line.startswith("property")]
    return lines, np.frombuffer(body, fields)


def read_glb(content: bytes) -> tuple[dict, bytes]:
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    json_length, json_kind = struct.unpack_from("<I4s", content, 12)
    assert json_kind == b"JSON"
    assert json_length % 4 == 0
    start = 20 + json_length
    binary_length, binary_kind = struct.unpack_from("<I4s", content, start)
    assert binary_kind == b"BIN\0"
    assert binary_length % 4 == 0
    assert start + 8 + binary_length == length
    return json.loads(content[20:start]), content[start + 8 :]


def array(gltf: dict, binary: bytes, number: int) -> np.ndarray:
    accessor = gltf["accessors"][number]
    view = gltf["bufferViews"][accessor["bufferView"]]
    assert view["byteOffset"] % 4 == 0
    kind = {5126: "<f4", 5125: "<u4"}[accessor["componentType"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
    values = np.frombuffer(binary, kind, accessor["count"] * width, view["byteOffset"])
    assert values.nbytes == view["byteLength"]
    return values.reshape(-1, width)


def test_a_ply_says_what_it_holds(tmp_path):
    colour = torch.tensor([[0.0, 0.5, 1.0]]).expand(4, 3)
    write_ply(tmp_path / "cloud.ply", PointCloud(POSITION, NORMAL, colour))
    lines, points = read_ply((tmp_path / "cloud.ply").read_bytes())
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "element vertex 4" in lines
    assert np.stack([points[name] for name in "xyz"], 1).tolist() == POSITION.tolist()
    assert np.stack([points[name] for name in ("nx", "ny", "nz")], 1).tolist() == NORMAL.tolist()
    assert points[["red", "green", "blue"]][3].tolist() == (0, 128, 255)


def test_a_glb_says_what_it_holds(tmp_path):
    texture_at = torch.rand(4, 2)
    image = torch.full((1, 3, 16, 24), 0.5)
    image[:, 0, :8] = 1
    write_glb(tmp_path / "mesh.glb", Mesh(POSITION, NORMAL, texture_at, TRIANGLES), image, 0.5, 0.8)
    gltf, binary = read_glb((tmp_path / "mesh.glb").read_bytes())
    primitive = gltf["meshes"][0]["primitives"][0]
    attributes = primitive["attributes"]
    assert array(gltf, binary, attributes["POSITION"]).tolist() == POSITION.tolist()
    assert array(gltf, binary, attributes["NORMAL"]).tolist() == NORMAL.tolist()
    assert np.array_equal(array(gltf, binary, attributes["TEXCOORD_0"]), texture_at.numpy())
    assert array(gltf, binary, primitive["indices"]).reshape(-1, 3).tolist() == TRIANGLES.tolist()
    bounds = gltf["accessors"][attributes["POSITION"]]
    assert (bounds["min"], bounds["max"]) == ([0, 0, -0.5], [1, 1, 0])
    view = gltf["bufferViews"][gltf["images"][0]["bufferView"]]
    jpeg = Image.open(io.BytesIO(binary[view["byteOffset"] :][: view["byteLength"]]))
    assert jpeg.size == (24, 16)
    assert jpeg.getpixel((3, 3))[0] > 240  # the top of the picture is the top of the texture
    assert gltf["buffers"][0]["byteLength"] == len(binary)


def test_a_glb_has_the_camera_that_took_the_picture(tmp_path):
    image = torch.rand(1, 3, 16, 24)
    write_glb(tmp_path / "mesh.glb", Mesh(POSITION, NORMAL, torch.rand(4, 2), TRIANGLES), image, 0.5, 0.8)
    gltf, _ = read_glb((tmp_path / "mesh.glb").read_bytes())
    node = next(node for node in gltf["nodes"] if "camera" in node)
    assert node["translation"] == [0, 0, 0.8]
    assert gltf["cameras"][node["camera"]]["perspective"]["yfov"] == 0.5
    assert gltf["cameras"][node["camera"]]["perspective"]["aspectRatio"] == 1.5


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "cloud.ply").write_text("old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk is gone")))
    with pytest.raises(OSError, match="gone"):
        write_ply(tmp_path / "cloud.ply", PointCloud(POSITION, NORMAL, NORMAL))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]

"""Depth as files for viewers and modellers: point clouds in PLY, textured meshes in GLB (binary glTF 2.0)."""

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from dagan.depth.files import NUMBERS, whole_file
from dagan.geometry.relief import Mesh, PointCloud
from dagan.images import to_pixels

TEXTURE_QUALITY = 95  # of the JPEG in a mesh

# Numbers of the glTF 2.0 specification
GLB_MAGIC, JSON_CHUNK, BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
FLOAT, UNSIGNED_INT = 5126, 5125
ARRAY_BUFFER, ELEMENT_BUFFER = 34962, 34963
CLAMP_TO_EDGE = 33071


def write_ply(path: Path, cloud: PointCloud) -> None:
    """A point cloud in binary PLY: position, normal and 8-bit colour of every point."""
    fields = [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")] + [(name, "u1") for name in ("r", "g", "b")]
    points = np.empty(len(cloud.position), dtype=fields)
    colour = (cloud.colour.clamp(0, 1) * 255).round()
    columns = np.concatenate([part.cpu().numpy() for part in (cloud.position, cloud.normal, colour)], axis=1)
    for index, (name, _) in enumerate(fields):
        points[name] = columns[:, index]
    header = ["ply", "format binary_little_endian 1.0", "comment x right, y up, z towards the camera; units of F_d"]
    header += [f"element vertex {len(points)}"]
    header += [f"property float {name}" for name in ("x", "y", "z", "nx", "ny", "nz")]
    header += [f"property uchar {name}" for name in ("red", "green", "blue")]
    with whole_file(path) as file:
        file.write(("\n".join([*header, "end_header"]) + "\n").encode("ascii"))
        file.write(points.tobytes())


def write_glb(path: Path, mesh: Mesh, image: Float[Tensor, "1 3 h w"], vertical_view: float, distance: float) -> None:
    """A textured mesh in binary glTF 2.0, shaded by the photo's own light alone (unlit).

    With the camera that took the picture, at `distance` before the origin; `vertical_view` is its angle in radians.
    """
    texture = io.BytesIO()
    Image.fromarray(to_pixels(image)).save(texture, "jpeg", quality=TEXTURE_QUALITY, subsampling=0)
    arrays = [part.cpu().numpy().astype(NUMBERS) for part in (mesh.position, mesh.normal, mesh.texture_at)]
    parts = [part.tobytes() for part in (*arrays, mesh.triangles.cpu().numpy().astype("<u4"))] + [texture.getvalue()]
    padded = [part + b"\0" * (-len(part) % 4) for part in parts]
    height, width = image.shape[2:]
    description = _gltf(mesh, parts, [len(part) for part in padded])
    perspective = {"yfov": vertical_view, "aspectRatio": width / height, "znear": distance / 100}
    description["cameras"] = [{"type": "perspective", "perspective": perspective}]
    description["nodes"] = [{"mesh": 0, "name": "portrait"}, {"camera": 0, "translation": [0.0, 0.0, distance]}]
    plain = json.dumps(description, separators=(",", ":")).encode()
    plain += b" " * (-len(plain) % 4)
    binary = b"".join(padded)
    with whole_file(path) as file:
        file.write(struct.pack("<III", GLB_MAGIC, 2, 12 + 8 + len(plain) + 8 + len(binary)))
        file.write(struct.pack("<II", len(plain), JSON_CHUNK) + plain)
        file.write(struct.pack("<II", len(binary), BINARY_CHUNK) + binary)


def _gltf(mesh: Mesh, parts: list[bytes], padded_lengths: list[int]) -> dict[str, Any]:
    """glTF's description of positions, normals, texture coordinates, triangles and texture, in this order."""
    views: list[dict[str, int]] = []
    targets = [ARRAY_BUFFER, ARRAY_BUFFER, ARRAY_BUFFER, ELEMENT_BUFFER]
    for index, part in enumerate(parts):
        target = {"target": targets[index]} if index < len(targets) else {}
        views.append({"buffer": 0, "byteOffset": sum(padded_lengths[:index]), "byteLength": len(part), **target})
    count = len(mesh.position)
    low, high = (bound.tolist() for bound in mesh.position.aminmax(dim=0))
    accessors = [
        {"bufferView": 0, "componentType": FLOAT, "count": count, "type": "VEC3", "min": low, "max": high},
        {"bufferView": 1, "componentType": FLOAT, "count": count, "type": "VEC3"},
        {"bufferView": 2, "componentType": FLOAT, "count": count, "type": "VEC2"},
        {"bufferView": 3, "componentType": UNSIGNED_INT, "count": mesh.triangles.numel(), "type": "SCALAR"},
    ]
    attributes = {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}
    return {
        "asset": {"version": "2.0", "generator": "dagan"},
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{"nodes": [0, 1]}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 3, "material": 0}]}],
        "materials": [
            {
                "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}, "metallicFactor": 0, "roughnessFactor": 1},
                "doubleSided": True,
                "extensions": {"KHR_materials_unlit": {}},
            }
        ],
        "textures": [{"source": 0, "sampler": 0}],
        "samplers": [{"wrapS": CLAMP_TO_EDGE, "wrapT": CLAMP_TO_EDGE}],
        "images": [{"bufferView": 4, "mimeType": "image/jpeg"}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": sum(padded_lengths)}],
    }

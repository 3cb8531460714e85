"""Depth as files for viewers and modellers: point clouds in PLY, textured meshes in GLB (binary glTF 2.0)."""

from pathlib import Path
from types import ModuleType
from typing import Any

from jaxtyping import Float
from PIL import Image
from torch import Tensor

from dagan.depth.map_files import whole_file
from dagan.errors import UserError
from dagan.geometry.relief import Mesh, PointCloud
from dagan.images import to_pixels

CLAMP_TO_EDGE = 33071  # of the glTF 2.0 specification: the texture does not repeat
UNLIT = "KHR_materials_unlit"  # shows the texture's own colours, without lamps


def write_ply(path: Path, cloud: PointCloud) -> None:
    """A point cloud in binary PLY: position, normal and 8-bit colour of every point.

    Raises:
        UserError: trimesh is not installed.
    """
    points = require_trimesh().Trimesh(
        vertices=cloud.position.cpu().numpy(),
        vertex_normals=cloud.normal.cpu().numpy(),
        vertex_colors=(cloud.colour.clamp(0, 1) * 255).round().byte().cpu().numpy(),
        process=False,
    )
    content = points.export(file_type="ply", vertex_normal=True)
    with whole_file(path) as file:
        file.write(content)


def write_glb(path: Path, mesh: Mesh, image: Float[Tensor, "1 3 h w"], vertical_view: float, distance: float) -> None:
    """A textured mesh in binary glTF 2.0 that is shown without lamps (unlit), with the camera that took the picture.

    The camera stands at (0, 0, `distance`); `vertical_view` is its angle in radians.

    Raises:
        UserError: trimesh is not installed.
    """
    trimesh = require_trimesh()
    height, width = image.shape[2:]
    texture_at = mesh.texture_at.double().cpu().numpy() * (1, -1) + (0, 1)  # trimesh has y up
    material = trimesh.visual.material.PBRMaterial(
        baseColorTexture=Image.fromarray(to_pixels(image)), metallicFactor=0.0, roughnessFactor=1.0, doubleSided=True
    )
    surface = trimesh.Trimesh(
        vertices=mesh.position.cpu().numpy(),
        faces=mesh.triangles.cpu().numpy(),
        vertex_normals=mesh.normal.cpu().numpy(),
        visual=trimesh.visual.TextureVisuals(uv=texture_at, material=material),
        process=False,
    )

    def finish(tree: dict[str, Any]) -> None:
        """What trimesh does not write: the camera's exact angles, the unlit material, and that the texture ends."""
        perspective = {"yfov": vertical_view, "aspectRatio": width / height, "znear": distance / 100}
        tree["cameras"] = [{"type": "perspective", "perspective": perspective}]
        tree["nodes"].append({"camera": 0, "translation": [0.0, 0.0, distance]})
        tree["scenes"][0]["nodes"].append(len(tree["nodes"]) - 1)
        tree["materials"][0]["extensions"] = {UNLIT: {}}
        tree["extensionsUsed"] = [UNLIT]
        tree["samplers"] = [{"wrapS": CLAMP_TO_EDGE, "wrapT": CLAMP_TO_EDGE}]
        tree["textures"][0]["sampler"] = 0

    scene = trimesh.Scene({"portrait": surface})
    content = scene.export(file_type="glb", include_normals=True, tree_postprocessor=finish)
    with whole_file(path) as file:
        file.write(content)


def require_trimesh() -> ModuleType:
    """The library that writes meshes. Raises UserError that names the extra when it is not installed."""
    try:
        import trimesh
    except ImportError:
        raise UserError(
            "point clouds (ply) and meshes (glb) need trimesh: pip install 'dagan[depth]', or choose other forms with "
            "--format, such as map,raw,npy"
        ) from None
    return trimesh

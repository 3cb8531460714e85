"""The bundled photo, changed in ways whose effect is known: the head turned, the mouth opened, the eyes closed.

Observers are tested with it, without a set of labelled pictures.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from dagan.data.pictures import read_image
from dagan.observers import FACE_LANDMARKER

PHOTO = FACE_LANDMARKER.with_name("astronaut.png")
FACE_BOX = (118, 16, 330, 228)  # left, top, right, bottom in the photo: the face in the middle, with room to move
SIDE = 256
DEPTH_STEP = 4  # pixels between the places where depth is interpolated
SMOOTHNESS = 4.0  # pixels: how far the depth of a landmark reaches
STEPS = 20  # of the fixed-point search for where a pixel came from
DAMPING = 0.7
MOUTH_CORNERS, INNER_LIPS, CHIN = (61, 291), (13, 14), 152
UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
LID_SKIN = 0.9  # of the distance of the eye's corners: how high above the lid its skin is stretched from, halved
# From the nose tip back to the sides of the face, over the face's width: about 128 mm and 137 mm in adults. The mesh of
# a photo is flatter (0.7): a head with its depth would look turned by two thirds of the angle.
HEAD_PROPORTION = 0.93
NOSE_TIP, SIDES = 1, (234, 454)
DARK = 25  # brightness inside an opened mouth

Pixels = UInt8[np.ndarray, "h w 3"]
Landmarks = Float[np.ndarray, "478 3"]


def photo() -> Pixels:
    """The face of the bundled photo, framed as the clips are."""
    image = Image.fromarray(read_image(PHOTO)).crop(FACE_BOX)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def turn_head(image: Pixels, landmarks: Landmarks, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Pixels:
    """The picture as a relief, with the depth of the landmarks, turned by degrees about the middle of the head.

    The relief is deepened to the proportions of a head. Signs as `HeadPose`; seen from far away (orthographic). What
    the photo does not show is stretched.
    """
    height, width = image.shape[:2]
    rotation = _rotation(yaw, pitch, roll)
    landmarks = landmarks * np.array([1, 1, _deepening(landmarks)])
    centre = np.array([*landmarks[:, :2].mean(axis=0), 0])
    target = _pixel_centres(height, width)
    depth = _depth(height, width, landmarks)
    at = target.copy()
    for _ in range(STEPS):
        points = np.concatenate([at, _read(depth, at)], 1) - centre
        landed = (points @ rotation.T + centre)[:, :2]
        at += DAMPING * (target - landed)
    return _sample(image, at)


def open_mouth(image: Pixels, landmarks: Landmarks, pixels: float) -> Pixels:
    """The lower lip and the chin moved down by so many pixels, with a dark mouth between the lips."""
    at = _pixel_centres(*image.shape[:2])
    left, right = (landmarks[point, :2] for point in MOUTH_CORNERS)
    across = (at[:, 0] - (left[0] + right[0]) / 2) / ((right[0] - left[0]) / 2)
    line = landmarks[list(INNER_LIPS), 1].mean()
    opening = pixels * np.clip(1 - across**2, 0, None)
    inside = (at[:, 1] > line) & (at[:, 1] < line + opening)
    chin = landmarks[CHIN, 1] + pixels
    fading = np.clip((image.shape[0] - at[:, 1]) / max(image.shape[0] - chin, 1), 0, 1)
    moved = np.where(at[:, 1] >= line + opening, opening * np.where(at[:, 1] > chin, fading, 1), 0)
    result = _sample(image, at - np.stack([np.zeros_like(moved), moved], 1))
    result[inside.reshape(image.shape[:2])] = DARK
    return result


def close_eyes(image: Pixels, landmarks: Landmarks, share: float = 1.0) -> Pixels:
    """The skin above each eye stretched over it: `share` 1 closes the lids."""
    at = _pixel_centres(*image.shape[:2])
    for upper, lower in zip(UPPER_LIDS, LOWER_LIDS, strict=True):
        lid, under = (_line(landmarks[list(points), :2], at[:, 0]) for points in (upper, lower))
        corners = landmarks[[upper[0], upper[-1]], 0]
        top = lid - LID_SKIN * abs(corners[1] - corners[0]) / 2
        closed = lid + share * (under - lid)
        within = (at[:, 0] > corners.min()) & (at[:, 0] < corners.max()) & (at[:, 1] > top) & (at[:, 1] < closed)
        stretched = top + (at[:, 1] - top) * (lid - top) / np.maximum(closed - top, 1e-6)
        at[:, 1] = np.where(within, stretched, at[:, 1])
    return _sample(image, at)


def _rotation(yaw: float, pitch: float, roll: float) -> Float[np.ndarray, "3 3"]:
    """Of points in pixels: x right, y down, z away from the camera."""
    (cy, sy), (cp, sp), (cr, sr) = ((math.cos(a), math.sin(a)) for a in map(math.radians, (yaw, pitch, roll)))
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])  # the nose, at negative z, goes right
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])  # the nose goes up
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])  # clockwise, as y points down
    return np.asarray(about_y @ about_x @ about_z)


def _deepening(landmarks: Landmarks) -> float:
    """The factor on depth that gives the face the proportions of a head."""
    left, right = (landmarks[side] for side in SIDES)
    return float(HEAD_PROPORTION * (right[0] - left[0]) / ((left[2] + right[2]) / 2 - landmarks[NOSE_TIP, 2]))


def _depth(height: int, width: int, landmarks: Landmarks) -> Float[Tensor, "1 1 h w"]:
    """Depth of the landmarks, interpolated by inverse distance; beyond the face that of its outline."""
    rows, columns = np.mgrid[DEPTH_STEP / 2 : height : DEPTH_STEP, DEPTH_STEP / 2 : width : DEPTH_STEP]
    coarse = np.stack([columns, rows], -1)  # h' w' 2
    squared = ((coarse[:, :, None] - landmarks[:, :2]) ** 2).sum(-1)  # h' w' 478
    weight = 1 / (squared + SMOOTHNESS**2) ** 2
    depth = (weight * landmarks[:, 2]).sum(-1) / weight.sum(-1)
    grown = F.interpolate(
        torch.from_numpy(depth)[None, None], size=(height, width), mode="bicubic", align_corners=False
    )
    return grown.float()


def _read(depth: Float[Tensor, "1 1 h w"], at: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 1"]:
    size = np.array([depth.shape[3], depth.shape[2]])
    grid = torch.from_numpy(at / size * 2 - 1).float()[None, None]
    found = F.grid_sample(depth, grid, padding_mode="border", align_corners=False)
    return np.asarray(found.numpy().reshape(-1, 1))


def _line(points: Float[np.ndarray, "k 2"], x: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Height of the polygon line through points at each x."""
    ordered = points[np.argsort(points[:, 0])]
    return np.asarray(np.interp(x, ordered[:, 0], ordered[:, 1]))


def _pixel_centres(height: int, width: int) -> Float[np.ndarray, "n 2"]:
    rows, columns = np.mgrid[:height, :width] + 0.5
    return np.stack([columns.ravel(), rows.ravel()], 1)


def _sample(image: Pixels, at: Float[np.ndarray, "n 2"]) -> Pixels:
    height, width = image.shape[:2]
    grid = torch.from_numpy(at / np.array([width, height]) * 2 - 1).float().reshape(1, height, width, 2)
    pixels = torch.tensor(image, dtype=torch.float32).permute(2, 0, 1)[None]
    moved = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    return np.asarray(moved[0].permute(1, 2, 0).round().byte().numpy())

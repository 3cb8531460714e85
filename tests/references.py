"""The paper's maths as slow NumPy loops: one pixel, keypoint or pair at a time, written from the text and not from src.

Images are `h w` or `c h w`, coordinates (x, y) in [-1, 1] with pixel centres half a pixel inside the edges.
"""

import math

import numpy as np


def centre(index: int, length: int) -> float:
    """The coordinate of a pixel's centre."""
    return (2 * index + 1) / length - 1


def pixel(coordinate: float, length: int) -> float:
    """The (fractional) index of the pixel whose centre is at a coordinate."""
    return (coordinate + 1) * length / 2 - 0.5


def grid(height: int, width: int) -> np.ndarray:
    """`h w 2`: the coordinates of every pixel centre."""
    return np.array([[(centre(x, width), centre(y, height)) for x in range(width)] for y in range(height)])


def bilinear(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """The value of `c h w` at coordinates (x, y); beyond the outer centres the border repeats."""
    _, height, width = image.shape
    column = min(max(pixel(x, width), 0), width - 1)
    row = min(max(pixel(y, height), 0), height - 1)
    left, top = int(column), int(row)
    right, bottom = min(left + 1, width - 1), min(top + 1, height - 1)
    to_right, down = column - left, row - top
    upper = (1 - to_right) * image[:, top, left] + to_right * image[:, top, right]
    lower = (1 - to_right) * image[:, bottom, left] + to_right * image[:, bottom, right]
    return (1 - down) * upper + down * lower


def warp(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """BI of Eq. 4 and W_p of Eq. 8: every output pixel read from where `flow`, `h w 2`, points."""
    height, width = flow.shape[:2]
    warped = np.empty((image.shape[0], height, width))
    for row in range(height):
        for column in range(width):
            warped[:, row, column] = bilinear(image, *flow[row, column])
    return warped


def expectation(heatmap: np.ndarray) -> np.ndarray:
    """`k 2`: mean position under each map of `k h w`."""
    count, height, width = heatmap.shape
    position = np.zeros((count, 2))
    for k in range(count):
        for row in range(height):
            for column in range(width):
                position[k] += heatmap[k, row, column] * np.array([centre(column, width), centre(row, height)])
    return position


def gaussians(position: np.ndarray, height: int, width: int, variance: float) -> np.ndarray:
    """`k h w`: exp(-|z - x_n|^2 / (2 variance))."""
    maps = np.empty((len(position), height, width))
    for k, (x, y) in enumerate(position):
        for row in range(height):
            for column in range(width):
                squared = (centre(column, width) - x) ** 2 + (centre(row, height) - y) ** 2
                maps[k, row, column] = math.exp(-squared / (2 * variance))
    return maps


def offset_motion(source: np.ndarray, driving: np.ndarray, height: int, width: int) -> np.ndarray:
    """`k h w 2`: the coordinate map z plus O_n = x_s,n - x_d,n (Eq. 7)."""
    moved = np.empty((len(source), height, width, 2))
    for n in range(len(source)):
        for row in range(height):
            for column in range(width):
                for axis, z in enumerate((centre(column, width), centre(row, height))):
                    moved[n, row, column, axis] = z + (source[n, axis] - driving[n, axis])
    return moved


def affine_motion(source, source_frames, driving, driving_frames, height: int, width: int) -> np.ndarray:
    """`k h w 2`: FOMM's first order, x_s + J_s J_d^-1 (z - x_d)."""
    moved = np.empty((len(source), height, width, 2))
    for n in range(len(source)):
        turn = source_frames[n] @ np.linalg.inv(driving_frames[n])
        for row in range(height):
            for column in range(width):
                z = np.array([centre(column, width), centre(row, height)])
                moved[n, row, column] = source[n] + turn @ (z - driving[n])
    return moved


def softmax(logits: np.ndarray) -> np.ndarray:
    """Of one row of numbers."""
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def attention(asking: np.ndarray, warped: np.ndarray, weights: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """F_g and A of Eq. 9 for `c n` features: weights are W_q, W_k, W_v (`out in`) and their biases b_q, b_k, b_v."""
    count = warped.shape[1]
    query = [weights["W_q"] @ asking[:, i] + weights["b_q"] for i in range(count)]
    key = [weights["W_k"] @ warped[:, i] + weights["b_k"] for i in range(count)]
    value = [weights["W_v"] @ warped[:, i] + weights["b_v"] for i in range(count)]
    rows = np.array([softmax(np.array([q @ k for k in key])) for q in query])
    refined = np.array([sum(share * v for share, v in zip(row, value, strict=True)) for row in rows])
    return refined.T, rows


def reproject(depth: np.ndarray, rotation: np.ndarray, translation: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """`h w 2`: where each pixel lands in the other frame (Eq. 3), K in pixels with centres at integer + 0.5."""
    height, width = depth.shape
    landed = np.empty((height, width, 2))
    for row in range(height):
        for column in range(width):
            ray = np.linalg.inv(intrinsics) @ np.array([column + 0.5, row + 0.5, 1.0])
            seen = intrinsics @ (rotation @ (depth[row, column] * ray) + translation)
            landed[row, column] = 2 * seen[0] / seen[2] / width - 1, 2 * seen[1] / seen[2] / height - 1
    return landed


def ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Wang et al. 2004 on `h w` with 3x3 windows of equal weights and reflected borders."""
    x_padded, y_padded, result = np.pad(x, 1, mode="reflect"), np.pad(y, 1, mode="reflect"), np.empty_like(x)
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            a, b = (padded[row : row + 3, column : column + 3].ravel() for padded in (x_padded, y_padded))
            luminance = (2 * a.mean() * b.mean() + 0.01**2) / (a.mean() ** 2 + b.mean() ** 2 + 0.01**2)
            covariance = ((a - a.mean()) * (b - b.mean())).mean()
            result[row, column] = luminance * (2 * covariance + 0.03**2) / (a.var() + b.var() + 0.03**2)
    return result


def photometric_error(x: np.ndarray, y: np.ndarray, alpha: float) -> np.ndarray:
    """`h w`: P_e of Eq. 5 for `c h w` images, averaged over channels."""
    per_channel = [alpha * (1 - ssim(a, b)) + (1 - alpha) * abs(a - b) for a, b in zip(x, y, strict=True)]
    return np.mean(per_channel, axis=0)


def plane_warp(point, linear, shift, controls, weights) -> np.ndarray:
    """T(x) = A x + t + sum_j w_j U(|x - c_j|_1), U(r) = r^2 log r, the same bend on both axes (FOMM)."""
    bend = 0.0
    for control, weight in zip(controls, weights, strict=True):
        distance = abs(point[0] - control[0]) + abs(point[1] - control[1])
        if distance > 0:
            bend += weight * distance**2 * math.log(distance)
    return linear @ point + shift + bend


def pair_values(position: np.ndarray, value) -> float:
    """Mean over pairs i != j of value(|x_i - x_j|_1)."""
    values = []
    for i in range(len(position)):
        for j in range(len(position)):
            if i != j:
                values.append(value(abs(position[i, 0] - position[j, 0]) + abs(position[i, 1] - position[j, 1])))
    return float(np.mean(values))


def shrink(image: np.ndarray, factor: int) -> np.ndarray:
    """`h w` at 1 / factor of its size: a Gaussian of sigma (factor - 1) / 2 about the middle of each block of pixels.

    The Gaussian ends where nothing is left of it, and the border repeats.
    """
    sigma, reach = (factor - 1) / 2, 3 * factor
    height, width = image.shape[0] // factor, image.shape[1] // factor
    small = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            total = weights = 0.0
            for y in range(factor * row - reach, factor * (row + 1) + reach):
                for x in range(factor * column - reach, factor * (column + 1) + reach):
                    away_y, away_x = (y + 0.5) - (row + 0.5) * factor, (x + 0.5) - (column + 0.5) * factor
                    weight = math.exp(-(away_x**2 + away_y**2) / (2 * sigma**2))
                    inside = image[min(max(y, 0), image.shape[0] - 1), min(max(x, 0), image.shape[1] - 1)]
                    total, weights = total + weight * inside, weights + weight
            small[row, column] = total / weights
    return small

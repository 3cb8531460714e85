"""Signs of health of stage 1, and the degenerate solutions that they show: flat depth, zero motion, a runaway focal.

Each of them is a fixed point of the photometric error: it is why the loss going down says little.
"""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from dagan.losses.photometric import MinimumError
from dagan.types import CameraPose

SIGNS = ("relief", "bulge", "rotation", "moving", "focal")  # what `find_degeneracies` reads


def signs_of_health(
    disparity: Float[Tensor, "b 1 h w"], minimum: MinimumError, poses: tuple[CameraPose, ...], image_width: int
) -> dict[str, Float[Tensor, ""]]:
    """Numbers that show a degenerate solution: see `find_degeneracies`.

    relief: spread of disparity within a frame; bulge: its middle minus its borders; moving: share of pixels explained
    by motion; explained: share of the unmoved error that motion removes; rotation in degrees; focal in image widths.
    """
    disparity = disparity.detach()
    height, width = disparity.shape[-2:]
    inner = disparity[..., height // 4 : height - height // 4, width // 4 : width - width // 4]
    edges = torch.cat([disparity[..., : width // 8], disparity[..., -(width // 8) :]], -1)
    cosine = torch.stack([(pose.rotation.diagonal(dim1=1, dim2=2).sum(-1) - 1) / 2 for pose in poses]).detach()
    return {
        "relief": disparity.std((2, 3)).mean(),
        "bulge": inner.mean() - edges.mean(),
        "moving": minimum.moving.mean(),
        "explained": 1 - minimum.error.mean() / minimum.unmoved.mean().clamp(min=1e-6),
        "rotation": torch.rad2deg(torch.acos(cosine.clamp(-1, 1))).mean(),
        "focal": torch.stack([pose.intrinsics[:, 0, 0] for pose in poses]).mean() / image_width,
    }


DEGENERACIES = {
    "flat_depth": "flat depth: disparity hardly varies within a frame",
    "inside_out": "inside out: the middle of the frame is farther than its borders",
    "no_motion": "zero motion: F_p finds less than 0.1 degrees between neighbours",
    "all_masked": "zero motion: the auto-mask drops nearly every pixel",
    "odd_focal": "focal length far from any portrait's",
}


def degeneracy_flags(terms: Mapping[str, Any]) -> dict[str, Any]:
    """Of averaged terms of `depth_loss` (floats or scalar tensors): which solutions look degenerate, by short name."""
    return {
        "flat_depth": terms["relief"] < 0.01,
        "inside_out": terms["bulge"] < 0,
        "no_motion": terms["rotation"] < 0.1,
        "all_masked": terms["moving"] < 0.02,
        "odd_focal": (terms["focal"] <= 0.7) | (terms["focal"] >= 6),
    }


def find_degeneracies(terms: Mapping[str, float]) -> tuple[str, ...]:
    """What has gone wrong, in words, from averaged terms of `depth_loss`; empty while all is well.

    Average over some hundred steps first: single batches are noisy.
    """
    return tuple(DEGENERACIES[name] for name, failed in degeneracy_flags(terms).items() if failed)


class HealthWatch:
    """Moving averages of the signs of health, and what they say: `watch.see(terms)` gives numbers for the log.

    `degenerate_<name>` is 1 while the average of about the last `memory` steps looks so, else 0. Nothing waits for the
    device. `warnings` reads it: the words for what has newly gone wrong.
    """

    def __init__(self, memory: int = 50) -> None:
        self.memory, self.steps = memory, 0
        self.averages: dict[str, Tensor] = {}
        self._told: set[str] = set()

    def see(self, terms: Mapping[str, Float[Tensor, ""]]) -> dict[str, Float[Tensor, ""]]:
        self.steps += 1
        share = 1 / min(self.steps, self.memory)
        for name in SIGNS:
            value = terms[name].detach().float()
            self.averages[name] = value if self.steps == 1 else torch.lerp(self.averages[name], value, share)
        return {f"degenerate_{name}": flag.float() for name, flag in degeneracy_flags(self.averages).items()}

    def warnings(self) -> tuple[str, ...]:
        """Each problem once, and again when it comes back; nothing in the first `memory` steps."""
        if self.steps < self.memory:
            return ()
        found = set(find_degeneracies({name: float(value) for name, value in self.averages.items()}))
        new, self._told = found - self._told, found
        return tuple(sorted(new))

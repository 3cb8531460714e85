"""Exponential moving average of a model's weights: what is shipped, smoother than the last step's."""

import copy

import torch
from torch import nn


class MovingAverage:
    """Holds `model`, a copy whose floating-point state follows the trained one; integers are copied.

    The decay grows from 0.1 to `decay` over the first steps, so a short run is not weighed down by its start.
    """

    def __init__(self, model: nn.Module, decay: float = 0.999):
        self.decay = decay
        self.num_updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        ours, theirs = self.model.state_dict(), model.state_dict()
        floating = [name for name, value in ours.items() if value.is_floating_point()]
        torch._foreach_lerp_([ours[name] for name in floating], [theirs[name] for name in floating], 1 - decay)
        for name in ours.keys() - set(floating):
            ours[name].copy_(theirs[name])

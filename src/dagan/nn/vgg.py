"""VGG feature extractor up to relu5_1, with torchvision's parameter names and without torchvision."""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dagan.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
POOL = 0  # marks a 2x2 max pool in the plans below
VGG_16 = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, POOL, 512, 512, 512, POOL, 512)
VGG_19 = (64, 64, POOL, 128, 128, POOL, 256, 256, 256, 256, POOL, 512, 512, 512, 512, POOL, 512)


class VGG(nn.Module):
    """Image in [0, 1] to the five features relu1_1 ... relu5_1. Frozen: parameters take no gradient."""

    mean: Tensor
    std: Tensor

    def __init__(self, plan: tuple[int, ...]):
        super().__init__()
        self.features = nn.ModuleDict()
        channels, index = 3, 0
        for out in plan:
            if out == POOL:
                self.features[str(index)] = nn.MaxPool2d(2, ceil_mode=True)  # tiny pyramid levels keep a pixel
                index += 1
            else:
                self.features[str(index)] = nn.Conv2d(channels, out, 3, padding=1)
                channels, index = out, index + 2  # torchvision counts the ReLU too
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _c _h _w"]]:
        x = (image - self.mean) / self.std
        taps, first_after_pool = [], True
        for layer in self.features.values():
            if isinstance(layer, nn.MaxPool2d):
                x, first_after_pool = layer(x), True
                continue
            x = F.relu(layer(x))
            if first_after_pool:
                taps.append(x)
                first_after_pool = False
        return taps


def load_vgg(path: str | Path) -> VGG:
    """VGG-16 or VGG-19, told apart by their names, from safetensors with torchvision's names (`features.N.weight`).

    Raises UserError when the file cannot be read or is neither.
    """
    if not Path(path).is_file():
        raise UserError(f"perceptual network not found: {path}; give a safetensors file of VGG-16 or VGG-19")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"perceptual network is not a readable safetensors file: {path} ({error})") from error
    for plan in (VGG_16, VGG_19):
        vgg = VGG(plan)
        wanted = {name: state.get(name) for name in vgg.state_dict()}
        if all(
            value is not None and value.shape == vgg.state_dict()[name].shape for name, value in wanted.items()
        ) and ("features.24.weight" in state) == (plan is VGG_16):
            vgg.load_state_dict({name: value.float() for name, value in wanted.items() if value is not None})
            return vgg.eval()
    raise UserError(f"{path} is neither VGG-16 nor VGG-19 with torchvision's names (features.N.weight)")

"""VGG feature extractor up to relu5_1, with torchvision's parameter names and without torchvision."""

from pathlib import Path
from pickle import UnpicklingError

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from dagan.data.file_checks import check_finite, check_stored, check_unpacked, is_zip
from dagan.errors import UserError
from dagan.nn.frozen import FrozenConv2d

PICKLED = (".pth", ".pt")  # how torchvision's files end
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
                self.features[str(index)] = FrozenConv2d(channels, out, 3, padding=1)
                channels, index = out, index + 2  # torchvision counts the ReLU too
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Float[Tensor, "b 3 h w"]) -> list[Float[Tensor, "b _c _h _w"]]:
        x = (image - self.mean) / self.std
        taps, first_after_pool = [], True
        for layer in self.features.values():
            if isinstance(layer, nn.MaxPool2d):
                x, first_after_pool = layer(x), True
                continue
            x = F.relu(layer(x), inplace=True)
            if first_after_pool:
                taps.append(x)
                first_after_pool = False
        return taps


def load_vgg(path: str | Path) -> VGG:
    """VGG-16 or VGG-19, told apart by their names, from a file with torchvision's names (`features.N.weight`).

    Safetensors, or torchvision's own .pth (read with weights_only, so that nothing in it runs); a whole classifier will
    do. Raises UserError when the file cannot be read or is neither.
    """
    state = _read(Path(path))
    plan = VGG_16 if "features.24.weight" in state else VGG_19  # there a 16 has a convolution, a 19 a ReLU
    vgg = VGG(plan)
    wanted = {name: state.get(name) for name in vgg.state_dict()}
    fits = {name: value is not None and value.shape == vgg.state_dict()[name].shape for name, value in wanted.items()}
    if not all(fits.values()):
        raise UserError(f"{path} is neither VGG-16 nor VGG-19 with torchvision's names (features.N.weight)")
    weights = {name: value.float() for name, value in wanted.items() if value is not None}
    check_finite(weights, Path(path))
    vgg.load_state_dict(weights)
    return vgg.eval()


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"perceptual network not found: {path}; give a file of VGG-16 or VGG-19")
    try:
        if is_zip(path):
            check_unpacked(path, path.stat().st_size)
        state = torch.load(path, weights_only=True) if path.suffix in PICKLED else load_file(path)
    except UserError:
        raise
    except (SafetensorError, OSError, RuntimeError, UnpicklingError, EOFError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        kind = "weights file" if path.suffix in PICKLED else "safetensors file"
        raise UserError(f"perceptual network is not a readable {kind}: {path} ({reason})") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError(f"{path} is neither VGG-16 nor VGG-19 with torchvision's names (features.N.weight)")
    for name, value in state.items():
        check_stored(str(name), value, path)
    return state

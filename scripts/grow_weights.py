"""Weights of a model in a larger preset: `scripts/grow_weights.py SMALL.safetensors OUT.safetensors [--preset lite]`.

Residual blocks that the small one lacks start as the identity, and retargeting as the transfer without it; a face
reader is the package's. So the large one begins where the small one ended, but for motion between people, which a face
reader sees better. So it does, nearly, with the motion of the whole face, if that is what it lacks: the estimator sees
nothing of it yet, and the mask gives it a share by which it is learned.
"""

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dagan.errors import UserError
from dagan.models.weights import fill_face_reader, load, save_model
from dagan.nn.blocks import ResBlock
from dagan.presets import PRESETS

# Tensors with channels for every motion, and along which axes; the motion that is new comes last.
MOTION_AXES = {
    "motion.hourglass.down.0.conv.weight": (1,),
    "motion.mask.weight": (0, 1),
    "motion.mask.bias": (0,),
    "motion.occlusion.weight": (1,),
}


PIECE = 6.0  # logit of a new motion in a trained mask, whose largest are about 9: an eighth of the head to start with


def grow(small: nn.Module, large: nn.Module) -> None:
    """Fills `large`, in place. Raises UserError where it lacks a tensor of `small`, or more than residual blocks
    and motions."""
    known = small.state_dict()
    blocks = {name: module for name, module in large.named_modules() if isinstance(module, ResBlock)}
    fresh = [name for name in blocks if f"{name}.conv1.weight" not in known]
    for name in fresh:
        nn.init.zeros_(blocks[name].conv2.weight)
        bias = blocks[name].conv2.bias
        assert bias is not None
        nn.init.zeros_(bias)
    state = large.state_dict()
    kept = {name: state[name] for block in fresh for name in state if name.startswith(f"{block}.")}
    pieces = [name for name in state if name.startswith("motion.mask_prior.pieces.")]
    kept |= {name: value for name, value in state.items() if name.startswith(("retargeting.", "face_reader."))}
    kept |= {name: torch.full_like(state[name], PIECE) for name in pieces}
    for name, axes in MOTION_AXES.items():
        if name in known and name in state:
            known[name] = _with_zeros(known[name], state[name], axes)
    try:
        large.load_state_dict({**kept, **known})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"the preset is not the model with more residual blocks or motions: {reason}") from error


def _with_zeros(tensor: Tensor, wanted: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The tensor with zeros after its own values, to the wanted size along these axes."""
    padding = [0] * (2 * tensor.ndim)
    for axis in axes:
        padding[-1 - 2 * axis] = max(0, wanted.shape[axis] - tensor.shape[axis])
    return F.pad(tensor, padding)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("small", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="lite")
    args = parser.parse_args()
    config = PRESETS[args.preset]
    large = fill_face_reader(config.build())
    grow(load(args.small), large)
    save_model(args.out, large, config, half=True)


if __name__ == "__main__":
    main()

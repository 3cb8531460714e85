"""Weights of a model in a larger preset: `scripts/grow_weights.py SMALL.safetensors OUT.safetensors [--preset lite]`.

Residual blocks that the small one lacks start as the identity, so the large one begins where the small one ended.
"""

import argparse
from pathlib import Path

from torch import nn

from dagan.errors import UserError
from dagan.models.weights import load, save_model
from dagan.nn.blocks import ResBlock
from dagan.presets import PRESETS


def grow(small: nn.Module, large: nn.Module) -> None:
    """Fills `large`, in place. Raises UserError where it lacks a tensor of `small`, or more than residual blocks."""
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
    try:
        large.load_state_dict({**kept, **known})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"the preset is not the model with more residual blocks: {reason}") from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("small", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="lite")
    args = parser.parse_args()
    config = PRESETS[args.preset]
    large = config.build()
    grow(load(args.small), large)
    save_model(args.out, large, config, half=True)


if __name__ == "__main__":
    main()

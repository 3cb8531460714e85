"""Where graphs made for an engine are kept, under a name that says all that they depend on."""

import hashlib
from pathlib import Path

import numpy as np
import torch

from dagan.data.weight_files import cache_folder
from dagan.models.talking_head import TalkingHead

GRAPH_VERSION = "6"  # of what `fold` and the graphs make; raise it when they change, and old entries are not used


def engine_folder(kind: str, version: str, model: TalkingHead, side: int) -> Path:
    """The folder for this engine, model and image size; it need not exist. Other weights have another folder."""
    digest = hashlib.sha256(f"{GRAPH_VERSION} {kind} {version} {torch.__version__} {side} {model}".encode())
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} ".encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return cache_folder() / kind / digest.hexdigest()[:24]

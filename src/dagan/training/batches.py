"""Batches are (named) tuples of tensors, nested, with None where something is not known."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def to_device(batch: Any, device: torch.device) -> Any:
    """Every tensor of a batch on the device, images channels-last."""
    if batch is None:
        return None
    if isinstance(batch, Tensor):
        layout = torch.channels_last if batch.dim() == 4 else torch.preserve_format
        return batch.to(device, non_blocking=True).contiguous(memory_format=layout)
    return _same_kind(batch, [to_device(value, device) for value in batch])


def rows_of(batch: Any, rows: slice) -> Any:
    """Some samples of a batch."""
    if batch is None or isinstance(batch, Tensor):
        return batch if batch is None else batch[rows]
    return _same_kind(batch, [rows_of(value, rows) for value in batch])


def resize_images(image: Float[Tensor, "b 3 h w"], size: int) -> Float[Tensor, "b 3 s s"]:
    """Square images of another size, anti-aliased."""
    return F.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)


def named_tensors(batch: Any, name: str = "") -> list[tuple[str, Tensor]]:
    """The tensors of a batch by their places in it: `source`, `source_landmarks.position`, or `0`, `1`."""
    if isinstance(batch, Tensor):
        return [(name or "batch", batch)]
    if batch is None:
        return []
    fields = getattr(batch, "_fields", range(len(batch)))
    pairs = zip(fields, batch, strict=True)
    return [found for field, value in pairs for found in named_tensors(value, f"{name}.{field}".lstrip("."))]


def _same_kind(batch: Any, values: list[Any]) -> Any:
    return type(batch)(*values) if hasattr(batch, "_fields") else tuple(values)

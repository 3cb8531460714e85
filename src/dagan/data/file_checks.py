"""Checks of files that others made: what a file really is, how large it unpacks, whether its weights are numbers."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dagan.errors import UserError

HEAD = 512  # bytes that tell what a file is
LFS_POINTER = b"version https://git-lfs"
ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # what torch.save writes today, and wrote before PyTorch 1.6


def mistaken_for_weights(path: Path) -> str | None:
    """What a file is, and what to do, that should be one of our safetensors; None when nothing better is known."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith((ZIP, PICKLE)):
        return "is a PyTorch checkpoint; make a model file of it with `dagan import` first"
    return failed_download(head)


def failed_download(head: bytes) -> str | None:
    """What a download left in place of the wanted file, and what to do; None when it is none of those."""
    if not head:
        return "is empty; download it again"
    if head.startswith(LFS_POINTER):
        return "is a git-LFS pointer, not the file it stands for; fetch that with `git lfs pull`"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "is an HTML page: the download gave a web page in the file's place; download the file itself"
    return None


def is_zip(path: Path) -> bool:
    """Whether a file ends as a zip file does; zipfile's own check raises an error for some damaged ends."""
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        return False


def check_unpacked(path: Path, most: int) -> None:
    """Refuses a zip file (a PyTorch checkpoint, an npz) that unpacks to more than `most` bytes.

    Raises:
        UserError: it does.
        zipfile.BadZipFile: it is no zip file.
    """
    with zipfile.ZipFile(path) as archive:
        total = sum(part.file_size for part in archive.infolist())
    if total > most:
        raise UserError(f"{path} unpacks to {total / 1e6:.0f} MB, expected at most {most / 1e6:.0f} MB; it was refused")


def check_stored(name: str, value: Tensor, path: Path) -> None:
    """Refuses a tensor of which the file holds fewer numbers than its shape says, or that is not a plain array.

    Raises:
        UserError: it is one.
    """
    if value.layout != torch.strided or value.is_quantized or value.is_complex() or value.is_meta:
        raise UserError(
            f"{path}: {name} is not a plain array of numbers; expected the weights as torch.save writes them"
        )
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        shape = "x".join(map(str, value.shape))
        raise UserError(f"{path} is damaged: {name} should be {shape}, and the file holds fewer numbers")


def check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuses weights that hold NaN or infinity, which would draw black pictures.

    Raises:
        UserError: some do.
    """
    for name, value in weights.items():
        if not value.is_floating_point() or value.sum().isfinite():  # the sum is quick, and tells of any NaN
            continue
        if not value.isfinite().all():
            raise UserError(
                f"the weights in {path} hold NaN or infinity (first in {name}): their training has diverged; "
                "use an earlier checkpoint"
            )

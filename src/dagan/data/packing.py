"""`dagan data pack`: clips into WebDataset shards, in parallel; an interrupted run goes on where it stopped.

The tars are written by `tarfile` and not by webdataset's writer, which stamps times and owners: the same clips give the
same bytes.
"""

import io
import json
import os
import tarfile
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from dagan.data.clips import Clip, find_clips
from dagan.data.seeking import VideoIndex
from dagan.data.shards import PackedClip, index_path, list_members, read_index, write_index
from dagan.data.storing import PackConfig, Prepared, prepare
from dagan.errors import UserError
from dagan.files import DISK_FULL, room_for, write_text

PENDING_PER_JOB = 2  # clips prepared ahead of the writer: what bounds memory
SETTINGS_FILE = "pack.json"
SKIPPED_FILE = "skipped.txt"


class PackResult(NamedTuple):
    """What lies in the folder now, and the clips that this run could not use, with the reasons."""

    num_shards: int
    clips: list[PackedClip]
    num_bytes: int
    skipped: list[str]
    damaged: list[str]


def pack(root: str | Path, out: str | Path, config: PackConfig, jobs: int) -> PackResult:
    """Writes the clips of a folder into shards in `out`, and goes on where an interrupted run stopped.

    A shard appears whole or not at all, and holds the clips in their order; one run or several give the same files.
    Clips that cannot be used are skipped, and listed in `out`/skipped.txt. Memory: `PENDING_PER_JOB` clips a job.

    Raises:
        UserError: no clips, none that can be used, or `out` holds shards that were packed in another way.
    """
    clips, out = find_clips(root), Path(out)
    out.mkdir(parents=True, exist_ok=True)
    _check_settings(out, config)
    done = _finished(out)
    known = {clip.name for shard in done for clip in shard}
    todo = [clip for clip in clips if clip.name not in known]
    skipped: list[str] = []
    damaged: list[str] = []
    with tqdm(total=len(clips), initial=len(clips) - len(todo), desc="packing", unit="clip", disable=None) as bar:
        writer = ShardWriter(out, len(done), config.shard_bytes)
        try:
            with room_for(out):
                for clip, prepared in _prepare_all(todo, config, jobs):
                    bar.update()
                    if isinstance(prepared, UserError):
                        skipped.append(f"{clip.name}: {prepared}")
                        continue
                    if prepared.damage:
                        damaged.append(f"{clip.name}: {prepared.damage}")
                    writer.add(clip, prepared)
                writer.finish()
        finally:
            writer.discard()
    _write_lines(out / SKIPPED_FILE, skipped)
    packed = _finished(out)
    if not packed:
        raise UserError(f"none of the {len(clips)} clips in {root} can be used; {out / SKIPPED_FILE} says why")
    num_bytes = sum(tar.stat().st_size for tar in out.glob("*.tar"))
    return PackResult(len(packed), [clip for shard in packed for clip in shard], num_bytes, skipped, damaged)


def _check_settings(out: Path, config: PackConfig) -> None:
    file, settings = out / SETTINGS_FILE, asdict(config)
    has_shards = any(out.glob("*.tar"))
    if not file.exists():
        if has_shards:
            raise UserError(f"{out} holds tar files that `dagan data pack` did not write; choose another -o")
        write_text(file, json.dumps(settings) + "\n")
        return
    try:
        before = json.loads(file.read_text())
        changed = [f"{name} was {before.get(name)}" for name, value in settings.items() if before.get(name) != value]
    except (ValueError, AttributeError) as error:
        if not has_shards:  # of a full disk or a power cut
            write_text(file, json.dumps(settings) + "\n")
            return
        raise UserError(f"{file} is damaged; choose another -o") from error
    if changed:
        raise UserError(f"{out} holds shards that were packed in another way ({'; '.join(changed)}); choose another -o")


def _finished(out: Path) -> list[list[PackedClip]]:
    """The clips of each shard that is whole: the first ones without a gap."""
    shards: list[list[PackedClip]] = []
    while shard_path(out, len(shards)).exists():
        try:
            clips = read_index(shard_path(out, len(shards)))
        except UserError:  # damaged, as after a power cut: packed again
            break
        if clips is None:
            break
        shards.append(clips)
    return shards


def shard_path(out: Path, number: int) -> Path:
    return out / f"shard-{number:06d}.tar"


def _prepare_all(clips: Sequence[Clip], config: PackConfig, jobs: int) -> Iterator[tuple[Clip, Prepared | UserError]]:
    """Every clip prepared, or what is wrong with it, in order."""
    pending: deque[tuple[Clip, Future[Prepared]]] = deque()
    left = iter(clips)
    with ProcessPoolExecutor(jobs) as pool:
        try:
            while True:
                for clip in left:
                    pending.append((clip, pool.submit(prepare, clip, config)))
                    if len(pending) >= PENDING_PER_JOB * jobs:
                        break
                if not pending:
                    return
                clip, future = pending.popleft()
                try:
                    yield clip, future.result()
                except (UserError, OSError) as error:  # not allowed to be read, or gone meanwhile
                    if isinstance(error, OSError) and error.errno in DISK_FULL:
                        raise  # no fault of the clip
                    yield clip, UserError(" ".join(str(error).split()))
        except BrokenProcessPool as error:
            raise UserError("a packing process died (out of memory?); run again with fewer --jobs to go on") from error
        finally:
            pool.shutdown(cancel_futures=True)


class ShardWriter:
    """Fills one tar after another; each gets its name, and its index, when it is whole."""

    def __init__(self, out: Path, first: int, shard_bytes: int):
        self.out, self.number, self.shard_bytes = out, first, shard_bytes
        self.tar: tarfile.TarFile | None = None
        self.clips: dict[str, tuple[Clip, VideoIndex | None]] = {}

    @property
    def partial(self) -> Path:
        """Where the tar grows. One name for all runs: the next run writes over what a killed one left."""
        return self.out / f".{shard_path(self.out, self.number).name}.partial"

    def add(self, clip: Clip, prepared: Prepared) -> None:
        self.tar = self.tar or tarfile.open(self.partial, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self.clips[clip.name] = clip, prepared.video
        for member in prepared.members:
            if isinstance(member.content, Path):
                with member.content.open("rb") as file:
                    self._write(member.name, file, member.content.stat().st_size)
            else:
                self._write(member.name, io.BytesIO(member.content), len(member.content))
        if self.tar.offset >= self.shard_bytes:
            self.finish()

    def _write(self, name: str, file: io.BufferedIOBase, size: int) -> None:
        assert self.tar is not None
        info = tarfile.TarInfo(name)  # without times and owners: the same clips give the same bytes
        info.size = size
        self.tar.addfile(info, file)

    def finish(self) -> None:
        if self.tar is None:
            return
        self.tar.close()
        self.tar = None
        places = list_members(self.partial)
        packed = []
        for name, (clip, video) in self.clips.items():
            members = np.asarray([member.place for member in places[name]], np.int64)
            packed.append(PackedClip(name, clip.identity, members, video))
        final = shard_path(self.out, self.number)
        write_index(self.partial, packed, index_path(final))
        os.replace(self.partial, final)  # last: a shard is whole when it is there
        self.number, self.clips = self.number + 1, {}

    def discard(self) -> None:
        """Removes what is not whole, if anything."""
        try:
            if self.tar is not None:
                with suppress(OSError):  # a full disk: it writes an end
                    self.tar.close()
        finally:
            self.partial.unlink(missing_ok=True)


def _write_lines(file: Path, lines: Sequence[str]) -> None:
    if lines:
        write_text(file, "".join(f"{line}\n" for line in lines))
    else:
        file.unlink(missing_ok=True)

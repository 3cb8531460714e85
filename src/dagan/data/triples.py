"""Folders side by side, as any system can read and write them: `source/`, `driving/`, and generated images by the same
names. `export_pairs` writes the first two."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from dagan.data.clips import Clip, fit_square, identity_of
from dagan.data.decoding import VIDEO_SUFFIXES
from dagan.data.pair_lists import ListedPair
from dagan.data.pictures import IMAGE_SUFFIXES
from dagan.data.protocols import Frame, ReenactmentPair, chosen_frames
from dagan.errors import UserError
from dagan.files import written_whole

SOURCE, DRIVING = "source", "driving"


def is_triple_folder(root: str | Path) -> bool:
    """Whether a folder holds `source/` and `driving/`."""
    return (Path(root) / SOURCE).is_dir() and (Path(root) / DRIVING).is_dir()


def read_triples(root: str | Path, limit: int | None = None) -> list[ListedPair]:
    """Pairs of `source/<name>` and `driving/<name>`, images or videos; a source video gives its first frame.

    Raises:
        UserError: nothing in them has a partner.
    """
    sources, drivings = _by_stem(Path(root) / SOURCE), _by_stem(Path(root) / DRIVING)
    names = sorted(set(sources) & set(drivings))[:limit]
    if not names:
        raise UserError(f"no file in {root}/{SOURCE} has the name of one in {root}/{DRIVING}")
    pairs: list[ListedPair] = []
    for name in names:
        source, driving = Frame(_clip(sources[name]), 0), _clip(drivings[name])
        is_still = drivings[name].suffix.lower() in IMAGE_SUFFIXES
        pairs.append(ListedPair(name, source, Frame(driving, 0) if is_still else driving))
    return pairs


def export_pairs(pairs: Iterable[ReenactmentPair], folder: Path, size: int) -> int:
    """Writes `source/<number>.png` and `driving/<number>.png` at `size` pixels; returns the number of pairs.

    Raises:
        UserError: a frame cannot be read.
    """
    listed = list(pairs)
    wanted: dict[Clip, dict[int, list[Path]]] = {}
    for number, (_, source, driving, _) in enumerate(listed):
        for side, frame in ((SOURCE, source), (DRIVING, driving)):
            (folder / side).mkdir(parents=True, exist_ok=True)
            wanted.setdefault(frame.clip, {}).setdefault(frame.number, []).append(folder / side / f"{number:06}.png")
    for clip, numbers in wanted.items():
        for index, pixels in chosen_frames(clip, numbers):
            for path in numbers[index]:
                with written_whole(path) as partial:
                    Image.fromarray(fit_square(pixels, size)).save(partial, "PNG")
    return len(listed)


def _by_stem(folder: Path) -> dict[str, Path]:
    suffixes = IMAGE_SUFFIXES | VIDEO_SUFFIXES
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes}


def _clip(path: Path) -> Clip:
    return Clip(path, identity_of(path.stem), f"{path.parent.name}/{path.stem}")

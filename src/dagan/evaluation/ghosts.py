"""Heads over known backgrounds, driven by others: how much of a head stays where it no longer is, and how much of it
is eaten where it stays (`metrics/ghosts.py`)."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from dagan.data.clips import Clip, find_clips, fit_square
from dagan.data.protocols import Frame, ReenactmentPair, chosen_frames, count_frames, cross_identity_partners
from dagan.data.synthetic.backdrop import SUPERSAMPLING, random_backdrop
from dagan.errors import UserError
from dagan.evaluation.markdown import bullets, escaped, interval_text, number, table
from dagan.evaluation.metrics.accumulators import Mean
from dagan.evaluation.metrics.ghosts import Left, around_face, eaten, left_behind, uncovered
from dagan.evaluation.records import plain
from dagan.evaluation.regions import head_region
from dagan.evaluation.systems import PairImages, Resting, System, SystemConfig
from dagan.evaluation.tally import Interval, bootstrap
from dagan.images import compose, to_pixels, to_tensor
from dagan.models.matte import MatteNet, load_matte
from dagan.observers.faces import FaceObserver

FORMAT = "dagan-ghosts-1"
SHEET_SIDE = 160  # pixels of a picture in the contact sheet
NUM_DRIVERS = 3
NUM_FRAMES = 8  # of a driver, evenly over its clip
DISTANCE = 0.6  # metres from camera to head, for the drawn room behind it
LEAST_LEFT = 20.0  # summed difference below which a head has left too little to say anything


class GhostSelection(NamedTuple):
    """Which heads, and with what seed backgrounds and drivers are drawn."""

    root: str
    num_heads: int = 12
    seed: int = 0
    size: int = 256


class ComposedHead(NamedTuple):
    """A head over a drawn background: source picture, background and matte, as a frame with a name of its own."""

    frame: Frame
    picture: UInt8[np.ndarray, "h w 3"]
    background: Float[Tensor, "1 3 h w"]
    matte: Float[Tensor, "1 1 h w"]
    mesh: Float[np.ndarray, "478 3"]


class HeadGhosts(NamedTuple):
    """One head. `left` is the share of the head that stays where a matte of the picture sees no person, `left_behind`
    where the head's moved outline is no longer (None: it hardly moved); `eaten` is the mean difference inside the matte
    where it is driven by itself at rest."""

    head: str
    drivers: tuple[str, ...]
    left: float | None
    left_behind: float | None
    eaten: float
    num_pictures: int
    num_without_face: int


class Shown(NamedTuple):
    """What a contact sheet shows of one head and driver: source, picture, and the pixels that the head has left."""

    source: UInt8[np.ndarray, "h w 3"]
    picture: UInt8[np.ndarray, "h w 3"]
    region: Float[Tensor, "1 1 h w"]


class GhostReport(NamedTuple):
    """All heads of a system."""

    model: str
    fingerprint: str
    selection: GhostSelection
    heads: tuple[HeadGhosts, ...]

    @property
    def left(self) -> Mean:
        return _mean([head.left for head in self.heads])

    @property
    def left_interval(self) -> Interval | None:
        return bootstrap([Mean(head.left, 1) for head in self.heads if head.left is not None])

    @property
    def left_behind(self) -> Mean:
        return _mean([head.left_behind for head in self.heads])

    @property
    def eaten(self) -> Mean:
        return _mean([head.eaten for head in self.heads])


def evaluate_ghosts(
    selection: GhostSelection,
    config: SystemConfig,
    face: FaceObserver,
    progress: Callable[[int, int], None] = lambda done, total: None,
    show: Callable[[Shown], None] = lambda shown: None,
) -> GhostReport:
    """Composes the heads, drives each by three others and by itself, and measures.

    Raises:
        UserError: fewer than two people with a face in the clips, or a system that is not a model.
    """
    clips, matte = find_clips(selection.root), load_matte()
    driven, resting = config.build("from best"), config.build("from source")
    if not isinstance(driven, Resting):
        raise UserError("--ghosts draws its own pictures: it needs a model, not images that are there already")
    sources = _sources(clips, selection)
    found = []
    for done, clip in enumerate(sources, 1):
        head = composed(clip, selection, matte, face)
        if head is not None:
            drivers = cross_identity_partners(clip, clips, NUM_DRIVERS, selection.seed)
            found.append(_measure(head, drivers, (driven, resting), matte, face, show))
        progress(done, len(sources))
    if not found:
        raise UserError(f"no head to compose: no clip in {selection.root} shows a face in its middle frame")
    return GhostReport(config.name, config.fingerprint(), selection, tuple(found))


def _sources(clips: Sequence[Clip], selection: GhostSelection) -> list[Clip]:
    """One clip of each of the first people that the seed draws."""
    people: dict[str, list[Clip]] = {}
    for clip in clips:
        people.setdefault(clip.identity, []).append(clip)
    if len(people) < 2:
        raise UserError(f"--ghosts needs clips of two people or more; {selection.root} has {len(people)}")
    numbers = _numbers(selection.seed, "heads")
    chosen = numbers.permutation(sorted(people))[: selection.num_heads].tolist()
    return [people[name][int(numbers.integers(len(people[name])))] for name in chosen]


def composed(clip: Clip, selection: GhostSelection, matte: MatteNet, face: FaceObserver) -> ComposedHead | None:
    """The middle frame's person over a drawn background; None if it shows no face."""
    number = count_frames(clip) // 2
    image = fit_square(next(chosen_frames(clip, [number]))[1], selection.size)
    seen = face.observe(image)
    if seen is None:
        return None
    person = matte(to_tensor(image))
    room = random_backdrop(_numbers(selection.seed, clip.name), selection.size, DISTANCE).colour
    small = room.reshape(selection.size, SUPERSAMPLING, selection.size, SUPERSAMPLING, 3).mean((1, 3))
    background = to_tensor(np.clip(small * 255 + 0.5, 0, 255).astype(np.uint8))
    picture = to_pixels(to_tensor(image) * person + background * (1 - person))
    named = Frame(replace(clip, name=f"{clip.name} over a drawn room"), number)
    return ComposedHead(named, picture, background, person, seen.landmarks)


def _measure(
    head: ComposedHead,
    drivers: Sequence[Clip],
    systems: tuple[System, System],
    matte: MatteNet,
    face: FaceObserver,
    show: Callable[[Shown], None],
) -> HeadGhosts:
    driven, resting = systems
    source, region = to_tensor(head.picture), head_region(head.matte, head.mesh)
    region = around_face(region, head.mesh) if region is not None else None
    by_matte, by_outline, num_pictures, num_without_face = Left(), Left(), 0, 0
    for driver in drivers:
        most: tuple[float, Shown] | None = None
        for picture in _pictures(head, driver, driven):
            num_pictures += 1
            seen = face.observe(picture)
            if seen is None or region is None:
                num_without_face += 1
                continue
            ours = to_tensor(picture)
            empty, gone = region * (1 - matte(ours)), uncovered(region, head.mesh, seen.landmarks)
            by_matte += left_behind(ours, source, head.background, empty)
            here = left_behind(ours, source, head.background, gone)
            by_outline += here
            if most is None or here.source > most[0]:
                most = here.source, Shown(head.picture, picture, gone)
        if most is not None:
            show(most[1])
    at_rest = resting.generate(
        ReenactmentPair(head.frame.clip.name, head.frame, head.frame, head.frame),
        PairImages(head.picture, head.picture, head.picture),
    )
    assert at_rest is not None
    loss = eaten(to_tensor(at_rest), source, head.matte)
    left, behind = (sums.share if sums.source >= LEAST_LEFT else None for sums in (by_matte, by_outline))
    names = tuple(driver.name for driver in drivers)
    return HeadGhosts(head.frame.clip.name, names, left, behind, loss, num_pictures, num_without_face)


def _pictures(head: ComposedHead, driver: Clip, system: System) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The head driven to frames that are evenly spread over a clip, from its best rest frame."""
    numbers = sorted({int(n) for n in np.linspace(0, count_frames(driver) - 1, NUM_FRAMES)})
    assert isinstance(system, Resting)
    first = ReenactmentPair("", head.frame, Frame(driver, numbers[0]))
    rest = system.rest_frame(first, head.picture)
    frames = dict(chosen_frames(driver, {*numbers, rest}))
    size = len(head.picture)
    for index in numbers:
        pair = first._replace(driving=Frame(driver, index), rest=Frame(driver, rest))
        images = PairImages(head.picture, *(fit_square(frames[n], size) for n in (index, rest)))
        picture = system.generate(pair, images)
        if picture is not None:
            yield picture


def _numbers(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng(int.from_bytes(hashlib.sha256(f"{seed}:ghosts:{name}".encode()).digest()[:8], "big"))


def _mean(values: Sequence[float | None]) -> Mean:
    mean = Mean()
    for value in values:
        mean.add(value)
    return mean


def to_markdown(report: GhostReport) -> str:
    """The summary, and a row for each head. It reads as plain text."""
    facts = [
        f"model: {report.model}, sha256 {report.fingerprint[:12]}",
        f"{len(report.heads)} heads over drawn rooms, each driven by {NUM_DRIVERS} others, "
        f"seed {report.selection.seed}, {report.selection.size}x{report.selection.size} pixels",
        f"left where a matte sees no person: {number(report.left.compute(), 3)} of the head's difference to the "
        f"background (95 %: {interval_text(report.left_interval, 3)}; {report.left.count} heads that moved)",
        f"left where the head's moved outline is no longer: {number(report.left_behind.compute(), 3)} "
        f"({report.left_behind.count} heads; for both an unmoved source has 1, a clean picture 0)",
        f"eaten, driven by itself at rest: {number(report.eaten.compute(), 4)} mean difference inside the matte",
    ]
    rows = [
        [
            escaped(head.head),
            number(head.left, 3),
            number(head.left_behind, 3),
            number(head.eaten, 4),
            str(head.num_pictures),
            str(head.num_without_face),
        ]
        for head in report.heads
    ]
    heads = ["head", "left (matte) ↓", "left (outline) ↓", "eaten ↓", "pictures", "without a face"]
    return "\n".join([*bullets(facts), "", *table(heads, rows)]) + "\n"


def to_json(report: GhostReport) -> str:
    """Everything, with the means."""
    summary = {
        "left": report.left.compute(),
        "left_interval": report.left_interval,
        "num_moved": report.left.count,
        "left_behind": report.left_behind.compute(),
        "eaten": report.eaten.compute(),
    }
    return json.dumps(plain({"format": FORMAT, "summary": summary} | report._asdict()), indent=1) + "\n"


def sheet(shown: Sequence[Shown]) -> Image.Image:
    """Source, picture, and the picture with the pixels in red that the head has left: one row for each driver."""
    red = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
    rows = []
    for source, picture, region in shown:
        ours = to_tensor(picture)
        rows.append([to_tensor(source)[0], ours[0], (ours * (1 - region) + red * region)[0]])
    return compose(rows, ["source over a drawn room", "driven", "red: left by the outline"], [], SHEET_SIDE)

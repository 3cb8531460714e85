"""How good a model is on fixed pairs of frames, of people that it does not train on where there are such."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from dagan.data.clips import ClipFrames
from dagan.models.family import Family

NUM_PAIRS = 32
BATCH = 8  # pairs that are generated at once

Measure = Callable[[Tensor, Tensor], Tensor]  # generated and driving images, `b 3 h w`, to a number for each pair


class Pairs(NamedTuple):
    """Source and driving frames, RGB in [0, 1]."""

    source: Float[Tensor, "b 3 h w"]
    driving: Float[Tensor, "b 3 h w"]


def spread(clips: Sequence[ClipFrames], count: int) -> list[ClipFrames]:
    """At most `count` clips of as many people as there are, the same each time."""
    seen: dict[str, int] = {}
    turns = []
    for clip in clips:
        turns.append(seen.get(clip.clip.identity, 0))
        seen[clip.clip.identity] = turns[-1] + 1
    by_turn = [clip for _, clip in sorted(zip(turns, clips, strict=True), key=lambda pair: pair[0])]  # stable
    people = len(seen)
    if count < people:
        return by_turn[:people][:: people // count][:count]
    return by_turn[:count]


def fixed_pairs(clips: Sequence[ClipFrames], count: int, device: torch.device) -> Pairs:
    """A frame one third and one five sixths into each of some clips."""
    chosen = spread(clips, count)
    source = np.stack([clip.frames[len(clip) // 3] for clip in chosen])
    driving = np.stack([clip.frames[len(clip) * 5 // 6] for clip in chosen])
    return Pairs(to_images(source, device), to_images(driving, device))


def to_images(frames: UInt8[np.ndarray, "b h w 3"], device: torch.device) -> Float[Tensor, "b 3 h w"]:
    return rearrange(torch.from_numpy(frames).to(device), "b h w c -> b c h w").float() / 255


@torch.inference_mode()
def validate(
    model: Family, pairs: Pairs, measures: Mapping[str, Measure], kind: str = "validation"
) -> dict[str, float]:
    """Means over the pairs: L1, its ratio to that of the unmoved source, and whatever else is to be measured.

    `kind` begins the names: what the pairs are of.
    """
    values: dict[str, list[Tensor]] = {name: [] for name in ("l1", *measures)}
    for source, driving in _batches(pairs):
        generated = model(source, driving).generated
        values["l1"].append((generated - driving).abs().mean((1, 2, 3)))
        for name, measure in measures.items():
            values[name].append(measure(generated, driving))
    means = {f"{kind}_{name}": float(torch.cat(parts).mean()) for name, parts in values.items()}
    unmoved = float((pairs.source - pairs.driving).abs().mean())
    return means | {f"{kind}_l1_ratio": means[f"{kind}_l1"] / max(unmoved, 1e-8)}


def _batches(pairs: Pairs) -> Iterator[Pairs]:
    for start in range(0, len(pairs.source), BATCH):
        yield Pairs(pairs.source[start : start + BATCH], pairs.driving[start : start + BATCH])

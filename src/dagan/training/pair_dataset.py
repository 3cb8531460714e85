"""Pairs of frames with their landmarks, as stage 2 learns from them."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from dagan.data.landmarks import LandmarkTracks
from dagan.data.sampling import SourceDrivingPairs
from dagan.face import JAW_AND_LIDS
from dagan.losses.values import PairBatch
from dagan.transfer.head_pose import facing


class PairDataset(Dataset[PairBatch]):
    """Source-driving pairs with the landmarks of both frames when tracks are given."""

    def __init__(self, pairs: SourceDrivingPairs, tracks: LandmarkTracks | None):
        self.pairs, self.tracks = pairs, tracks

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> PairBatch | tuple[Tensor, Tensor]:  # type: ignore[override]
        pair = self.pairs[index]
        if self.tracks is None:
            return pair.source, pair.driving
        return PairBatch(
            pair.source,
            pair.driving,
            self.tracks.at(pair.clip_index, pair.source_index, pair.flipped),
            self.tracks.at(pair.clip_index, pair.driving_index, pair.flipped),
        )


def frame_changes(tracks: LandmarkTracks) -> dict[str, list[Float[np.ndarray, "t e"]]]:
    """In what frames of a clip may differ: jaw and lids (`t 3`) and turns of the head (`t 2`); NaN: no face."""
    turns = [facing(torch.from_numpy(points)).numpy() for points in tracks.guided]
    return {"expressions": [expression[:, JAW_AND_LIDS] for expression in tracks.expressions], "turns": turns}

"""What the default weights' F_d is told beside the self-supervised loss: exact depth of procedural heads, and the order
of landmarks on real frames. Both are off in the paper's recipe.
"""

from typing import Any, NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.utils.data import Dataset

from dagan.losses.face_order import order_error
from dagan.models.depth import FaceDepthNet
from dagan.training.depth_order import OrderedFace
from dagan.training.depth_truth import TrueDepth, truth_error


class DepthLabels(NamedTuple):
    """None: that term is left out."""

    truth: TrueDepth | None = None
    order: OrderedFace | None = None


UNLABELLED = DepthLabels()


def label_terms(network: FaceDepthNet, labels: DepthLabels) -> dict[str, Float[Tensor, ""]]:
    """The terms for which there are labels, unweighted."""
    terms = {}
    if labels.truth is not None:
        terms["truth"] = truth_error(network.pyramid(labels.truth.frame), labels.truth)
    if labels.order is not None:
        (disparity,) = network.pyramid(labels.order.frame, num_scales=1)
        terms["order"] = order_error(disparity, labels.order.position, labels.order.farther)
    return terms


class Beside(Dataset[tuple[Any, ...]]):
    """Samples of the first dataset as they are, each followed by that of every other dataset."""

    def __init__(self, first: Dataset[Any], *others: Dataset[Any]) -> None:
        self.first, self.others = first, others

    def __len__(self) -> int:
        return len(self.first)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        return (*self.first[index], *(other[index] for other in self.others))

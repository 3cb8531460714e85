"""How a step is made, in either stage."""

from dataclasses import dataclass
from typing import Literal

import torch

from dagan.errors import UserError

MAX_GRADIENT = 1000.0  # of stage 2: far above the usual norm, stops only a runaway step
Precision = Literal["auto", "bf16", "fp32"]


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """How a step is made. `accumulate`: in so many parts one after the other, each with a share of the memory; the
    weights come out as from the whole batch, up to batch norm, which sees one part. `max_gradient`: the largest norm
    of the gradients of each side, 0 for none."""

    precision: torch.dtype = torch.float32
    accumulate: int = 1
    max_gradient: float = MAX_GRADIENT

    @property
    def is_mixed(self) -> bool:
        """Whether networks run in another precision than their weights'."""
        return self.precision is not torch.float32


PLAIN_STEP = StepConfig()


def pick_precision(device: torch.device, wanted: Precision = "auto") -> torch.dtype:
    """What was asked for; of itself bfloat16 where convolutions run in it natively, else float32.

    Raises UserError when bfloat16 was asked for and the GPU does not have it.
    """
    if wanted == "fp32":
        return torch.float32
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        if wanted == "bf16" and not native:
            raise UserError("--precision bf16: this GPU does not compute in bfloat16; use --precision fp32")
        return torch.bfloat16 if native else torch.float32
    if wanted == "bf16":
        return torch.bfloat16  # every CPU can, at its pace
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32

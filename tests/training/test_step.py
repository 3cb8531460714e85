"""How a step is made."""

import torch

from dagan.training.step import pick_precision

CPU = torch.device("cpu")


def test_the_cpu_trains_in_bfloat16_where_it_can_and_else_in_float32() -> None:
    assert pick_precision(CPU) in (torch.bfloat16, torch.float32)
    assert pick_precision(CPU, "fp32") is torch.float32
    assert pick_precision(CPU, "bf16") is torch.bfloat16

"""What a model costs: its parameters and its multiply-adds, counted without computing anything."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from dagan.evaluation.markdown import table
from dagan.models.families import ModelConfig
from dagan.models.family import Family

OPERATIONS = 2  # of a multiply-add, as PyTorch counts


class ModelCost(NamedTuple):
    """Parameters in all, of them those that stage 2 trains (all but F_d); multiply-adds for a source image, once, and
    for each driving frame, of convolutions and matrix products."""

    parameters: int
    trained: int
    source: int
    frame: int


def model_cost(config: ModelConfig, size: int = 256) -> ModelCost:
    """The cost for images of `size` pixels, as an animator uses the model: the source is encoded once."""
    with FakeTensorMode():  # all shapes, no arithmetic
        model: Family = config.build().eval()
        image = torch.rand(1, 3, size, size)
        views = []
        source = _multiply_adds(lambda: views.append(model.encode(model.view(image))))
        frame = _multiply_adds(lambda: model.render(views[0], model.view(image).code))
    frozen = sum(map(_num_parameters, model.given()))
    return ModelCost(_num_parameters(model), _num_parameters(model) - frozen, source, frame)


def _multiply_adds(work: Callable[[], object]) -> int:
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops()) // OPERATIONS


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def cost_table(configs: Mapping[str, ModelConfig], size: int = 256) -> str:
    """Markdown: millions of parameters, billions of multiply-adds."""
    heads = ["variant", "parameters (M)", "trained in stage 2 (M)", "source image (GMAC)", "driving frame (GMAC)"]
    rows = []
    for name, config in configs.items():
        cost = model_cost(config, size)
        texts = [f"{count / 1e6:.2f}" for count in cost[:2]] + [f"{count / 1e9:.2f}" for count in cost[2:]]
        rows.append([name, *texts])
    return (
        "\n".join(table(heads, rows))
        + f"\n\nMultiply-adds of convolutions and matrix products at {size} x {size} pixels.\n"
    )

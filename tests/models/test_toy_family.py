"""A method in one file, as docs/families.md says: it shifts the source by what the image's mean colour says."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from dagan.geometry.grid import coordinate_grid
from dagan.geometry.warp import warp
from dagan.inference.animator import Animator
from dagan.losses.objective import Objective
from dagan.losses.values import PairBatch
from dagan.models.discriminator import DiscriminatorConfig
from dagan.models.family import Family
from dagan.training.forward import GenerationNetworks
from dagan.training.generation_stage import generation_optimizers, generation_step
from dagan.types import CodeView, Rendering
from parts import tiny_perceptual


class Shift(NamedTuple):
    by: Tensor  # b 2

    def named(self) -> dict[str, Tensor]:
        return self._asdict()

    def each(self, change: Callable[[Tensor], Tensor]) -> "Shift":
        return Shift(change(self.by))

    def drawn(self) -> dict[str, Tensor]:
        return self._asdict()


class Nothing(NamedTuple):
    """All that is kept of a source is its image."""

    image: Tensor


class Shifter(Family):
    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Linear(3, 2)

    def view(self, image: Tensor) -> CodeView:
        return CodeView(image, Shift(self.look(image.mean((2, 3)))))

    def encode(self, view: CodeView) -> CodeView:
        return view._replace(appearance=Nothing(view.image))

    def mover(self, source: Shift, initial: Shift, relative: bool = True, adapt_scale: bool = False):
        if not relative:
            return lambda driving: driving
        return lambda driving: Shift(source.by + driving.by - initial.by)

    def difference(self, source: Shift, driving: Shift) -> Tensor:
        return (source.by - driving.by).square().sum(1)

    def render(self, source: CodeView, driving: Shift, with_attention: bool = False, background=None) -> Rendering:
        height, width = source.image.shape[2:]
        flow = coordinate_grid(height, width, source.image) + (driving.by - source.code.by)[:, None, None]
        moved = warp(source.image, flow)
        return Rendering(moved, flow, None, None, moved)


def test_it_animates():
    model = Shifter().eval()
    animator = Animator(model, "torch", "fp32")
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    animator.set_source(photo)
    still, moved = animator.stream([photo, 255 - photo])
    assert np.abs(still.astype(int) - photo).max() <= 1
    assert not np.array_equal(moved, still)


def test_it_trains():
    networks = GenerationNetworks(Shifter(), DiscriminatorConfig(width=4, cap=8).build(), tiny_perceptual())
    optimizers = generation_optimizers(networks)
    for group in optimizers.generator.param_groups:
        group["lr"] = 1e-2
    before = networks.model.look.weight.clone()
    pair = PairBatch(torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64))
    generation_step(networks, optimizers, Objective((("reconstruction", 1.0),)), pair)
    assert not torch.equal(networks.model.look.weight, before)

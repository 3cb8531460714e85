"""One pass of stage 2 over a batch: source and driving frame -> views -> motion -> rendering (Fig. 2), and the second
looks that some loss terms need."""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call

from dagan.geometry.registration import affine_flow
from dagan.geometry.tps import PlaneWarp
from dagan.geometry.warp import warp
from dagan.losses.landmark_guidance import random_similarities
from dagan.losses.perceptual import PerceptualLoss
from dagan.losses.values import NOT_ASKED_FOR, Look, PairBatch, Values
from dagan.models.discriminator import Judgement
from dagan.models.family import Family
from dagan.models.talking_head import TalkingHead
from dagan.types import Keypoints, View

SAMPLES_A_REENACTMENT = 4  # one person's photo is moved by another's motion for so many samples of a step


class GenerationNetworks(nn.Module):
    """What stage 2 trains (all but what the model says is given), and the frozen networks it looks through."""

    def __init__(self, model: Family, discriminator: nn.Module, perceptual: PerceptualLoss):
        super().__init__()
        self.model, self.discriminator, self.perceptual = model, discriminator, perceptual
        self.frozen: tuple[str, ...] = ()
        for part in self.model.given():
            part.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "GenerationNetworks":
        """Training mode for all but the frozen networks: their running statistics must not move."""
        super().train(mode)
        self.perceptual.eval()
        for part in self.model.given():
            part.eval()
        return self

    def freeze(self, parts: Sequence[str]) -> None:
        """These parts of the model stay as they are, running statistics too; all others but the given are trained."""
        if tuple(parts) == self.frozen:
            return
        self.frozen = tuple(parts)
        self.model.requires_grad_(True)
        for given in self.model.given():
            given.requires_grad_(False)
        self.train()
        for part in parts:
            self.model.get_submodule(part).requires_grad_(False).eval()


class Share(NamedTuple):
    """Which of a step's samples a batch has when processes or micro-batches divide them: random numbers are drawn for
    all `total` samples and those of `rows` kept, so that the parts together make the step of the whole."""

    total: int
    rows: slice


def forward(networks: GenerationNetworks, batch: PairBatch, looks: Set[Look]) -> Values:
    """The way of Fig. 2 as far as the terms of an objective need it (`Objective.looks`); `look_again` does the rest."""
    model = networks.model
    source = flow = rendering = NOT_ASKED_FOR
    if Look.SOURCE in looks:
        source = model.detect(batch.source)
    if Look.RENDERING in looks:
        source = model.encode(source)
    driving = model.detect(batch.driving)
    if Look.RENDERING in looks:
        rendering = model.reenact(source, driving)
        flow = rendering.flow
    elif Look.FLOW in looks:
        flow = model.flow(source, driving)
    return Values(batch, driving, source, flow, rendering)


def look_again(networks: GenerationNetworks, values: Values, looks: Set[Look], share: Share) -> Values:
    """The values with those of the looks at the generated image, or again at the driving frame, that are not in them.

    Random warps are drawn from PyTorch's global generator, for the whole step that the batch is a `share` of.
    """
    for look, add in SECOND_LOOKS.items():
        if look in looks - values.second_looks:
            values = add(networks, values, share)._replace(second_looks=values.second_looks | {look})
    return values


def _perceptual(networks: GenerationNetworks, values: Values, share: Share) -> Values:
    return values._replace(perceptual=networks.perceptual(values.rendering.generated, values.batch.driving))


def _warped_perceptual(networks: GenerationNetworks, values: Values, share: Share) -> Values:
    """At the flow's size: trains motion without a generator."""
    flow = values.flow
    source, driving = (
        F.interpolate(image, (flow.shape[1], flow.shape[2]), mode="bilinear", align_corners=False, antialias=True)
        for image in (values.batch.source, values.batch.driving)
    )
    return values._replace(warped_perceptual=networks.perceptual(warp(source, flow), driving))


def _judgements(networks: GenerationNetworks, values: Values, share: Share) -> Values:
    """The generator's gradients leave D as it is. That of the driving frame is for D's own step, too: it has a graph
    down to D's weights."""
    discriminator, code = networks.discriminator, values.driving.code
    fake: Judgement = discriminator(values.rendering.generated, code)
    frozen = [parameter for parameter in discriminator.parameters() if not parameter.requires_grad]
    discriminator.requires_grad_(True)
    real: Judgement = discriminator(values.batch.driving, code.each(Tensor.detach))
    for parameter in frozen:
        parameter.requires_grad_(False)
    return values._replace(judged_real=real, judged_fake=fake)


def _judged_through(networks: GenerationNetworks, values: Values, share: Share) -> Values:
    """The discriminator is as it is, and its weights get no gradient."""
    frozen = {name: tensor.detach() for name, tensor in networks.discriminator.state_dict().items()}
    seen: Judgement = functional_call(networks.discriminator, frozen, (values.batch.driving, values.driving.code))
    return values._replace(judged_through=seen)


def _transformed(networks: GenerationNetworks, values: Values, share: Share) -> Values:
    """L_E's second look: the driving frame sampled at T(z)."""
    frame, pixels = values.batch.driving, networks.model.pixels
    plane_warp = PlaneWarp.random(share.total, torch.default_generator, frame).of(share.rows)
    grid = plane_warp.grid(frame.shape[2], frame.shape[3], pixels.grid)
    image = F.grid_sample(frame, grid, padding_mode="reflection", align_corners=pixels.align_corners)
    return values._replace(plane_warp=plane_warp, transformed=networks.model.detect(image).code)


def _moved(networks: GenerationNetworks, values: Values, share: Share) -> Values:
    """The driving frame through a window turned, zoomed and shifted at random."""
    frame = values.batch.driving
    window = random_similarities(share.total, torch.default_generator, frame)[share.rows]
    seen = warp(frame, affine_flow(window, frame.shape[2], frame.shape[3]))
    return values._replace(window=window, moved=networks.model.detect(seen).keypoints)


def _found_again(networks: GenerationNetworks, values: Values, share: Share) -> Values:
    """The depth beside the generated image is the driving frame's, which it should have."""
    assert isinstance(networks.model, TalkingHead)
    found = find_fixed(networks.model, values.rendering.generated, values.driving.depth)
    return values._replace(found_again=found)


def _reenacted(networks: GenerationNetworks, values: Values, share: Share) -> Values:
    """The first sources of the batch, one in `SAMPLES_A_REENACTMENT`, moved as the next sample's person moved between
    its two frames: nobody knows what that looks like, but the keypoints it should have are known."""
    model, count = networks.model, -(-len(values.batch.source) // SAMPLES_A_REENACTMENT)
    assert isinstance(model, TalkingHead)  # `check_fit`: the terms that ask for this are of keypoints
    with torch.no_grad():
        source, driving = (model.read(view).keypoints for view in (values.source, values.driving))
        rest, now = (keypoints.each(lambda part: part.roll(-1, 0)[:count]) for keypoints in (source, driving))
        asked = model.mover(first_of(source, count), rest)(now)
    depth = values.source.depth[:count] if values.source.depth is not None else None
    view = View(values.batch.source[:count], depth, first_of(values.source.keypoints, count))
    image = model.render(view, asked).generated
    with torch.no_grad():
        depth = model.depth(image) if model.depth is not None else None
    return values._replace(asked=asked, found_reenacted=find_fixed(model, image, depth))


SECOND_LOOKS: Mapping[Look, Callable[[GenerationNetworks, Values, Share], Values]] = {
    Look.PERCEPTUAL: _perceptual,
    Look.WARPED_PERCEPTUAL: _warped_perceptual,
    Look.JUDGEMENTS: _judgements,
    Look.JUDGED_THROUGH: _judged_through,
    Look.TRANSFORMED: _transformed,
    Look.MOVED: _moved,
    Look.FOUND_AGAIN: _found_again,
    Look.REENACTED: _reenacted,
}


def find_fixed(
    model: TalkingHead, image: Float[Tensor, "b 3 h w"], depth: Float[Tensor, "b 1 h w"] | None
) -> Keypoints:
    """Keypoints by the detector as it is: its weights get no gradient and its running statistics stay."""
    fixed = {name: tensor.detach().clone() for name, tensor in model.keypoints.state_dict().items()}
    found: Keypoints = functional_call(model.keypoints, fixed, (image, depth))
    return found


def first_of(keypoints: Keypoints, count: int) -> Keypoints:
    """Those of the first `count` images."""
    return keypoints.each(lambda part: part[:count])

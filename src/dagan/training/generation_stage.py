"""Stage 2: the talking head, F_d frozen (Sec. 3.5)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dagan.losses.adversarial import discriminator_adversarial
from dagan.losses.objective import PAPER_OBJECTIVE, Objective
from dagan.losses.perceptual import PerceptualLoss
from dagan.losses.step_state import PairBatch, Share, StepState
from dagan.models.discriminator import Discriminator
from dagan.models.talking_head import TalkingHead
from dagan.training.batches import rows_of
from dagan.training.distributed import ALONE, World, average_gradients
from dagan.training.guard import RunningState, clip_gradients, step_if
from dagan.training.schedule import falling
from dagan.training.step import PLAIN_STEP, StepConfig
from dagan.types import Rendering

ADAM_BETAS = (0.5, 0.999)  # as FOMM


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training with one objective. The paper has a single phase of everything at 256.

    `frozen`: parts of the model, by their names in it, that stay as the phase finds them. `decay`: the last share of
    the steps, over which the learning rate falls to a fiftieth.
    """

    name: str = "all"
    steps: int
    batch_size: int = 8
    image_size: int = 256
    learning_rate: float = 2e-4
    objective: tuple[tuple[str, float], ...] = PAPER_OBJECTIVE
    frozen: tuple[str, ...] = ()
    decay: float = 0.0

    def learning_rate_at(self, step: int) -> float:
        """Of the phase's own step, from 0: constant, then linear down."""
        return self.learning_rate * falling(step, self.steps, self.decay)


class GenerationNetworks(nn.Module):
    """What stage 2 trains (all but F_d and the face reader), and the frozen networks it looks through."""

    def __init__(self, model: TalkingHead, discriminator: Discriminator, perceptual: PerceptualLoss):
        super().__init__()
        self.model, self.discriminator, self.perceptual = model, discriminator, perceptual
        self.frozen: tuple[str, ...] = ()
        for part in self.model.given():
            part.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "GenerationNetworks":
        """Training mode for all but the frozen networks: F_d's running statistics must not move."""
        super().train(mode)
        self.perceptual.eval()
        for part in self.model.given():
            part.eval()
        return self

    def freeze(self, parts: Sequence[str]) -> None:
        """These parts of the model stay as they are, running statistics too; all others but F_d and the face reader are
        trained."""
        if tuple(parts) == self.frozen:
            return
        self.frozen = tuple(parts)
        self.model.requires_grad_(True)
        for given in self.model.given():
            given.requires_grad_(False)
        self.train()
        for part in parts:
            self.model.get_submodule(part).requires_grad_(False).eval()


def compile_networks(networks: GenerationNetworks) -> None:
    """Has torch.compile make each network's code when it is first called; their names and weights stay."""
    model = networks.model
    generator = model.generator
    seeing = [model.depth, model.keypoints, model.face_reader]
    drawing = [model.motion, generator.encoder, generator.depth_encoder, generator.decoder]
    for part in (*seeing, *drawing, networks.discriminator, networks.perceptual.vgg):
        if part is not None:
            part.compile(dynamic=False)


class GenerationOptimizers(NamedTuple):
    """One for E_I, E_d, F_kp, motion and decoder together; one for D."""

    generator: torch.optim.Adam
    discriminator: torch.optim.Adam


def generation_optimizers(networks: GenerationNetworks) -> GenerationOptimizers:
    """Adam on everything that stage 2 trains; the learning rate is set by each phase.

    Fused: a fifth of the time on a CPU, and a step can be left out without asking the device (`guard.step_if`).
    """
    trained = [parameter for parameter in networks.model.parameters() if parameter.requires_grad]
    return GenerationOptimizers(
        torch.optim.Adam(trained, betas=ADAM_BETAS, fused=True),
        torch.optim.Adam(networks.discriminator.parameters(), betas=ADAM_BETAS, fused=True),
    )


class StepResult(NamedTuple):
    """Unweighted terms for the log, whether the step was taken (a bool on the device), and the rendering of its last
    part when the objective made one. Everything is detached."""

    terms: dict[str, Tensor]
    finite: Tensor
    rendering: Rendering | None


def generation_step(
    networks: GenerationNetworks,
    optimizers: GenerationOptimizers,
    objective: Objective,
    batch: PairBatch,
    config: StepConfig = PLAIN_STEP,
    world: World = ALONE,
) -> StepResult:
    """One step of the generator side, and one of the discriminator when the objective is adversarial.

    `batch` is this process's share. All processes and parts draw the same random numbers, each for its own samples.
    Nothing waits for the device.
    """
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    before, random = RunningState(networks.model, networks.discriminator), torch.get_rng_state()
    sums: dict[str, Tensor] = {}
    for part, share in parts_of(batch, config.accumulate, world):
        torch.set_rng_state(random)
        state = StepState(networks.model, networks.discriminator, networks.perceptual, part, share)
        terms = backward(networks, objective, state, config)
        sums = {name: sums[name] + value if sums else value for name, value in terms.items()}
    average_gradients(networks.model, networks.discriminator)
    norms = {"gradient": clip_gradients([networks.model], config.max_gradient)}
    if objective.is_adversarial:
        norms["discriminator_gradient"] = clip_gradients([networks.discriminator], config.max_gradient)
    finite = torch.stack(list(norms.values())).isfinite().all()
    step_if(finite, *(optimizers if objective.is_adversarial else optimizers[:1]))
    before.keep_if(finite)
    rendering = state.rendering if "rendering" in state.__dict__ else None
    return StepResult({name: value / config.accumulate for name, value in sums.items()} | norms, finite, rendering)


def parts_of(batch: PairBatch, count: int, world: World) -> Iterator[tuple[PairBatch, Share]]:
    """The batch in equal parts, each with its place among the samples of all parts of all processes.

    Sample j of process r is sample r + j * size of the step, as the loop deals them out.
    """
    mine = len(batch.source)
    if mine % count:
        raise ValueError(f"a batch of {mine} does not split into {count} parts")
    for start in range(0, mine, mine // count):
        stop = start + mine // count
        place = slice(world.rank + start * world.size, world.rank + (stop - 1) * world.size + 1, world.size)
        yield rows_of(batch, slice(start, stop)), Share(mine * world.size, place)


def backward(
    networks: GenerationNetworks, objective: Objective, state: StepState, config: StepConfig
) -> dict[str, Tensor]:
    """Adds the gradients of one part, first of the generator side, then of D, and gives the terms, detached."""
    device_type = state.batch.source.device.type
    with torch.autocast(device_type, dtype=config.precision, enabled=config.is_mixed):
        networks.discriminator.requires_grad_(False)
        terms = objective(state)
        total = objective.total(terms)
    (total / config.accumulate).backward()  # type: ignore[no-untyped-call]
    detached = {name: value.detach() for name, value in terms.items()} | {"total": total.detach()}
    if objective.is_adversarial:
        detached["discriminator"] = discriminator_backward(networks, state, config)
    return detached


def discriminator_backward(networks: GenerationNetworks, state: StepState, config: StepConfig) -> Tensor:
    """Gradients of D's least-squares loss on the driving frame and the frame just generated; gives the loss."""
    networks.discriminator.requires_grad_(True)
    device_type = state.batch.source.device.type
    with torch.autocast(device_type, dtype=config.precision, enabled=config.is_mixed):
        keypoints = state.driving.keypoints  # for discriminators that see them, without gradient
        fake = networks.discriminator(state.rendering.generated.detach(), keypoints)
        loss = discriminator_adversarial(state.judged_real, fake)
    (loss / config.accumulate).backward()  # type: ignore[no-untyped-call]
    return loss.detach()


def resized(batch: PairBatch, size: int) -> PairBatch:
    """The batch with square images of the phase's size (anti-aliased); landmarks are relative and stay."""
    if batch.source.shape[-1] == size:
        return batch
    return batch._replace(source=resize_images(batch.source, size), driving=resize_images(batch.driving, size))


def resize_images(image: Float[Tensor, "b 3 h w"], size: int) -> Float[Tensor, "b 3 s s"]:
    """Square images of another size, anti-aliased."""
    return F.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)

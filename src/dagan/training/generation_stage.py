"""Stage 2: the talking head, F_d frozen (Sec. 3.5)."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from dagan.losses.adversarial import discriminator_adversarial
from dagan.losses.objective import PAPER_OBJECTIVE, Objective, PairBatch, StepState
from dagan.losses.perceptual import PerceptualLoss
from dagan.models.discriminator import Discriminator
from dagan.models.talking_head import TalkingHead
from dagan.training.distributed import average_gradients
from dagan.types import Rendering

ADAM_BETAS = (0.5, 0.999)  # as FOMM


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training with one objective. The paper has a single phase of everything at 256."""

    name: str = "all"
    steps: int
    batch_size: int = 8
    image_size: int = 256
    learning_rate: float = 2e-4
    objective: tuple[tuple[str, float], ...] = PAPER_OBJECTIVE


class GenerationNetworks(nn.Module):
    """What stage 2 trains (all but F_d), and the frozen networks it looks through."""

    def __init__(self, model: TalkingHead, discriminator: Discriminator, perceptual: PerceptualLoss):
        super().__init__()
        self.model, self.discriminator, self.perceptual = model, discriminator, perceptual
        if model.depth is not None:
            model.depth.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> "GenerationNetworks":
        """Training mode for all but the frozen networks: F_d's running statistics must not move."""
        super().train(mode)
        self.perceptual.eval()
        if self.model.depth is not None:
            self.model.depth.eval()
        return self


class GenerationOptimizers(NamedTuple):
    """One for E_I, E_d, F_kp, motion and decoder together; one for D."""

    generator: torch.optim.Adam
    discriminator: torch.optim.Adam


def generation_optimizers(networks: GenerationNetworks) -> GenerationOptimizers:
    """Adam on everything that stage 2 trains; the learning rate is set by each phase."""
    trained = [parameter for parameter in networks.model.parameters() if parameter.requires_grad]
    return GenerationOptimizers(
        torch.optim.Adam(trained, betas=ADAM_BETAS),
        torch.optim.Adam(networks.discriminator.parameters(), betas=ADAM_BETAS),
    )


class StepResult(NamedTuple):
    """Unweighted terms for the log, and the rendering when the objective made one."""

    terms: dict[str, Tensor]
    rendering: Rendering | None


def generation_step(
    networks: GenerationNetworks,
    optimizers: GenerationOptimizers,
    objective: Objective,
    batch: PairBatch,
    precision: torch.dtype = torch.float32,
) -> StepResult:
    """One step of the generator side, and one of the discriminator when the objective is adversarial."""
    device_type = batch.source.device.type
    with torch.autocast(device_type, dtype=precision, enabled=precision is not torch.float32):
        networks.discriminator.requires_grad_(False)
        state = StepState(networks.model, networks.discriminator, networks.perceptual, batch)
        terms = objective(state)
        total = objective.total(terms)
    optimizers.generator.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    average_gradients(networks.model)
    gradient = nn.utils.clip_grad_norm_(networks.model.parameters(), max_norm=MAX_GRADIENT)
    if torch.isfinite(gradient):
        optimizers.generator.step()
    terms = {name: value.detach() for name, value in terms.items()} | {"total": total.detach(), "gradient": gradient}
    if objective.is_adversarial:
        terms["discriminator"] = discriminator_step(networks, optimizers, state, precision)
    rendering = state.rendering if "rendering" in state.__dict__ else None
    return StepResult(terms, rendering)


MAX_GRADIENT = 1000.0  # far above the usual norm: stops only a runaway step


def discriminator_step(
    networks: GenerationNetworks, optimizers: GenerationOptimizers, state: StepState, precision: torch.dtype
) -> Tensor:
    """One least-squares step of D on the driving frame and the frame just generated."""
    networks.discriminator.requires_grad_(True)
    with torch.autocast(state.batch.source.device.type, dtype=precision, enabled=precision is not torch.float32):
        keypoints = state.driving.keypoints  # for discriminators that see them, without gradient
        real = networks.discriminator(state.batch.driving, keypoints)
        fake = networks.discriminator(state.rendering.generated.detach(), keypoints)
        loss = discriminator_adversarial(real, fake)
    optimizers.discriminator.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(networks.discriminator)
    optimizers.discriminator.step()
    return loss.detach()


def resized(batch: PairBatch, size: int) -> PairBatch:
    """The batch with square images of the phase's size (anti-aliased); landmarks are relative and stay."""
    if batch.source.shape[-1] == size:
        return batch
    return batch._replace(source=resize_images(batch.source, size), driving=resize_images(batch.driving, size))


def resize_images(image: Float[Tensor, "b 3 h w"], size: int) -> Float[Tensor, "b 3 s s"]:
    """Square images of another size, anti-aliased."""
    return F.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)

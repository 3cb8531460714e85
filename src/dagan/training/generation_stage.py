"""Stage 2 whole: the talking head, F_d frozen (Sec. 3.5): phases, optimisers, one step, what the loop sees of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from dagan.data.augment import AUGMENTATION, AugmentConfig
from dagan.data.clips import ClipFrames
from dagan.data.landmarks import LandmarkTracks
from dagan.data.sampling import REPEATS, SourceDrivingPairs
from dagan.losses.objective import Objective
from dagan.losses.values import PairBatch, Values
from dagan.models.families import ModelConfig
from dagan.models.family import Family
from dagan.models.weights import save_model
from dagan.nn.layout import channels_last
from dagan.training.batch_norm import synchronise_batch_norm
from dagan.training.batches import resize_images, rows_of, to_device
from dagan.training.distributed import ALONE, World, average_gradients
from dagan.training.forward import GenerationNetworks, Share, forward, look_again
from dagan.training.guard import RunningState, clip_gradients, step_if
from dagan.training.journal import StepReport
from dagan.training.pair_dataset import PairDataset, frame_changes
from dagan.training.panels import NUM_ROWS, generation_panel
from dagan.training.phases import Phase
from dagan.training.schedule import step_of_phase
from dagan.training.step import PLAIN_STEP, StepConfig, pick_precision
from dagan.training.validation import NUM_PAIRS, Measure, Pairs, fixed_pairs, validate

ADAM_BETAS = (0.5, 0.999)  # as FOMM
SGD_MOMENTUM = 0.9  # as X2Face
Optimizer = Literal["adam", "sgd"]


def compile_networks(networks: GenerationNetworks) -> None:
    """Has torch.compile make each network's code when it is first called; their names and weights stay."""
    for part in (*networks.model.compilable(), networks.discriminator, networks.perceptual.vgg):
        part.compile(dynamic=False)


class GenerationOptimizers(NamedTuple):
    """One for all parts of the model that are trained together; one for D."""

    generator: torch.optim.Optimizer
    discriminator: torch.optim.Optimizer


def generation_optimizers(
    networks: GenerationNetworks, betas: tuple[float, float] = ADAM_BETAS, optimizer: Optimizer = "adam"
) -> GenerationOptimizers:
    """On everything that stage 2 trains; the learning rate is set by each phase.

    Fused: a fifth of the time on a CPU, and a step can be left out without asking the device (`guard.step_if`).
    """
    trained = [parameter for parameter in networks.model.parameters() if parameter.requires_grad]
    groups = trained, [*networks.discriminator.parameters()]
    if optimizer == "sgd":
        return GenerationOptimizers(
            *(torch.optim.SGD(group, lr=0.0, momentum=SGD_MOMENTUM, fused=True) for group in groups)
        )
    return GenerationOptimizers(*(torch.optim.Adam(group, betas=betas, fused=True) for group in groups))


class StepResult(NamedTuple):
    """Unweighted terms for the log, detached, and whether the step was taken (a bool on the device)."""

    terms: dict[str, Tensor]
    finite: Tensor


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
    objective.check(batch)
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    before, random = RunningState(networks.model, networks.discriminator), torch.get_rng_state()
    parts: list[dict[str, Tensor]] = []
    for part, share in parts_of(batch, config.accumulate, world):
        torch.set_rng_state(random)
        networks.discriminator.requires_grad_(False)
        with torch.autocast(part.source.device.type, dtype=config.precision, enabled=config.is_mixed):
            values, terms = forward(networks, part, objective.looks), dict[str, Tensor]()
            for name, term in objective.terms.items():
                values = look_again(networks, values, term.looks, share)
                terms[name] = term.function(values)
            total = objective.total(terms)
        (total / config.accumulate).backward()  # type: ignore[no-untyped-call]
        terms["total"] = total
        if objective.is_adversarial:
            terms["discriminator"] = discriminator_backward(networks, objective, values, config)
        parts.append({name: value.detach() for name, value in terms.items()})
    average_gradients(networks.model, networks.discriminator)
    norms = {"gradient": clip_gradients([networks.model], config.max_gradient)}
    if objective.is_adversarial:
        norms["discriminator_gradient"] = clip_gradients([networks.discriminator], config.max_gradient)
    finite = torch.stack(list(norms.values())).isfinite().all()
    step_if(finite, *(optimizers if objective.is_adversarial else optimizers[:1]))
    before.keep_if(finite)
    return StepResult(mean_terms(parts) | norms, finite)


def discriminator_backward(
    networks: GenerationNetworks, objective: Objective, values: Values, config: StepConfig
) -> Tensor:
    """Gradients of D's loss on the driving frame and the frame just generated; gives the loss."""
    networks.discriminator.requires_grad_(True)
    image, code = values.rendering.generated.detach(), values.driving.code.each(Tensor.detach)
    with torch.autocast(image.device.type, dtype=config.precision, enabled=config.is_mixed):
        loss = objective.discriminator_loss(values.judged_real, networks.discriminator(image, code))
    (loss / config.accumulate).backward()  # type: ignore[no-untyped-call]
    return loss


def mean_terms(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each term over the parts of a batch."""
    return {name: sum((part[name] for part in parts[1:]), start=parts[0][name]) / len(parts) for name in parts[0]}


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


def resized(batch: PairBatch, size: int) -> PairBatch:
    """The batch with square images of the phase's size (anti-aliased); landmarks are relative and stay."""
    if batch.source.shape[-1] == size:
        return batch
    return batch._replace(source=resize_images(batch.source, size), driving=resize_images(batch.driving, size))


@dataclass(kw_only=True)
class GenerationStage:
    """Stage 2 over clips; `validation` clips are of people that are not trained on.

    `how`: None for whole batches, in the precision that suits the device. `measures` are taken of generated and
    driving images of the validation pairs, beside L1. `compiled`: through torch.compile, which takes minutes at first.
    """

    networks: GenerationNetworks
    config: ModelConfig
    phases: Sequence[Phase]
    clips: list[ClipFrames]
    tracks: LandmarkTracks | None
    validation: list[ClipFrames]
    device: torch.device
    seed: int
    world: World = ALONE
    how: StepConfig | None = None
    measures: Mapping[str, Measure] = field(default_factory=dict)
    compiled: bool = False
    judged_by: str | None = "validation_l1"
    repeats: int = REPEATS  # visits to each person in an epoch
    augmentation: AugmentConfig | None = AUGMENTATION
    betas: tuple[float, float] = ADAM_BETAS
    optimizer: Optimizer = "adam"
    judged_on: Pairs | None = None  # instead of one pair of each validation clip

    def __post_init__(self) -> None:
        channels_last(self.networks.to(self.device))
        synchronise_batch_norm(self.networks, self.world)
        self._step = self.how or StepConfig(precision=pick_precision(self.device))
        self._optimizers = generation_optimizers(self.networks, self.betas, self.optimizer)
        self.optimizers: Mapping[str, torch.optim.Optimizer] = self._optimizers._asdict()
        self.modules: Mapping[str, nn.Module] = {
            "model": self.networks.model,
            "discriminator": self.networks.discriminator,
        }
        self.averaged: nn.Module = self.networks.model
        self._is_validated = bool(self.validation or self.judged_on)
        if not self._is_validated:
            self.judged_by = None  # numbers of clips trained on choose no best model
        self.pairs = self.judged_on or fixed_pairs(self.validation or self.clips, NUM_PAIRS, self.device)
        self._changes = frame_changes(self.tracks) if self.tracks is not None else None
        if self.compiled:
            compile_networks(self.networks)

    def dataset(self, length: int) -> Dataset[Any]:
        pairs = SourceDrivingPairs(
            self.clips, length, self.seed, augmentation=self.augmentation, repeats=self.repeats, changes=self._changes
        )
        return PairDataset(pairs, self.tracks)

    def step(self, phase: Phase, batch: Any, step: int) -> StepReport:
        rate = phase.learning_rate_at(step_of_phase(self.phases, step))
        for optimizer in self._optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        self.networks.freeze(phase.frozen)
        objective = Objective(phase.objective)
        pairs = resized(PairBatch(*to_device(batch, self.device)), phase.image_size)
        result = generation_step(self.networks, self._optimizers, objective, pairs, self._step, self.world)
        return StepReport(result.terms, result.finite, objective.weights)

    def panel(self, average: nn.Module, path: Path) -> dict[str, float]:
        assert isinstance(average, Family)
        generation_panel(average, self.pairs.source[:NUM_ROWS], self.pairs.driving[:NUM_ROWS], path)
        return validate(average, self.pairs, self.measures, "validation" if self._is_validated else "training")

    def export(self, average: nn.Module, path: Path) -> None:
        assert isinstance(average, Family)
        save_model(path, average, self.config)

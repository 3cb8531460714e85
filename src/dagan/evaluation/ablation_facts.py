"""How an ablation was made: what its variants cost, and what was equal in all of its runs."""

from collections import Counter
from typing import Any

from dagan.config import from_plain
from dagan.evaluation.ablation_results import Results
from dagan.evaluation.model_cost import cost_table
from dagan.presets import LITE_TABLE_4, TABLE_4
from dagan.training.ablation import AblationConfig, Budget

LITE_NOTE = (
    "- Lite widths: of the package's `lite`, what lets a short training move anything is in every row alike: the",
    "  mask's start, the blend decoder, and the gate of either attention, which starts at 0. The gate makes rows with",
    "  attention start as those without, so short runs understate what attention does, for better or worse. Keypoints",
    "  are the paper's: 15 offsets or 10 jacobians, found without landmarks.",
)


def costs(settings: dict[str, Any]) -> list[str]:
    """A section of the page: parameters and multiply-adds of all rows, with their preset's F_d."""
    size, widths = settings["training"]["image_size"], settings["training"]["widths"]
    return [
        "## Parameters and multiply-adds",
        "",
        f"`dagan ablate --count --widths {widths} --size {size}` prints this table.",
        "",
        *cost_table(LITE_TABLE_4 if widths == "lite" else TABLE_4, size).splitlines(),
        "",
    ]


def facts(results: Results, settings: dict[str, Any]) -> list[str]:
    """A section of the page: budget, losses, seeds, data, hardware, commands."""
    config = from_plain(AblationConfig, settings["training"])
    sources, size = settings["sources"], settings["examination"]["size"]
    terms = ", ".join(f"{name} {weight:g}" for name, weight in config.objective)
    square = f"squares of {config.perceptual_side} pixels" if config.perceptual_side else "whole images"
    return [
        "## How",
        "",
        f"- {config.budget}, the last fifth at a tenth of the learning rate {config.learning_rate:g}. Nothing was",
        "  tuned for a variant.",
        f"- Loss: {terms}; FOMM's rows also have jacobian_equivariance 10. No landmarks guide the keypoints.",
        *(LITE_NOTE if config.widths == "lite" else ()),
        "- Runs of one seed start alike in every part that they share, and see the same samples in the same order.",
        f"- F_d is frozen and the same for all ({sources['depth']}). L_P: {sources['perceptual']}, {square}.",
        f"- Tested on people whom none was trained on, {size} pixels, keypoints taken absolutely.",
        *(_made(results) if results.runs else ()),
        "",
        "```sh",
        _command(config, settings),
        "dagan ablate -o RUN --report docs/ablations.md  # writes this page",
        "```",
    ]


def _made(results: Results) -> list[str]:
    made = [found.trained for found in results.runs]
    hardware = Counter(f"{one['device']}, {one['threads']} threads, torch {one['torch']}" for one in made)
    steps = sorted({one["steps"] for one in made})
    pairs = ", ".join(f"{len(report.samples)} {name}" for name, report in results.runs[0].reports.items())
    return [
        f"- Steps of each run: {' to '.join(str(count) for count in sorted({steps[0], steps[-1]}))}. Pairs: {pairs}.",
        *(f"- {count} runs on {name}" for name, count in hardware.items()),
        f"- {sum(one['hours'] for one in made):.2f} hours of training by the clock, on a machine with other work.",
    ]


def _command(config: AblationConfig, settings: dict[str, Any]) -> str:
    options = {
        "budget": _budget(config.budget),
        "widths": config.widths,
        "size": config.image_size,
        "batch-size": config.batch_size,
        "perceptual-side": config.perceptual_side or 0,
        "pairs-per-clip": settings["examination"]["pairs_per_clip"],
        "seeds": "N",
    }
    words = " ".join(f"--{name} {value}" for name, value in options.items())
    return f"dagan ablate CLIPS -o RUN --perceptual VGG.safetensors {words}"


def _budget(budget: Budget) -> str:
    return f"{budget.steps}-steps" if budget.steps is not None else f"{budget.seconds:g}s"

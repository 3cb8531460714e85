"""The runs of an ablation: each variant and seed trained and measured, split among processes, taken up again."""

import json
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

import dagan
from dagan.config import differences
from dagan.errors import UserError
from dagan.evaluation.evaluator import EvaluatorConfig
from dagan.evaluation.model_systems import ModelFile
from dagan.evaluation.plans import PairChoice, make_plan
from dagan.evaluation.run import evaluate
from dagan.files import write_text
from dagan.training.ablation import AblationConfig, Materials, train_variant
from dagan.training.loop import MODEL
from dagan.training.run_folder import prepare_folder

PROTOCOLS = ("self", "cross")
TRAINED, SETTINGS = "trained.json", "ablation.json"


class Cell(NamedTuple):
    """One variant with one seed: a folder of the run."""

    variant: str
    seed: int

    def folder(self, run: Path) -> Path:
        return run / self.variant / f"seed{self.seed}"

    def is_done(self, run: Path) -> bool:
        """Whether it is trained and measured."""
        return all((self.folder(run) / name).is_file() for name in (TRAINED, *map(result_file, PROTOCOLS)))


@dataclass(frozen=True, kw_only=True)
class Examination:
    """How every trained variant is measured."""

    clips: str
    pairs_per_clip: int
    limit: int | None
    size: int
    evaluator: EvaluatorConfig


def result_file(protocol: str) -> str:
    return f"{protocol}.json"


def all_cells(variants: Sequence[str], num_seeds: int) -> list[Cell]:
    """All variants with the first seed, then with the next: a run that is cut short compares as many as it can."""
    return [Cell(variant, seed) for seed in range(num_seeds) for variant in variants]


def run_cells(
    cells: Sequence[Cell], run: Path, config: AblationConfig, materials: Materials, examination: Examination
) -> list[Cell]:
    """Does what no other process is doing; gives the cells that were left to others and are not done yet.

    Raises:
        UserError: a folder holds another run, or something is missing that training or measuring needs.
        KeyboardInterrupt: stopped; the next call goes on.
    """
    left = []
    for cell in cells:
        prepare_folder(cell.folder(run))
        with claimed(cell.folder(run)) as is_ours:
            if is_ours and not cell.is_done(run):
                print(f"{cell.variant}, seed {cell.seed}", flush=True)
                train_cell(cell, run, config, materials)
                for protocol in PROTOCOLS:
                    measure_cell(cell, run, protocol, examination, materials.device)
        if not is_ours and not cell.is_done(run):
            left.append(cell)
    return left


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Whether this process may work in the folder. The operating system frees the lock of a process that dies."""
    import fcntl  # POSIX only; everything else of the package also runs where it is missing

    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def train_cell(cell: Cell, run: Path, config: AblationConfig, materials: Materials) -> None:
    """Trains unless that is done; `trained.json` then says how many steps it took, how long and on what."""
    folder = cell.folder(run)
    if (folder / TRAINED).is_file():
        return
    train_variant(config, cell.variant, cell.seed, materials, folder)
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    facts = {
        "steps": max(record["step"] for record in records),
        "hours": round((records[-1]["time"] - records[0]["time"]) / 3600, 3),
        "device": device_name(materials.device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "dagan": dagan.__version__,
        "finished": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }
    write_text(folder / TRAINED, json.dumps(facts, indent=1) + "\n")


def device_name(device: torch.device) -> str:
    """The hardware, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def measure_cell(cell: Cell, run: Path, protocol: str, examination: Examination, device: torch.device) -> None:
    """Evaluates unless that is done; an interrupted evaluation goes on at the clip where it stopped."""
    folder = cell.folder(run)
    if (folder / result_file(protocol)).is_file():
        return
    choice = PairChoice(
        root=examination.clips,
        protocol=protocol,
        pairs_per_clip=examination.pairs_per_clip,
        size=examination.size,
        limit=examination.limit,
    )
    model = ModelFile(path=str(folder / MODEL), device=str(device), label=cell.variant)
    ledger = folder / f"{protocol}.unfinished.jsonl"
    report = evaluate(make_plan(choice, model, examination.evaluator), ledger_file=ledger)
    write_text(folder / result_file(protocol), report.to_json())
    ledger.unlink(missing_ok=True)


def keep_settings(run: Path, settings: dict[str, Any]) -> None:
    """Writes the run's settings, or compares them with those that are there.

    Raises:
        UserError: the folder holds an ablation with other settings (they are named).
    """
    file = run / SETTINGS
    settings = json.loads(json.dumps(settings))
    if not file.is_file():
        write_text(file, json.dumps(settings, indent=1) + "\n")
        return
    changed = differences(read_settings(run), settings)
    if changed:
        raise UserError(f"{run} holds an ablation with other settings: {'; '.join(changed[:5])}; give another -o")


def read_settings(run: Path) -> dict[str, Any]:
    """What `keep_settings` wrote. Raises UserError when there is no ablation."""
    try:
        found: dict[str, Any] = json.loads((run / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"no ablation in {run}: {SETTINGS} is missing or damaged") from error
    return found

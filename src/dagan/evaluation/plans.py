"""From what a user names (a folder, a protocol or a list, a system) to a plan."""

from pathlib import Path
from typing import NamedTuple

from dagan.data.clips import find_clips
from dagan.data.pair_lists import read_pair_list
from dagan.data.protocols import MIN_GAP, SEED
from dagan.data.triples import is_triple_folder, read_triples
from dagan.errors import UserError
from dagan.evaluation.evaluator import EvaluatorConfig
from dagan.evaluation.jobs import (
    CROSS,
    DRAW,
    PAIRS_PER_CLIP,
    RECONSTRUCTION,
    SELF,
    SIZE,
    Job,
    PairProtocol,
    RestFrames,
    listed,
)
from dagan.evaluation.systems import SystemConfig
from dagan.evaluation.work import Plan

SHORT_NAMES = {"self": SELF, "cross": CROSS, "reconstruction": RECONSTRUCTION}


class PairChoice(NamedTuple):
    """Which pairs of a folder. `protocol` None: self-reenactment, or what the list shows (cross as soon as one of its
    rows is of two clips). `every` thins out whole videos."""

    root: str
    protocol: str | None = None
    rest: RestFrames = ""
    pair_list: str | None = None
    pairs_per_clip: int = PAIRS_PER_CLIP
    min_gap: int = MIN_GAP
    seed: int = SEED
    size: int = SIZE
    every: int = 1
    limit: int | None = None


def make_plan(choice: PairChoice, system: SystemConfig, evaluator: EvaluatorConfig) -> Plan:
    """The jobs of a choice.

    Raises:
        UserError: nothing there, a list that does not fit, or relative motion of other than drawn cross-identity pairs.
    """
    if choice.rest and (choice.protocol != "cross" or choice.pair_list is not None):
        raise UserError(
            "relative motion is measured on drawn pairs of two people; add --protocol cross, without --pairs"
        )
    jobs, protocol, notes = choose_jobs(choice)
    return Plan(tuple(jobs), protocol, system, evaluator, notes)


def choose_jobs(choice: PairChoice) -> tuple[list[Job], PairProtocol, tuple[str, ...]]:
    """Jobs, their protocol, and notes for the report; errors as `make_plan`."""
    if choice.pair_list is not None:
        return _from_list(choice, choice.pair_list)
    if is_triple_folder(choice.root):
        pairs = read_triples(choice.root, choice.limit)
        protocol = _protocol(choice, choice.protocol or "self", f"{Path(choice.root).name}/source and driving")
        return listed(pairs, choice.every), protocol, ()
    protocol = _protocol(choice, choice.protocol or "self", "")
    clips = find_clips(choice.root)
    jobs = DRAW[protocol.name](clips, protocol)
    return jobs[: choice.limit], protocol, ()


def _from_list(choice: PairChoice, file: str) -> tuple[list[Job], PairProtocol, tuple[str, ...]]:
    found = read_pair_list(file, choice.root, choice.limit)
    own = "self" if found.is_same_clip else "cross"
    if choice.protocol not in (None, own) and own == "cross":
        raise UserError(f"{file} pairs frames of different clips: it cannot be evaluated as {choice.protocol}")
    protocol = _protocol(choice, choice.protocol or own, f"{found.name}, sha256 {found.sha256[:12]}")
    notes: tuple[str, ...] = ()
    if found.missing:
        first = found.missing[0]
        total = len(found.pairs) + len(found.missing)
        notes = (f"{len(found.missing)} of {total} rows of {found.name} are not in {choice.root}: {first.path} ...",)
    return listed(found.pairs, choice.every), protocol, notes


def _protocol(choice: PairChoice, short: str, source: str) -> PairProtocol:
    return PairProtocol(
        SHORT_NAMES[short],
        choice.pairs_per_clip,
        choice.min_gap,
        choice.seed,
        choice.size,
        choice.every if short == "reconstruction" or source else 1,
        source,
        choice.rest,
    )
